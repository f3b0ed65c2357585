# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth.sounding --out DIR``: truth scenes get sound the way of a real job.

Hits read from the scene, the real worker with the starter model, strips in the sequencer; then the mix that
Footfall writes, Blender's own mixdown, and one undo. Each line on standard output tells where these are. With
``--long`` it is the shot of ten minutes with 500 hits instead.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from footfall.addon import options as words
from footfall.addon.host import live, orders, pump, registration, sequencer
from footfall.addon.host.sounds import mixdown
from footfall.addon.sounds import take_files as takes
from footfall.addon.wire.messages import FoleyRequest, Result
from footfall.addon.worker.reports import Delivered

from .lines import own_stdout, scene_arguments
from .long import make_long
from .make import make
from .model import KINDS, Truth

HEAD_S = 0.06  # of every spot: so much is kept to look for it in the mix
PATIENCE_S = 1200.0


def sound(
    scene: bpy.types.Scene, truth: Truth, out: Path, settings: dict[str, Any], per_second: float
) -> Any:
    """Give ``scene`` its sound; what came of it, as one JSON object. Raises RuntimeError when nothing did."""
    name = f"{truth.kind}-{truth.seed}"
    bpy.ops.wm.save_as_mainfile(filepath=str(out / f"{name}.blend"))
    bpy.ops.ed.undo_push(message="Scene")
    session = live.get()
    try:
        order = orders.make(
            scene,
            session.file_id,
            orders.frame_range(scene, "scene"),
            source="render",
            per_second=per_second,
            settings=settings,
            hits="scene",
        )
        began = time.perf_counter()
        result, request = run(session, session.add(order))
        spent = time.perf_counter() - began
    finally:
        live.end()
    scene = bpy.context.scene
    takes.write_takes(result, request, out / f"{name}.wav")
    mixdown.mixdown(scene, out / f"{name}.blender.wav")
    strips = len(sequencer.all_strips(scene))
    bpy.ops.ed.undo()
    return {
        "truth": asdict(truth),
        "mix": str(out / f"{name}.wav"),
        "blender": str(out / f"{name}.blender.wav"),
        "spots": heads(result, out / f"{name}.heads"),
        "events": [
            {"time_s": float(e.time_s), "strength": e.strength, "words": e.words} for e in request.events
        ],
        "strips": strips,
        "strips_after_one_undo": len(sequencer.all_strips(bpy.context.scene)),
        "spent_s": spent,
    }


def run(session: Any, job_id: str) -> tuple[Result, FoleyRequest]:
    """Turn the pump until the job has its strips."""
    job = session.table.get(job_id)
    result, request, deadline = None, None, time.monotonic() + PATIENCE_S
    while (job.active or job.state == "done") and time.monotonic() < deadline:
        pump.step(session)
        request = session.works[job_id].request or request
        if session.client is not None and session.capture is None:
            for event in session.client.wait(0.02):
                if isinstance(event, Delivered):
                    result = event.result
                session.take(event)
    if job.state != "placed" or result is None or request is None:
        raise RuntimeError(f"{job.state}: {job.sentence} {job.detail}")
    return result, request


def heads(result: Result, file: Path) -> list[dict[str, Any]]:
    """Where each spot begins, and where in ``file`` its first part lies: mono float32 at the clip's rate."""
    told, at = [], 0
    with file.open("wb") as heads_file:
        for clip in result.clips:
            if clip.layer != "spots":
                continue
            head = clip.waveform[: round(HEAD_S * clip.rate_hz)].mean(axis=1, dtype=np.float32)
            heads_file.write(np.ascontiguousarray(head, "<f4").tobytes())
            told.append({"start_s": float(clip.start_s), "event": clip.event, "at": at, "samples": len(head)})
            at += len(head)
    return [{**one, "file": str(file), "rate_hz": result.clips[0].rate_hz} for one in told]


def main() -> int:
    parser = scene_arguments("footfall.scripts.truth.sounding", __doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files go")
    parser.add_argument("--long", action="store_true", help="500 hits in ten minutes; spots alone")
    words.add_sound_options(parser)
    options = parser.parse_args()
    lines = own_stdout()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    settings = words.request_settings(options)
    os.environ.setdefault("FOOTFALL_WORKER_PYTHON", sys.executable)  # this Python can run the worker
    registration.register()
    if options.long:
        scene, truth = make_long(1000)
        lines.write(json.dumps(sound(scene, truth, out, {**settings, "layers": ("spots",)}, 0.2)) + "\n")
        return 0
    for kind in options.kind or KINDS:
        for seed in options.seeds:
            scene, truth = make(kind, seed, options.rate)
            lines.write(json.dumps(sound(scene, truth, out, settings, 2.0)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
