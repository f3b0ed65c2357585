# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a shot takes to the worker and its sound back, and how much memory that costs the add-on.

Everything is real but the model: in its place a numpy stand-in from the tests makes noise. Its time is part
of what is measured, and told apart. Prints one JSON object. Run from the repository:
``python scripts/bench_round_trip.py [--seconds 10] [--runs 30]``; exit code 1 when the bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import tracemalloc
import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import Accepted, Failed, FoleyRequest, Result
from footfall.addon.worker.client import JobClient, WorkerLaunch

WORKER = Path(__file__).resolve().parent.parent / "tests" / "fakes" / "fake_worker.py"
PER_SECOND = 4
SIZES = ((224, 224), (224, 288))  # height, width: square, and what a 16:9 picture of a scene is captured at
BOUND_MS = 300.0
LONG_FRAMES = 2_400  # ten minutes
MB = 1024 * 1024
DEADLINE_S = 120.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Round trip of a shot without model time.")
    parser.add_argument("--seconds", type=int, default=10, help="length of the shot (default: 10)")
    parser.add_argument("--runs", type=int, default=30, help="how often (default: 30)")
    parser.add_argument("--long-frames", type=int, default=LONG_FRAMES, help="frames of the memory test")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        client = JobClient(_launch(Path(folder)), version="bench")
        try:
            report = _measure(client, options)
        finally:
            client.close()
    print(json.dumps(report, indent=1))
    return 0 if all(shot["median_ms"] < BOUND_MS for shot in report["shots"]) else 1


def _measure(client: JobClient, options: argparse.Namespace) -> dict[str, Any]:
    shots = []
    for height, width in SIZES:
        shot = _shot(options.seconds * PER_SECOND, height, width, options.seconds)
        first_ms = _round_trip(client, shot, 0)  # with the start of the worker, if it is the first
        times = sorted(_round_trip(client, shot, seed + 1) for seed in range(options.runs))
        shots.append(
            {
                "frames": len(shot["frames"]),
                "size": [height, width],
                "frames_mb": round(shot["frames"].nbytes / MB, 2),
                "first_ms": round(first_ms, 1),
                "median_ms": round(statistics.median(times), 1),
                "p95_ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1),
                "stand_in_ms": round(_stand_in_ms(shot), 1),
            }
        )
    return {
        "seconds": options.seconds,
        "runs": options.runs,
        "bound_ms": BOUND_MS,
        "shots": shots,
        "memory": _memory(client, options.long_frames),
        "cores": os.cpu_count(),
    }


def _launch(folder: Path) -> WorkerLaunch:
    def settings(key: str) -> WorkerSettings:
        return WorkerSettings(key=key, parent_pid=os.getpid(), models_dir=str(folder), log_dir=str(folder))

    return WorkerLaunch(
        python=Path(sys.executable), script=WORKER, settings=settings, extra_env={"OMP_NUM_THREADS": "1"}
    )


def _shot(frames: int, height: int, width: int, seconds: int) -> dict[str, Any]:
    pictures = np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), np.uint8)
    return {
        "frames": pictures,
        "times_s": np.arange(frames) * (seconds / frames),
        "duration_s": Fraction(seconds),
    }


def _round_trip(client: JobClient, shot: dict[str, Any], seed: int) -> float:
    """Milliseconds from the captured frames to the sound in the owner's hands; the stand-in included."""
    began = time.perf_counter()
    job_id = uuid.uuid4().hex
    client.submit(job_id, FoleyRequest(**shot, seed=seed))
    _wait_for(client, job_id, Result)
    return (time.perf_counter() - began) * 1000


def _wait_for(client: JobClient, job_id: str, kind: type) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        for event in client.wait(0.5):
            if isinstance(event, Failed):
                raise SystemExit(f"{event.sentence}\n{event.detail}")
            if isinstance(event, kind) and getattr(event, "job_id", "") == job_id:
                return
    raise SystemExit(f"no {kind.__name__} in {DEADLINE_S:g} s: {client.status}")


def _stand_in_ms(shot: dict[str, Any]) -> float:
    """What the stand-in for the model takes of a round trip: the same call, here."""
    from footfall.tests.fakes.fake_pipeline import render

    times = []
    for seed in range(5):
        request = FoleyRequest(**shot, seed=seed)
        began = time.perf_counter()
        render(request)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


class _Peak(threading.Thread):
    """The most resident memory of this process while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._me = psutil.Process()
        self._done = threading.Event()
        self.before = self.most = self._me.memory_info().rss

    def run(self) -> None:
        while not self._done.wait(0.002):
            self.most = max(self.most, self._me.memory_info().rss)

    def stop(self) -> int:
        """Bytes above the beginning."""
        self._done.set()
        self.join()
        return self.most - self.before


def _memory(client: JobClient, frames: int) -> dict[str, Any]:
    """What sending a long shot costs this process beyond the shot itself, until the worker has it."""
    shot = _shot(frames, 224, 288, 10)
    request = FoleyRequest(**shot)
    job_id = uuid.uuid4().hex
    tracemalloc.start()
    peak = _Peak()
    peak.start()
    client.submit(job_id, request)
    _wait_for(client, job_id, Accepted)
    extra = peak.stop()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    _wait_for(client, job_id, Result)
    size = shot["frames"].nbytes
    return {
        "frames": frames,
        "shot_mb": round(size / MB, 1),
        "extra_rss_mb": round(extra / MB, 1),
        "extra_python_mb": round(traced / MB, 1),
        "extra_of_shot": round(max(extra, traced) / size, 4),
    }


if __name__ == "__main__":
    sys.exit(main())
