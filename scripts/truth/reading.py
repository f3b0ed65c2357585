# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets Footfall read the hits of truth scenes from the scene: in Blender's process, which knows no torch."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from footfall.addon.host.tracks import reading as tracks
from footfall.addon.timeline import FrameRange, Rate

from .lines import own_stdout, scene_arguments
from .make import make
from .model import KINDS


def read(kind: str, seed: int, rate: str = "") -> dict[str, Any]:
    """{truth, found: [(seconds, kind, words, strength)], frames, read_s: how long the reading took}."""
    scene, truth = make(kind, seed, rate)
    span = FrameRange(scene.frame_start, scene.frame_end)
    began = time.perf_counter()
    events = tracks.read(scene, span, Rate(scene.render.fps, scene.render.fps_base))
    spent = time.perf_counter() - began
    found = [(float(event.time_s), event.kind, event.words, event.strength) for event in events]
    return {"truth": asdict(truth), "found": found, "frames": span.count, "read_s": spent}


def main() -> int:
    """``python -m footfall.scripts.truth.reading --kind keyed --seeds 0-9``: one JSON object a line."""
    parser = scene_arguments("footfall.scripts.truth.reading", __doc__)
    options = parser.parse_args()
    lines = own_stdout()
    for kind in options.kind or KINDS:
        for seed in options.seeds:
            lines.write(json.dumps(read(kind, seed, options.rate)) + "\n")
    lines.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
