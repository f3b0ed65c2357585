# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be captured if the button were pressed now, in one sentence, or why it cannot be pressed.

Panels ask at every redraw and finding out touches files, so the answer is remembered for a moment.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...wire.errors import FootfallError
from .. import live, texts
from ..settings import Settings, current
from ..worker import setup as setup_worker

FRESH_S = 1.0

SOURCES = {
    "camera": "Scene camera",
    "sequencer": "Sequencer picture",
    "rendered": "Rendered frames",
    "render": "Small renders",
    "words": "Words only",
}


@dataclass(frozen=True, slots=True)
class Look:
    """``sentence``: what would be captured, or what is wrong; ``fits``: whether it can be captured."""

    sentence: str
    fits: bool


class _Memory:
    key: tuple[object, ...] = ()
    look = Look("", False)
    at = -math.inf


_memory = _Memory()


def look(context: bpy.types.Context) -> Look:
    """The shot as the panel's settings describe it; at most FRESH_S old."""
    from .. import orders

    scene = orders.panel_scene(context)
    chosen = scene.footfall
    key = (
        scene.session_uid,
        *(chosen.source, chosen.range, round(chosen.per_second, 3), not chosen.prompt.strip()),
        *(scene.frame_start, scene.frame_end, scene.use_preview_range),
        *(scene.frame_preview_start, scene.frame_preview_end),
        *(scene.render.fps, scene.render.fps_base, scene.camera is None),
    )
    now = time.monotonic()
    if key != _memory.key or now - _memory.at > FRESH_S:
        _memory.key, _memory.at = key, now
        _memory.look = _look(scene)
    return _memory.look


def forget() -> None:
    """Look anew at the next redraw."""
    _memory.key = ()


def _look(scene: bpy.types.Scene) -> Look:
    from .. import orders, sequencer
    from ..capture import capture
    from ..capture import render as capture_render

    chosen = scene.footfall
    if chosen.source == "words" and not chosen.prompt.strip():
        return Look("Write under Sounds Like what is to be heard", False)
    try:
        sequencer.require_editable(scene)
        span = orders.frame_range(scene, chosen.range)
        rate = sequencer.scene_rate(scene)
        length_s = float(span.duration_s(rate))
        route = chosen.source
        if route == "auto":
            route = capture.choose_route(scene, span, window=not bpy.app.background).route
        elif route in ("camera", "render"):
            capture_render.require_camera(scene)
    except FootfallError as error:
        return Look(error.sentence, False)
    frames = -(-span.count // (scene.frame_step if route == "rendered" else 1))
    pictures = min(math.ceil(length_s * chosen.per_second), frames)
    parts = [
        SOURCES[route],
        f"frames {span.start}-{span.end}",
        texts.seconds(length_s),
        *([] if route == "words" else [texts.count(pictures, "picture")]),
    ]
    return Look(", ".join(part.replace(" ", texts.UNBROKEN) for part in parts), True)


def why_not(context: bpy.types.Context) -> str:
    """Why Generate cannot be pressed, in words; "" when it can."""
    from .. import orders

    if no_worker := setup_worker.why_not(current()):
        return no_worker
    if not orders.panel_scene(context).footfall.layers():
        return "Switch on at least one layer: Bed or Spots"
    seen = look(context)
    return "" if seen.fits else seen.sentence


def sound_folder(settings: Settings) -> Path | None:
    """Where the newest sound of this session lies, else where it would; None when there is none yet."""
    session = live.session()
    for job in reversed(session.table.all() if session is not None else []):
        stored: Any = job.stored
        if stored is not None and stored.strips:
            return Path(stored.strips[0].path).parent
    beside = Path(bpy.data.filepath).parent / "footfall" if bpy.data.filepath else None
    for folder in (settings.output_folder, beside):
        if folder is not None and folder.is_dir():
            return folder
    return None
