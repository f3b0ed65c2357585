# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets Footfall read the hits of truth scenes from the scene: in Blender's process, which knows no torch."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from footfall.addon.host import tracks
from footfall.addon.timeline import FrameRange, Rate

from .make import make


def read(kind: str, seed: int, rate: str = "") -> dict[str, Any]:
    """{truth, found: [(seconds, kind, words, strength)], frames, read_s: how long the reading took}."""
    scene, truth = make(kind, seed, rate)
    span = FrameRange(scene.frame_start, scene.frame_end)
    began = time.perf_counter()
    events = tracks.read(scene, span, Rate(scene.render.fps, scene.render.fps_base))
    spent = time.perf_counter() - began
    found = [(float(event.time_s), event.kind, event.words, event.strength) for event in events]
    return {"truth": asdict(truth), "found": found, "frames": span.count, "read_s": spent}
