# SPDX-License-Identifier: GPL-3.0-or-later
"""The same job without a window: exit codes, one JSON object, copies, the saved file, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import live
from footfall.addon.host.commands import run as commands
from footfall.tests.blender.host_tools import IS_MODULE, ROOT, enabled_addon, movie_of_colours, our_strips

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with enabled_addon(tmp_path, monkeypatch):
        movie_of_colours(bpy.context.scene, frames=48)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        yield


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object on stdout, and stderr."""
    capfd.readouterr()
    code = commands.run(["generate", "--json", *words])
    out, err = capfd.readouterr()
    assert out.count("\n") == 1, out
    return code, json.loads(out), err


def seconds(path: str | Path) -> float:
    with wave.open(str(path), "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def test_generate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out put"
    code, report, _ = run(
        capfd, "-o", str(out / "take.wav"), "--save-as", str(out / "new.blend"), "--seed", "5"
    )
    assert code == 0
    assert report["ok"]
    assert report["seed"] == 5
    assert report["files"] == [str(out / "take.wav")]
    assert seconds(out / "take.wav") == pytest.approx(2.0)
    assert live.session() is None
    bpy.ops.wm.open_mainfile(filepath=str(out / "new.blend"))
    (strip,) = our_strips(bpy.context.scene)
    assert strip.sound.filepath.startswith("//footfall")
    assert Path(bpy.path.abspath(strip.sound.filepath)).is_file()


def test_takes_layers_and_part_of_the_shot(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bpy.context.scene.timeline_markers.new("hit glass", frame=20)
    words = ["--takes", "2", "--layers", "bed,spots", "--start", "0.5", "--end", "1.5"]
    code, report, _ = run(capfd, "-o", str(tmp_path / "x.wav"), *words)
    assert code == 0
    names = [Path(name).name for name in report["files"]]
    assert names == [
        f"x{middle}.wav" for middle in ("", ".bed", ".spots", ".take2", ".take2.bed", ".take2.spots")
    ]
    assert seconds(report["files"][0]) == pytest.approx(1.0)
    beds = [strip for strip in report["strips"] if strip["layer"] == "bed"]
    assert {strip["start"] for strip in beds} == {13}


def test_words_for_the_background(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bpy.context.scene.timeline_markers.new("hit glass", frame=20)
    words = ["--prompt", "boots", "--background", "rain", "--layers", "bed,spots"]
    code, _, _ = run(capfd, *words, "--save-as", str(tmp_path / "new.blend"))
    assert code == 0
    requests = [json.loads(strip["footfall"])["request"] for strip in our_strips(bpy.context.scene)]
    assert [(one["prompt"], one["background"]) for one in requests] == [("boots", "rain")] * 2


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["--range", "preview"], 3, "bad_input"),
        (["--scene", "Nowhere"], 3, "bad_input"),
        (["--source", "camera"], 3, "bad_input"),
        (["--start", "100"], 3, "bad_input"),
        (["--model", "./none"], 3, "bad_input"),
        (["--prompt", "missing"], 4, "model_missing"),
        (["--prompt", "exit"], 5, "worker_died"),
        (["--prompt", "oom"], 5, "out_of_memory"),
    ],
)
def test_exit_codes(words: list[str], code: int, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    ended, report, err = run(capfd, *words)
    assert ended == code, report
    assert not report["ok"]
    assert report["code"] == name
    assert "Traceback" not in err
    assert len(report["error"]) < 400


def test_wrong_usage_is_code_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["generate", "--takes", "many"]) == 2
    assert commands.run(["dance"]) == 2
    assert commands.run([]) == 2
    assert "--takes" in capfd.readouterr().err


def test_progress_goes_to_stderr_and_files_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert commands.run(["generate", "--prompt", "slow 5 20"]) == 0
    out, err = capfd.readouterr()
    assert all(Path(line).is_file() for line in out.splitlines())
    assert "Making the sound" in err
    assert "100% Done" in err


def test_no_worker_is_code_5(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON")
    code, report, _ = run(capfd)
    assert (code, report["code"]) == (5, "worker_not_installed")


def test_the_command_is_known_to_blender() -> None:
    assert len(commands._handles) == int(hasattr(bpy.utils, "register_cli_command"))


def background(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """The bpy module as a program of its own, in a folder where another ``footfall`` lies."""
    (tmp_path / "footfall").mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-W", "ignore", "-m", "footfall.addon.host.commands.background", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=dict(os.environ)
    )


@pytest.mark.skipif(not IS_MODULE, reason="a full Blender runs the bootstrap instead")
def test_as_a_program(tmp_path: Path) -> None:
    child = background(tmp_path, str(tmp_path / "shot.blend"), "--", "generate", "--json")
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    report = json.loads(out)
    assert seconds(report["files"][0]) == pytest.approx(2.0)
    child = background(tmp_path, str(tmp_path / "none.blend"), "--", "generate")
    out, err = child.communicate(timeout=120)
    assert child.returncode == 3
    assert "check its name" in err
    assert out == ""


@pytest.mark.skipif(not IS_MODULE, reason="a full Blender runs the bootstrap instead")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_ctrl_c_is_130_and_leaves_no_worker(tmp_path: Path) -> None:
    child = background(tmp_path, str(tmp_path / "shot.blend"), "--", "generate", "--prompt", "slow 1000 100")
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if "Making the sound" in line:
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, said + err
    assert "Cancelled" in err
    assert out == ""


def test_bootstrap_loads_this_tree() -> None:
    """The script needs nothing but its own place."""
    text = (ROOT / "addon" / "host" / "commands" / "bootstrap.py").read_text("utf-8")
    assert "from ." not in text
