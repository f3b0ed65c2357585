# SPDX-License-Identifier: GPL-3.0-or-later
"""What the starter model costs on this machine: ten seconds of sound from eight pictures, in one process.

    python scripts/bench_starter.py [--model DIR] [--repeats N]

Times are of the faster of N runs, each with pictures and a seed of its own; loading is measured twice, since
the first one embeds the captions and keeps them. Memory is the process's peak, libraries included.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import QUALITIES, FoleyRequest
from footfall.server.__main__ import let_waiting_threads_sleep

let_waiting_threads_sleep()  # as the worker begins, before torch is loaded
from footfall.server.making.pipeline import FoleyPipeline  # noqa: E402
from footfall.server.models.bundle import STARTER_ROOT  # noqa: E402

PICTURES, SECONDS = 8, 10


class Quiet:
    """A JobControl that nobody stops."""

    def check(self) -> None:
        return

    def progress(self, phase: str, fraction: float) -> None:
        return


def request(name: str, seed: int, quality: str) -> FoleyRequest:
    draw = np.random.default_rng(seed)
    return FoleyRequest(
        frames=draw.integers(0, 256, (PICTURES, 224, 398, 3), np.uint8),
        times_s=np.arange(PICTURES) * SECONDS / PICTURES,
        duration_s=Fraction(SECONDS),
        bundle=name,
        seed=seed,
        quality=quality,
    )


def load_seconds(settings: WorkerSettings, name: str) -> float:
    began = time.perf_counter()
    FoleyPipeline(settings)._load(name, Quiet())
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=STARTER_ROOT)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        name = options.model.name
        (Path(folder) / name).symlink_to(options.model.resolve(), target_is_directory=True)
        settings = WorkerSettings(key="0" * 64, parent_pid=0, models_dir=folder, log_dir="", device="cpu")
        FoleyPipeline(settings)
        report: dict[str, float] = {"load_first_s": load_seconds(settings, name)}
        report["load_s"] = load_seconds(settings, name)
        pipeline = FoleyPipeline(settings)
        pipeline.run(request(name, 0, "draft"), Quiet())
        for quality in QUALITIES:
            times = []
            for seed in range(1, 1 + options.repeats):
                began = time.perf_counter()
                pipeline.run(request(name, seed, quality), Quiet())
                times.append(time.perf_counter() - began)
            report[f"{quality}_s"] = min(times)
    unit = 1 if sys.platform == "darwin" else 1024
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps({key: round(value, 2) for key, value in report.items()}))


if __name__ == "__main__":
    main()
