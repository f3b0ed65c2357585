# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth.costing``: what reading a long shot costs beside playing it.

Both go over the same frames in turns of a hundred, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import bpy
from footfall.addon.host.tracks import reading as tracks
from footfall.addon.timeline import FrameRange, Rate

from .lines import own_stdout
from .long import make_long

TURN = 100  # frames
FOREVER_S = 1e9


def main() -> int:
    parser = argparse.ArgumentParser(prog="footfall.scripts.truth.costing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="with five hits in six of them")
    parser.add_argument(
        "--heavy", action="store_true", help="a shot with two hundred things and bodies that bend"
    )
    options = parser.parse_args()
    lines = own_stdout()
    scene, truth = make_long(
        1000, hits=round(options.seconds / 1.2), seconds=options.seconds, heavy=options.heavy
    )
    span = FrameRange(scene.frame_start, scene.frame_end)
    reading = tracks.Reading(scene, span, Rate(scene.render.fps, scene.render.fps_base))
    read_s, bare_s = 0.0, 0.0
    for frame in range(span.start, span.end + 1, TURN):
        last = min(frame + TURN - 1, span.end)
        read_s += timed(reading.step, last, FOREVER_S)[0]
        bare_s += timed(play, scene, frame, last)[0]
    spent, more = timed(reading.step, None, FOREVER_S)
    assert not more
    read_s += spent
    spent, events = timed(reading.finish)
    read_s += spent
    found = [(float(event.time_s), event.kind, event.words, event.strength) for event in events]
    figures = {"read_s": read_s, "bare_s": bare_s, "ratio": read_s / bare_s, "frames": span.count}
    lines.write(json.dumps({"truth": asdict(truth), "found": found, **figures}) + "\n")
    lines.flush()
    return 0


def play(scene: bpy.types.Scene, first: int, last: int) -> None:
    """Evaluate the frames and nothing else."""
    for frame in range(first, last + 1):
        scene.frame_set(frame)


def timed(work: Callable[..., Any], *words: Any) -> tuple[float, Any]:
    """(seconds, what it returned)."""
    began = time.perf_counter()
    result = work(*words)
    return time.perf_counter() - began, result


if __name__ == "__main__":
    raise SystemExit(main())
