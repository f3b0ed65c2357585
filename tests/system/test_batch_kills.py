# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch that is killed at random moments: in the end every shot is there once, and every file whole.

Everything is real but the model: Blender's module draws, a worker with the tests' pipeline makes the sound.
What is killed is the whole family at once, as when the power fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("bpy") is None, reason="NO BLENDER: the bpy module is needed"
    ),
    pytest.mark.skipif(os.name != "posix", reason="process groups"),
]

ROOT = Path(__file__).resolve().parents[2]
FAKES = ROOT / "tests" / "fakes"
LIMIT_S = 240
FRAMES = 12


@dataclass(frozen=True)
class Studio:
    """A folder with a file of shots, and an environment in which the worker is a fake."""

    folder: Path
    environment: dict[str, str]
    shots: int

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "footfall.cli", "batch", "shot.blend"]
        return subprocess.Popen(
            [*command, "--source", "sequencer", "--json", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, dict[str, Any]]:
        child = self.start(*words)
        out, err = child.communicate(timeout=LIMIT_S)
        assert out.count("\n") == 1, err[-3000:]
        report = json.loads(out)
        assert "blends" in report, report
        return child.returncode, report

    @property
    def sounds(self) -> Path:
        return self.folder / "with_sound" / "footfall"

    def made(self) -> list[tuple[str, str]]:
        """(shot, job id) of everything that was ever entered."""
        path = self.sounds / "journal.db"
        if not path.is_file():
            return []
        database = sqlite3.connect(path)
        try:
            return list(database.execute("SELECT shot, job_id FROM made"))
        except sqlite3.OperationalError:  # killed before it had tables
            return []
        finally:
            database.close()


@pytest.fixture
def studio(tmp_path: Path, request: pytest.FixtureRequest) -> Studio:
    shots = getattr(request, "param", 12)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKES / "fake_worker.py"}"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FOOTFALL_")}
    environment |= {"FOOTFALL_WORKER_PYTHON": str(python), "XDG_DATA_HOME": str(tmp_path / "data")}
    subprocess.run(
        [
            sys.executable,
            "-P",
            str(FAKES / "shots.py"),
            str(tmp_path / "shot.blend"),
            str(shots),
            str(FRAMES),
        ],
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    return Studio(tmp_path, environment, shots)


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


def strips_of(blend: Path) -> list[tuple[str, int]]:
    """(file, first frame) of each sound strip, read by another Blender."""
    code = (
        "import bpy, json, sys; bpy.ops.wm.open_mainfile(filepath=sys.argv[1]);"
        "e = bpy.context.scene.sequence_editor;"
        "s = e.strips_all if hasattr(e, 'strips_all') else e.sequences_all;"
        "print('\\n' + json.dumps([(bpy.path.abspath(x.sound.filepath), int(x.frame_start)) for x in s"
        " if x.type == 'SOUND']))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(blend)],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    return [(path, frame) for path, frame in json.loads(done.stdout.strip().splitlines()[-1])]


def check_all_there(studio: Studio, report: dict[str, Any]) -> None:
    assert report["ok"], report
    (blend,) = report["blends"]
    assert [shot["state"] for shot in blend["shots"]] == ["done"] * studio.shots
    entered = Counter(shot for shot, _ in studio.made())
    assert len(entered) == studio.shots
    assert set(entered.values()) == {1}
    waves = sorted(studio.sounds.glob("*.wav"))
    assert len(waves) == studio.shots
    for path in [*waves, *(studio.folder / "with_sound").glob("*.wav")]:
        with wave.open(str(path)) as sound:
            assert sound.getnframes() > 0
            assert len(sound.readframes(sound.getnframes())) == sound.getnframes() * 3 * sound.getnchannels()
    strips = strips_of(Path(blend["blend"]))
    assert sorted(Path(path) for path, _ in strips) == waves
    assert sorted(frame for _, frame in strips) == [1 + FRAMES * number for number in range(studio.shots)]


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
