# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's middle step with the real worker: one warm worker for a session, and many machines for one job.

The starter at draft on half a second of sound, so that a shot takes a second or two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.batch import farm, message_file
from footfall.addon.batch.farm import Farm, FarmShot
from footfall.addon.wire.messages import Event, FoleyRequest, Submit

ROOT = Path(__file__).resolve().parents[2]
OPENJD = Path(sys.executable).with_name("openjd")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def make_job(folder: Path, count: int, **changes: Any) -> Farm:
    """A captured job of ``count`` short shots, each of another colour; anything may be changed."""
    folder.mkdir()
    shots = [
        FarmShot(number=n, key=f"markers/Scene/sh{n}", name=f"sh{n}", job_id=f"{n:032x}")
        for n in range(1, count + 1)
    ]
    job = farm.write_list(folder, "a.blend", shots)
    for shot in shots:
        plain: dict[str, Any] = {
            "frames": np.full((2, 32, 32, 3), 25 * shot.number, np.uint8),
            "times_s": np.array([0.0, 0.25]),
            "duration_s": Fraction(1, 2),
            "layers": ("bed", "spots"),
            "events": (Event(time_s=Fraction(1, 8), words="wood"),),
            "quality": "draft",
            "seed": shot.number,
        }
        request = FoleyRequest(**(plain | changes))
        message_file.write(job.request_path(shot), Submit(job_id=shot.job_id, request=request))
    return job


def run(*words: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "footfall.cli", "farm", *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found


def samples(job: Farm) -> list[bytes]:
    """All samples of every shot. Each shot must have its result."""
    found = []
    for shot in job.shots:
        result = job.result(shot)
        assert result is not None, shot
        found += [clip.waveform.tobytes() for clip in result.clips]
    return found


def test_a_session_s_tasks_share_a_worker_and_nothing_is_made_twice(tmp_path: Path) -> None:
    job, session = make_job(tmp_path / "job", 2), tmp_path / "session"
    run("open", session, "--for", job.folder)
    try:
        assert run("generate", job.folder, "--shot=1", "--session", session, "--json")["made"] == [1]
        again = run("generate", job.folder, "--session", session, "--json")
        assert (again["made"], again["kept"]) == ([2], [1])
        said = (session / "keeper.log").read_text()
        assert said.count("worker ") == 1, "the same worker all along"
    finally:
        run("close", session)
    assert not (session / "keys").exists()
    assert not (session / "address").exists()
    apart = make_job(tmp_path / "apart", 2)
    run("generate", apart.folder, "--json")
    assert samples(apart) == samples(job), "a worker of its own gives the same samples"


def test_words_alone_go_the_same_way(tmp_path: Path) -> None:
    """Without a picture: the session warms its model up with the first shot, and makes them all."""
    nothing = {"frames": np.zeros((0, 8, 8, 3), np.uint8), "times_s": np.zeros(0)}
    words = {"prompt": "rain", "condition": "clap_text", "layers": ("bed",), "events": ()}
    job, session = make_job(tmp_path / "job", 2, **nothing, **words), tmp_path / "session"
    run("open", session, "--for", job.folder)
    try:
        assert run("generate", job.folder, "--session", session, "--json")["made"] == [1, 2]
    finally:
        run("close", session)
    first, second = samples(job)
    assert np.abs(np.frombuffer(first, np.float32)).max() > 0.01
    assert first != second, "each shot has a seed of its own"


@pytest.mark.slow
def test_four_machines_give_the_samples_of_one(tmp_path: Path) -> None:
    """Four sessions of openjd-cli at a time, each with its own worker and two of the eight tasks."""
    alone, shared = make_job(tmp_path / "alone", 8), make_job(tmp_path / "shared", 8)
    sessions = []
    for first in range(1, 9, 2):
        words = ["run", ROOT / "farm/footfall.openjd.yaml", "--step", "Generate"]
        words += ["--tasks", json.dumps([{"Shot": first}, {"Shot": first + 1}])]
        for name, value in (
            ("BlendFile", "a.blend"),
            ("JobFolder", shared.folder),
            ("Result", tmp_path / "out.blend"),
            ("ShotCount", 8),
            ("Footfall", Path(sys.executable).with_name("footfall")),
        ):
            words += ["-p", f"{name}={value}"]
        sessions.append(
            subprocess.Popen(
                [OPENJD, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=ENVIRONMENT,
            )
        )
    for session in sessions:
        said, _ = session.communicate()
        assert session.returncode == 0, said[-4_000:]
    run("generate", alone.folder, "--json")
    assert samples(shared) == samples(alone)
