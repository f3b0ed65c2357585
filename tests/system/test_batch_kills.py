# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch that is killed at random moments: in the end every shot is there once, and every file whole.

What is killed is the whole family at once, as when the power fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .studio import LIMIT_S, Studio, check_all_there, make_studio

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("bpy") is None, reason="NO BLENDER: the bpy module is needed"
    ),
    pytest.mark.skipif(os.name != "posix", reason="process groups"),
]


@pytest.fixture
def studio(tmp_path: Path, request: pytest.FixtureRequest) -> Studio:
    return make_studio(tmp_path, getattr(request, "param", 12))


def kill_family(child: subprocess.Popen[str]) -> None:
    """End it and all that it started, at once and without a word; Blender has a group of its own."""
    import psutil

    try:
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for process in family:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    child.communicate(timeout=60)


def killed(studio: Studio, times: int, seed: int, longest_s: float) -> None:
    """Start it and kill it, so often, each time at another moment; then let it finish."""
    chance = random.Random(seed)
    before: list[tuple[str, str]] = []
    for _ in range(times):
        child = studio.start()
        try:
            child.communicate(timeout=chance.uniform(0.3, longest_s))
        except subprocess.TimeoutExpired:
            kill_family(child)
        made = studio.made()
        assert made[: len(before)] == before  # what was entered stays, and stays as it was
        assert len({shot for shot, _ in made}) == len(made)
        before = made
    code, report = studio.run()
    if code:  # a shot that was killed over three times in a row is tried again when it is asked for again
        code, report = studio.run()
    check_all_there(studio, report)


def test_killed_three_times(studio: Studio) -> None:
    killed(studio, 3, seed=1, longest_s=3.0)


@pytest.mark.slow
@pytest.mark.parametrize("studio", [40], indirect=True)
@pytest.mark.timeout(900)
def test_killed_20_times(studio: Studio) -> None:
    killed(studio, 20, seed=2, longest_s=4.0)


def test_ctrl_c_is_130_and_the_same_command_goes_on(studio: Studio) -> None:
    child = studio.start("--prompt", "slow 4 25")
    deadline = time.monotonic() + LIMIT_S
    while len(studio.made()) < 2:
        assert time.monotonic() < deadline
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=LIMIT_S)
    report = json.loads(out)
    assert (child.returncode, report["code"]) == (130, "cancelled")
    assert "goes on" in report["error"]
    kept = studio.made()
    assert len(kept) < studio.shots
    code, report = studio.run("--prompt", "slow 4 25")
    assert code == 0
    assert studio.made()[: len(kept)] == kept
    check_all_there(studio, report)


def test_two_at_once_share_the_work(studio: Studio) -> None:
    """Two Blenders on one file: each shot is made by one of them, and both results have them all."""
    children = [studio.start(), studio.start()]
    outs = [child.communicate(timeout=LIMIT_S) for child in children]
    for child, (out, err) in zip(children, outs, strict=True):
        assert child.returncode == 0, err[-3000:]
        check_all_there(studio, json.loads(out))


def test_a_worker_that_dies_over_one_shot_takes_no_other_with_it(studio: Studio) -> None:
    """R7: the shot that ends the worker is told; its neighbours are made, and it can be tried again."""
    jobs = studio.folder / "jobs.toml"
    text = '[[file]]\npath = "shot.blend"\n[[file.shot]]\nname = "sh003"\nprompt = "exit"\n'
    jobs.write_text(text, "utf-8")
    code, report = studio.run("--jobs", "jobs.toml")
    assert code == 5
    states = {shot["name"]: shot["state"] for shot in report["blends"][0]["shots"]}
    assert states.pop("sh003") == "failed"
    assert set(states.values()) == {"done"}
    jobs.write_text(text.replace("exit", "wood"), "utf-8")
    code, report = studio.run("--jobs", "jobs.toml", "--only", "failed")
    assert code == 0
    assert [shot["name"] for shot in report["blends"][0]["shots"] if not shot["kept"]] == ["sh003"]
    check_all_there(studio, report)


def test_storage_that_vanishes_is_told_and_comes_back(studio: Studio) -> None:
    """The folder with the sound goes away in the middle: one sentence, nothing lost, and it goes on later."""
    child = studio.start("--prompt", "slow 4 25")
    deadline = time.monotonic() + LIMIT_S
    while len(studio.made()) < 3:
        assert time.monotonic() < deadline
        assert child.poll() is None
    away = studio.folder / "away"
    studio.sounds.parent.rename(away)
    studio.sounds.parent.write_text("in the way")  # as a share that is gone: it cannot be made anew
    out, _ = child.communicate(timeout=LIMIT_S)
    report = json.loads(out)
    assert child.returncode == 3
    assert report["blends"][0]["error"] or any(shot["error"] for shot in report["blends"][0]["shots"])
    studio.sounds.parent.unlink()
    away.rename(studio.sounds.parent)
    kept = studio.made()
    assert len(kept) >= 3
    code, report = studio.run("--prompt", "slow 4 25")
    assert code == 0
    assert studio.made()[: len(kept)] == kept
    check_all_there(studio, report)
