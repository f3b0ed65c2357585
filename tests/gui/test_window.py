# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender window: the zip is installed, buttons are pressed, and the screen is photographed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from footfall.tests.gui.conftest import REAL, ROOT, environment

BOOTSTRAP = ROOT / "addon" / "host" / "commands" / "bootstrap.py"
Window = Callable[..., dict[str, Any]]

TICK_MS = 50.0  # the longest of our turns on the main thread, but for the drawing of one picture
GONE_S = 2.0
QUIT_S = 3.0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def slowest(found: dict[str, Any]) -> float:
    """Milliseconds of the longest turn that drew no picture."""
    return max(took for what, took in found["ticks"].items() if what != "picture")


def test_generate(window: Window) -> None:
    found = window("generate")
    first, last = found["strips"][0][1:3]
    assert (first, last) == (1, 121)
    assert found["frame_given_back"] == 7
    assert len(found["files"]) == len(found["strips"])
    assert found["strips_after_undo"] == 0
    assert found["prompt"] == "slow 40 100"  # one step back takes the strips and nothing else
    assert found["strips_after_redo"] == len(found["strips"])
    assert slowest(found) < TICK_MS, found["ticks"]
    print(f"slowest ticks in ms: {found['ticks']}")


def test_the_demo_shot(window: Window) -> None:
    found = window("demo", prompt="" if REAL else "slow 40 150")
    assert found["strips"] > 5  # a bed, and a spot for each hit
    assert slowest(found) < TICK_MS, found["ticks"]
    print(f"slowest ticks in ms: {found['ticks']}")
    if not REAL:
        print(f"sent to placed, with 12 strips and no model: {found['round_trip_ms']:.0f} ms")


def test_trouble(window: Window) -> None:
    found = window("trouble")
    assert (found["escaped"], found["frame_after_escape"]) == ("cancelled", 1)
    state, sentence = found["undone_while_capturing"]
    assert state == "placed" or sentence
    code, sentence = found["crash"]
    assert code == "worker_died"
    assert "Traceback" not in sentence
    assert "Footfall" in found["details"]
    assert "worker_died" in found["details"]
    assert found["log"]
    assert found["after_crash"] == "placed"
    words, strips = found["deleted"]
    assert "gone" in words
    assert strips == 0
    assert found["placed_elsewhere"][0] == "placed"
    assert found["placed_elsewhere"][1] > 0
    assert found["in_wrong_file"] == 0
    assert "another file" in found["told"]
    assert found["came_home"] == "placed"
    assert found["in_right_file"] > 0
    assert slowest(found) < TICK_MS, found["ticks"]


def test_toggle_20x(window: Window) -> None:
    found = window("toggle")
    assert found["loaded_at_start"] == []
    assert found["loaded_when_enabled"] == []
    assert found["enable_ms"] < 50.0
    assert found["disable_ms"] < QUIT_S * 1000
    assert found["after"] == found["before"]
    assert found["after"]["classes"] == []
    assert found["after"]["children"] == []
    assert not found["after"]["property"]
    for what in ("children", "handlers", "classes", "threads"):
        assert found["after_capture"][what] == found["before"][what]
    assert found["frame"] == 1
    print(f"enabled in {found['enable_ms']:.1f} ms, disabled with a job in {found['disable_ms']:.0f} ms")


@pytest.mark.parametrize("prompt", ["slow 1000 100", "hang-gil 60"])
def test_quit_with_a_job_running(window: Window, prompt: str) -> None:
    found = window("quit", prompt=prompt)
    ended = time.time()
    assert ended - found["quit_at"] < QUIT_S + GONE_S
    deadline = time.monotonic() + GONE_S
    while alive(found["worker"]):
        assert time.monotonic() < deadline, "the worker outlived Blender"


def test_the_zip_for_older_blenders_is_refused(blender: str, extension: Path, tmp_path: Path) -> None:
    older = next(extension.parent.glob("footfall-*-blender-4.2-5.0.zip"))
    command = [blender, "--command", "extension", "install-file", "-r", "user_default", "-e", str(older)]
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "must be less than the maximum version (5.1.0)" in done.stdout, done.stdout + done.stderr
    assert not list(tmp_path.rglob("addon"))


def command_line(blender: str, user: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [blender, "-b", *words],
        env=environment(user),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )


def test_the_same_without_a_window(blender: str, installed: Path, tmp_path: Path) -> None:
    """The installed extension's own command, and this tree in a Blender that has no extension."""
    shot = tmp_path / "shot with spaces.blend"
    made = command_line(
        blender,
        tmp_path,
        "--factory-startup",
        "--python",
        str(BOOTSTRAP),
        "--",
        "demo-shot",
        "--save-as",
        str(shot),
    )
    assert made.returncode == 0, made.stdout + made.stderr
    words = ["--command", "footfall", "generate", "--json", "--per-second", "1", "--save-as", str(shot)]
    done = command_line(blender, installed, str(shot), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    report = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert report["strips"][0]["start"] == 101
    refused = command_line(
        blender, installed, str(shot), "--command", "footfall", "generate", "--range", "preview"
    )
    assert refused.returncode == 3
    assert "preview range" in refused.stderr
