# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall`` as a program: exit codes, one sentence on stderr, one object on stdout with --json."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

LIMIT_S = 120  # for one command, on a machine with much else to do
TINY = "audioldm-s-full-v2"


@dataclass(frozen=True)
class Shell:
    """A folder to work in, and an environment in which nothing of this user's is seen."""

    folder: Path
    environment: dict[str, str]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "footfall.cli", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **environment: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        child = self.start(*words, **environment)
        out, err = child.communicate(timeout=LIMIT_S)
        return child.returncode, out, err

    def refused(self, *words: str) -> tuple[int, str]:
        """(exit code, the error's code), of a command with --json that must fail as the contract says."""
        code, out, err = self.run(*words, "--json")
        report = one_object(out)
        assert report["ok"] is False
        assert one_sentence(err) == f"footfall: {report['error']}"
        return code, report["code"]


def one_object(out: str) -> dict[str, Any]:
    assert out.count("\n") == 1, out
    report = json.loads(out)
    assert isinstance(report, dict)
    return report


def one_sentence(err: str) -> str:
    assert err.count("\n") == 1, err
    assert err.startswith("footfall: "), err
    assert len(err) < 500, err
    return err.strip()


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("shell") / "a 'shot' “ü” 🎬"
    folder.mkdir()
    models = folder / "models"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("FOOTFALL_", "XDG_"))},
        "FOOTFALL_MODELS": str(models),
        "XDG_DATA_HOME": str(folder / "data"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    made = Shell(folder, environment)
    code, out, err = made.run("models", "random", TINY, str(models / "tiny"), "--tiny", "--json")
    assert (code, err) == (0, "")
    assert one_object(out)["random"] is True
    write_picture(folder / "still.bmp")
    (folder / "rubbish.mp4").write_bytes(b"no film" * 999)
    (folder / "rubbish.blend").write_bytes(b"no file of Blender's" * 99)
    return made


def write_picture(path: Path) -> None:
    """64 x 48 pixels, 24-bit BMP."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[10:30, 20:50] = 200
    head = b"BM" + (54 + pixels.size).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = b"".join(n.to_bytes(4, "little") for n in (40, 64, 48)) + b"\1\0\x18\0" + bytes(24)
    path.write_bytes(head + info + pixels.tobytes())


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def test_models_list(shell: Shell) -> None:
    code, out, err = shell.run("models", "list", "--json")
    assert (code, err) == (0, "")
    here = [row["name"] for row in one_object(out)["models"] if row["installed"]]
    assert here == ["starter", "tiny"]


def test_without_the_workers_packages_the_doctor_is_left(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "av.py").write_text("raise ImportError('cut in half', name='av')\n")
    code, out, err = shell.run("generate", "still.bmp", "--json", PYTHONPATH=str(tmp_path))
    assert code == 5
    assert one_object(out)["code"] == "worker_not_installed"
    assert "doctor" in one_sentence(err)
    code, out, err = shell.run("doctor", "--json", PYTHONPATH=str(tmp_path))
    assert (code, err) == (3, "")
    report = one_object(out)
    assert report["ok"] is False
    wrong = {item["what"]: item["found"] for item in report["findings"] if item["remedy"]}
    assert "cut in half" in wrong["av"]
    assert {"python", "torch", "models", "blender", "disk"} <= {item["what"] for item in report["findings"]}


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "still.bmp", "--takes", "many"),
        ("generate", "still.bmp", "--qual", "draft"),
        ("generate",),
        ("dance",),
        ("demo", "--quality", "loud"),
        ("worker",),  # has no --json
    ],
)
def test_wrong_usage(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.refused(*words) == (2, "usage")


def test_errors_for_people_leave_stdout_alone(shell: Shell) -> None:
    code, out, err = shell.run("generate", "none.mp4")
    assert (code, out) == (3, "")
    assert "none.mp4" in one_sentence(err.removeprefix("  0% reading\n"))


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "none.mp4"),
        ("generate", "none.blend"),
        ("generate", "x" * 300 + ".mp4"),
        ("generate", "x" * 300 + ".blend"),
        ("generate", "rubbish.mp4"),
        ("generate", "still.bmp", "--events", "none.json"),
        ("generate", "still.bmp", "--model", "./models"),
        ("generate", "still.blend", "--mux", "x.mp4"),
        ("generate", "models"),  # a folder without pictures
        ("models", "random", "none", "new"),
    ],
)
def test_bad_input(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.refused(*words) == (3, "bad_input")


def test_places_that_cannot_be_written_are_told_before_the_work(shell: Shell) -> None:
    (shell.folder / "folder.wav").mkdir()
    assert shell.refused("generate", "still.bmp", "-o", "folder.wav") == (3, "save")
    assert shell.refused("generate", "still.bmp", "-o", "still.bmp/x.wav") == (3, "save")
    assert shell.refused("demo", "--out", "still.bmp") == (3, "bad_input")


def test_missing_models(shell: Shell) -> None:
    assert shell.refused("generate", "still.bmp", "--model", "nowhere") == (4, "model_missing")
    assert shell.refused("models", "verify", "nowhere") == (4, "model_missing")


def test_generate(shell: Shell) -> None:
    words = ("generate", "./still.bmp", "-o", "new/a sound.wav", "--model", "tiny", "--quality", "draft")
    code, out, err = shell.run(*words, "--end", "1", "--json")
    assert (code, err) == (0, "")
    report = one_object(out)
    assert report["files"] == [str(Path("new") / "a sound.wav")]
    assert seconds(shell.folder / report["files"][0]) == pytest.approx(1.0)
    assert report["bundle"] == "tiny"


def test_ctrl_c(shell: Shell) -> None:
    child = shell.start("generate", "still.bmp", "--model", "tiny", "--quality", "best", "--end", "300")
    assert child.stderr is not None
    said = next(line for line in child.stderr if "worker" in line)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=LIMIT_S)
    assert (child.returncode, out) == (130, ""), said + err
    assert err.splitlines()[-1] == "footfall: Cancelled."
    assert "Traceback" not in err


def test_worker_once(shell: Shell) -> None:
    code, out, err = shell.run("worker", "--once")
    assert (code, err) == (0, "")
    assert "ready" in out


@pytest.fixture(scope="module")
def blend(shell: Shell) -> str:
    """A file of half a second, made by the bpy module, which never shares a process with torch."""
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("this Python has no bpy module")
    name = "shot 'one'.blend"
    make = (
        "import bpy, sys\n"
        "scene = bpy.context.scene\n"
        "scene.frame_end, scene.render.resolution_x, scene.render.resolution_y = 12, 64, 48\n"
        "bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", make, str(shell.folder / name)], check=True, capture_output=True)
    return name


def test_blend(shell: Shell, blend: str) -> None:
    words = ("generate", f".//{blend}", "-o", "blend.wav", "--model", "tiny", "--quality", "draft")
    code, out, err = shell.run(*words, "--json")
    assert code == 0, err
    report = one_object(out)
    assert seconds(shell.folder / "blend.wav") == pytest.approx(0.5)
    assert len(report["strips"]) == 1


def test_blend_that_is_none(shell: Shell, blend: str) -> None:
    code, out, err = shell.run("generate", "rubbish.blend", "--json")
    report = one_object(out)
    assert (code, report["code"]) == (3, "bad_input")
    assert report["error"] in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for Blender")
@pytest.mark.parametrize(
    ("does", "code", "name"),
    [("exit 1", 3, "bad_input"), ("kill -9 $$", 5, "worker_died"), ("kill -2 $$", 130, "cancelled")],
)
def test_a_blender_that_ends_without_a_word(shell: Shell, does: str, code: int, name: str) -> None:
    program = shell.folder / "blender"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    assert shell.refused("generate", "rubbish.blend", "--blender", str(program)) == (code, name)


def test_blend_cancelled_is_told_once(shell: Shell, blend: str) -> None:
    words = ("generate", blend, "--model", "tiny", "--quality", "best", "--takes", "4", "--json")
    child = shell.start(*words)
    wait_for_worker(child.pid)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 130, out + err
    assert one_object(out)["code"] == "cancelled"
    assert "Traceback" not in err


def wait_for_worker(pid: int) -> None:
    """Until the Blender that ``pid`` has started has started a worker."""
    process = psutil.Process(pid)
    pause = threading.Event()
    while process.is_running() and len(process.children(recursive=True)) < 2:
        pause.wait(0.02)
