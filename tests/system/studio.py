# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of short shots for tests of whole batches. Everything is real but the model: Blender's module draws,
a worker with the tests' pipeline makes the sound.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def make_studio(folder: Path, shots: int) -> Studio:
    """A file of ``shots`` shots in ``folder``."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKES / "fake_worker.py"}"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FOOTFALL_")}
    environment |= {"FOOTFALL_WORKER_PYTHON": str(python), "XDG_DATA_HOME": str(folder / "data")}
    subprocess.run(
        [
            sys.executable,
            "-P",
            str(FAKES / "shots.py"),
            str(folder / "shot.blend"),
            str(shots),
            str(FRAMES),
        ],
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    return Studio(folder, environment, shots)


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
