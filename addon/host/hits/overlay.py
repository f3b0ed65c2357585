# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits drawn over the sequencer and the timeline: a tick each, higher for stronger ones, coloured by kind.

Those that will not sound are hollow, the selected one has a bright edge, and the one under the pointer says
what it is. What is drawn is put together once after each change of the list or the view, only from hits in
view, at most one for each column of pixels; so ten thousand cost no more than a thousand. Nothing is drawn
in background.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import texts
from . import marks, rows, store

AREAS = {"SEQUENCE_EDITOR", "DOPESHEET_EDITOR"}
_SPACES = ("SpaceSequenceEditor", "SpaceDopeSheetEditor")
_KEPT = 16  # regions whose ticks are kept
_FONT, _LETTERS, _ROOM = 0, 11.0, 5.0  # the interface's font, its size, and the room around it

_handles: list[tuple[Any, Any]] = []
_batches: dict[int, tuple[tuple[Any, ...], Any]] = {}


class _Pointed:
    region = 0  # as_pointer() of the region that the pointer is in
    scene = 0  # session_uid
    number = -1


def point_at(region: Any, scene: Any, number: int) -> bool:
    """Say what hit ``number`` is, in that region, or with None for it nothing; whether that is news."""
    before = (_Pointed.region, _Pointed.scene, _Pointed.number)
    _Pointed.region = 0 if region is None else region.as_pointer()
    _Pointed.scene, _Pointed.number = (0, -1) if region is None else (scene.session_uid, number)
    news = before != (_Pointed.region, _Pointed.scene, _Pointed.number)
    if news:
        redraw_timelines()
    return news


def pointing() -> bool:
    """Whether a hit is under the pointer."""
    return _Pointed.number >= 0


def redraw() -> None:
    """Have the timelines and the sidebars drawn again."""
    redraw_timelines()
    for area, region in _regions():
        if region.type == "UI" and area.type in AREAS | {"VIEW_3D"}:
            region.tag_redraw()


def redraw_timelines() -> None:
    """Have what hits are drawn over drawn again."""
    for area, region in _regions():
        if region.type == "WINDOW" and area.type in AREAS:
            region.tag_redraw()


def _regions() -> list[tuple[Any, Any]]:
    if bpy.app.background:
        return []
    windows = bpy.context.window_manager.windows
    return [(area, region) for window in windows for area in window.screen.areas for region in area.regions]


def scene_of(context: Any) -> Any | None:
    """The scene whose hits are shown where ``context`` is; None where there are none to be seen."""
    area, region = context.area, context.region
    if area is None or region is None or area.type not in AREAS or region.type != "WINDOW":
        return None
    if area.type == "SEQUENCE_EDITOR" and getattr(context, "sequencer_scene", context.scene) is None:
        return None  # from 5.0 on a sequencer may have no scene at all
    from .. import orders

    scene = orders.panel_scene(context)
    group = getattr(scene, "footfall_hits", None)
    return scene if group is not None and group.show and len(group.entries) else None


def frames_at_edges(region: Any) -> tuple[float, float]:
    """The frames at the left and right edge of a timeline."""
    first, last = (region.view2d.region_to_view(x, 0.0)[0] for x in (0.0, float(region.width)))
    return first, last


def _draw() -> None:
    if not any(len(scene.footfall_hits.entries) for scene in bpy.data.scenes):
        return  # and nothing of ours is loaded for it
    context = bpy.context
    scene, region = scene_of(context), context.region
    if scene is None:
        return
    view, size = frames_at_edges(region), (region.width, region.height)
    scale = context.preferences.system.ui_scale
    least, active = scene.footfall.least_strength, scene.footfall_hits.active
    key = (store.revision(), scene.session_uid, active, least, *view, *size, scale)
    kept = _batches.get(region.as_pointer())
    if kept is None or kept[0] != key:
        if len(_batches) >= _KEPT:
            _batches.clear()
        kept = (key, _batch(store.picture(scene), least, active, view, size, scale))
        _batches[region.as_pointer()] = kept
    import gpu

    gpu.state.blend_set("ALPHA")
    if kept[1] is not None:
        kept[1].draw(_shader())
    if (region.as_pointer(), scene.session_uid) == (_Pointed.region, _Pointed.scene):
        _draw_label(scene, view, size, scale)
    gpu.state.blend_set("NONE")


def _draw_label(scene: Any, view: tuple[float, float], size: tuple[int, int], scale: float) -> None:
    """What the hit under the pointer is, below its tick."""
    if not 0 <= _Pointed.number < len(scene.footfall_hits.entries):
        return
    import blf
    import numpy as np

    entry = scene.footfall_hits.entries[_Pointed.number]
    words = label(entry)
    blf.size(_FONT, _LETTERS * scale)
    wide, high = blf.dimensions(_FONT, words)
    room = _ROOM * scale
    at = (entry.frame + entry.millionths / store.FRAME - view[0]) * marks.per_frame(view, size)
    left = min(max(at - wide / 2.0, room), max(size[0] - wide - room, room))
    low = marks.top(size, scale) - marks.HIGHEST * scale - high - 2.0 * room
    if low < 0.0:  # a timeline of two lines has its room at the side
        left, low = min(at + 2.0 * room, max(size[0] - wide - room, room)), room
    box = np.array([(left - room, low - room, left + wide + room, low + high + room)])
    positions, colors, indices = marks.triangles(box, np.array([marks.DARK]))
    _triangles(positions, colors, indices).draw(_shader())
    blf.position(_FONT, left, low, 0.0)
    blf.color(_FONT, *marks.BRIGHT)
    blf.draw(_FONT, words)


def label(entry: Any) -> str:
    """A hit in one line: place, what happens, how hard."""
    what = ", ".join(part for part in (texts.clean(entry.kind, 30), texts.clean(entry.words, 60)) if part)
    facts = [rows.place(entry), what, f"{entry.strength:.0%}", "" if entry.on else "off"]
    return "   ".join(fact for fact in facts if fact)


def _shader() -> Any:
    import gpu

    return gpu.shader.from_builtin("FLAT_COLOR")


def _batch(
    shown: store.Picture,
    least: float,
    active: int,
    view: tuple[float, float],
    size: tuple[int, int],
    scale: float,
) -> Any:
    """What is to be drawn, or None."""
    boxes, colors = marks.ticks(shown, least, active, view, size, scale)
    return _triangles(*marks.triangles(boxes, colors)) if len(boxes) else None


def _triangles(positions: Any, colors: Any, indices: Any) -> Any:
    from gpu_extras.batch import batch_for_shader

    return batch_for_shader(_shader(), "TRIS", {"pos": positions, "color": colors}, indices=indices)


CLASSES = ()


def register() -> None:
    """Begin to draw, where there is a window."""
    if bpy.app.background:
        return
    for name in _SPACES:
        space = getattr(bpy.types, name)
        _handles.append((space, space.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")))


def unregister() -> None:
    while _handles:
        space, handle = _handles.pop()
        space.draw_handler_remove(handle, "WINDOW")
    _batches.clear()
