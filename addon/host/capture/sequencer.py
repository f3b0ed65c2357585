# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what the sequencer shows: movies, images, scenes and effects, as Blender itself mixes them.

The sequencer is rendered from a throwaway copy of its scene, reduced in percent, since strips are placed in
pixels of the full resolution. Scene strips show throwaway copies too, rendered as cheaply as a small render.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import bpy
import numpy as np

from ...shots.frames import model_size
from ...timeline import FrameRange, Moment
from ...wire.errors import BadInput
from .. import sequencer
from .quick import make_quick, pick_engine
from .render import display_size
from .stage import BORROWS, Stage
from .state import require_scene

_FOOTAGE = {"MOVIE", "IMAGE", "SCENE", "MOVIECLIP"}
_MADE = {"COLOR", "TEXT", "MASK", "MULTICAM"}


def _overlaps(strip: bpy.types.Strip, span: FrameRange) -> bool:
    first, end = sequencer.span(strip)
    return first <= span.end and end > span.start


def shown_strips(
    scene: bpy.types.Scene, span: FrameRange, *, made: bool = True, muted: bool = False
) -> Iterator[bpy.types.Strip]:
    """Picture strips in ``span``, also in metas. ``made``: colours and texts count; ``muted``: these too."""
    editor = scene.sequence_editor
    kinds = _FOOTAGE | _MADE if made else _FOOTAGE
    waiting = [] if editor is None else [(strip, False) for strip in sequencer.strips(editor)]
    while waiting:
        strip, inside = waiting.pop()
        silent = strip.mute or (not inside and editor.channels[strip.channel].mute)
        if (silent and not muted) or not _overlaps(strip, span):
            continue
        if strip.type == "META":
            waiting += [(child, True) for child in sequencer.strips(strip)]
        elif strip.type in kinds:
            yield strip


def check_sequencer(scene: bpy.types.Scene, span: FrameRange, moments: Iterable[Moment]) -> None:
    """Raises BadInput, saying what to do, when the sequencer has no picture to show in ``span``."""
    if scene.sequence_editor is None:
        raise BadInput(
            f"The scene “{scene.name}” has no sequencer; add a movie strip, or choose another source."
        )
    strips = list(shown_strips(scene, span))
    if not strips:
        hidden = any(True for _ in shown_strips(scene, span, muted=True))
        raise BadInput(
            "All picture strips in this range are muted; unmute one, or choose the scene camera as source."
            if hidden
            else "The sequencer shows no picture in this range; add a movie strip or choose another range."
        )
    for strip in strips:
        _check_media(strip, moments)


def _check_media(strip: bpy.types.Strip, moments: Iterable[Moment]) -> None:
    missing = ""
    if strip.type == "MOVIE" and not os.path.isfile(_absolute(strip, strip.filepath)):
        missing = strip.filepath
    elif strip.type == "IMAGE":
        missing = _missing_image(strip, moments)
    elif strip.type == "SCENE" and strip.scene is None:
        raise BadInput(f"The scene strip “{strip.name}” has lost its scene; choose one, or mute the strip.")
    elif strip.type == "SCENE" and strip.scene_input == "CAMERA":
        _check_scene_strip(strip)
    if missing:
        raise BadInput(
            f"The strip “{strip.name}” has lost its file {missing}; "
            "find it (File > External Data > Find Missing Files) or mute the strip."
        )


def _check_scene_strip(strip: bpy.types.Strip) -> None:
    scene = strip.scene
    markers = any(marker.camera for marker in scene.timeline_markers)
    if strip.scene_camera is None and scene.camera is None and not markers:
        raise BadInput(
            f"The scene strip “{strip.name}” shows “{scene.name}”, which has no camera; add one there."
        )


def _missing_image(strip: bpy.types.Strip, moments: Iterable[Moment]) -> str:
    first, end = sequencer.span(strip)
    seen: set[str] = set()
    for moment in moments:
        element = strip.strip_elem_from_frame(moment.frame) if first <= moment.frame < end else None
        if element is not None and element.filename not in seen:
            seen.add(element.filename)
            path = os.path.join(strip.directory, element.filename)
            if not os.path.isfile(_absolute(strip, path)):
                return path
    return ""


def _absolute(strip: bpy.types.Strip, path: str) -> str:
    return bpy.path.abspath(path, library=strip.id_data.library)


def percentage_for(height: int, width: int, side: int) -> int:
    """The least whole percentage at which no side of the picture gets shorter than the model's."""
    wanted, _ = model_size(height, width, short=side)
    return min(100, -(-100 * wanted // height) + 1)


class SequencerPicture:
    """Renders what the sequencer of a scene shows."""

    bottom_up = True

    def __init__(
        self,
        scene: bpy.types.Scene,
        span: FrameRange,
        moments: list[Moment],
        side: int,
        engine: str = "auto",
        samples: int = 1,
    ) -> None:
        check_sequencer(scene, span, moments)
        self.size = model_size(*display_size(scene), short=side)
        self._uid, self._name, self._side = scene.session_uid, scene.name, side
        self._engine = pick_engine(scene, engine)
        self._samples = samples
        self._stage = Stage(self._build)
        self.disturbed = tuple(_scenes_in(scene, {scene.session_uid} if BORROWS else set()))

    def _build(self, stage: Stage) -> bpy.types.Scene:
        copy = stage.copy(require_scene(self._uid, self._name))
        percentage = percentage_for(copy.render.resolution_y, copy.render.resolution_x, self._side)
        reduced = {"use_sequencer": True, "resolution_percentage": percentage}
        stage.change(copy, "render", reduced)
        self._replace_scenes(stage, copy, reduced, set())
        return copy

    def _replace_scenes(
        self, stage: Stage, copy: bpy.types.Scene, reduced: dict[str, Any], seen: set[int]
    ) -> None:
        """Let the scene strips of ``copy`` show cheap copies, with sequencers in them reduced as well."""
        for strip in sequencer.all_strips(copy):
            if strip.type == "SCENE" and strip.scene is not None and strip.scene.session_uid not in seen:
                inner = stage.copy(strip.scene)
                make_quick(stage, inner, self._engine, self._samples)
                stage.change(inner, "render", reduced)
                self._replace_scenes(stage, inner, reduced, seen | {strip.scene.session_uid})
                if not BORROWS:
                    strip.scene = inner

    def picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray:
        """(h, w, 3) uint8 at least as large as ``size``, lowest row first."""
        return self._stage.render(moment)

    def close(self) -> None:
        self._stage.close()


def _scenes_in(scene: bpy.types.Scene, seen: set[int]) -> set[int]:
    """``session_uid`` of every scene that scene strips show, however deep."""
    for strip in sequencer.all_strips(scene):
        if strip.type == "SCENE" and strip.scene is not None and strip.scene.session_uid not in seen:
            seen.add(strip.scene.session_uid)
            _scenes_in(strip.scene, seen)
    return seen
