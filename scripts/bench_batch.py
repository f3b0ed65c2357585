# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch costs for each shot beyond drawing its pictures and making its sound, and whether it grows.

Everything is real but the model: in its place a numpy stand-in from the tests makes noise (``--starter``: the
model that ships, at draft). Prints one JSON object. Run from the repository, with the bpy module:
``python scripts/bench_batch.py [--shots 200] [--seconds 5]``; exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FAKES = ROOT / "tests" / "fakes"
FPS = 24
BOUND_MS = 150.0
BOUND_MB = 50.0
MB = 1024 * 1024
WARM = 20  # shots before memory counts: caches fill, allocators settle


def main() -> int:
    parser = argparse.ArgumentParser(description="Overhead of a batch for each shot.")
    parser.add_argument("--shots", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=5, help="of each shot")
    parser.add_argument("--starter", action="store_true", help="with the model that ships, at draft")
    parser.add_argument("--inside", metavar="FILE.blend", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(_inside(options.inside, options.starter)))
        return 0
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        report = _outside(Path(folder), options)
    print(json.dumps(report, indent=1))
    good = report["overhead_ms"] < BOUND_MS and report["growth_mb"] < BOUND_MB
    return 0 if good or options.starter else 1


def _outside(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Make the file, and run the batch in a process of its own, where no torch is."""
    blend = folder / "shots.blend"
    words = [str(blend), str(options.shots), str(options.seconds * FPS)]
    subprocess.run([sys.executable, "-P", str(FAKES / "shots.py"), *words], check=True, capture_output=True)
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    if not options.starter:
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKES / "fake_worker.py"}"\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        environment["FOOTFALL_WORKER_PYTHON"] = str(python)
    command = [sys.executable, "-P", __file__, "--inside", str(blend)]
    done = subprocess.run(
        command + ["--starter"] * options.starter,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    inside: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"shots": options.shots, "seconds": options.seconds, "starter": options.starter, **inside}


def _inside(blend: str, starter: bool) -> dict[str, Any]:
    """The batch itself, with a stop-watch around each tick that draws and each result's own time."""
    import psutil
    from footfall.addon.host import pump
    from footfall.addon.host.commands import background
    from footfall.addon.host.commands import batch as batch_command
    from footfall.addon.worker.reports import Delivered

    me = psutil.Process()
    spent = {"drawing": 0.0, "turn": 0.0}
    memory: list[float] = []
    worker_memory: list[float] = []
    turn, step = batch_command._turn, pump.step

    def timed_turn(running: Any, session: Any, *rest: Any) -> None:
        take = session.take

        def noticed(event: Any) -> None:
            if isinstance(event, Delivered):
                memory.append(me.memory_info().rss / MB)
                worker_memory.append(sum(p.memory_info().rss for p in me.children(recursive=True)) / MB)
            take(event)

        session.take = noticed
        began = time.perf_counter()
        turn(running, session, *rest)
        spent["turn"] += time.perf_counter() - began

    def timed_step(session: Any) -> float:
        began = time.perf_counter()
        pause = step(session)
        if session.did == "picture":
            spent["drawing"] += time.perf_counter() - began
        return pause

    batch_command._turn, pump.step = timed_turn, timed_step
    words = ["--quality", "draft"] if starter else []
    out = Path(blend).with_name("report.json")
    code = background.main([blend, "--", "batch", "--source", "sequencer", f"--report={out}", *words])
    (report,) = json.loads(out.read_text("utf-8"))["blends"]
    made = sum(shot["state"] == "done" for shot in report["shots"])
    return {
        "exit_code": code,
        "made": made,
        "wall_s": round(spent["turn"], 2),
        "drawing_ms": round(1000 * spent["drawing"] / made, 1),
        "overhead_ms": round(1000 * (spent["turn"] - spent["drawing"]) / made, 1),
        "memory_mb": round(memory[-1], 1),
        "growth_mb": round(max(memory[WARM:]) - memory[min(WARM, len(memory) - 1)], 1),
        "worker_growth_mb": round(max(worker_memory[WARM:]) - worker_memory[WARM], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
