# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits drawn over the sequencer and the timeline: a tick each, higher for stronger ones, coloured by kind.

Those that will not sound are hollow, the selected one has a bright edge. What is drawn is put together once
after each change of the list or the view, only from hits in view, and at most one for each column of pixels;
so ten thousand cost no more than a thousand. Nothing is drawn in background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from . import store

if TYPE_CHECKING:
    import numpy as np

Color = tuple[float, float, float, float]

COLORS: dict[str, Color] = {
    "hit": (1.00, 0.62, 0.24, 1.0),
    "step": (0.52, 0.82, 0.36, 1.0),
    "slide": (0.38, 0.68, 0.98, 1.0),
    "whoosh": (0.76, 0.56, 0.98, 1.0),
    "splash": (0.30, 0.85, 0.86, 1.0),
    "flash": (0.99, 0.88, 0.42, 1.0),
    "other": (0.80, 0.80, 0.80, 1.0),
}
BRIGHT: Color = (1.0, 1.0, 1.0, 1.0)
DARK: Color = (0.10, 0.10, 0.10, 0.85)
RULER = 23  # height of the frame numbers, in units of the interface
LOWEST, HIGHEST = 5.0, 20.0  # of a tick
WIDTH = 4.0
_SPACES = ("SpaceSequenceEditor", "SpaceDopeSheetEditor")
_AREAS = {"SEQUENCE_EDITOR", "DOPESHEET_EDITOR"}
_KEPT = 16  # regions whose ticks are kept

_handles: list[tuple[Any, Any]] = []
_batches: dict[int, tuple[tuple[Any, ...], Any]] = {}


def redraw() -> None:
    """Have the timelines and the sidebars drawn again."""
    if bpy.app.background:
        return
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in _AREAS or area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI" or (region.type == "WINDOW" and area.type in _AREAS):
                        region.tag_redraw()


def _draw() -> None:
    if not any(len(scene.footfall_hits.entries) for scene in bpy.data.scenes):
        return  # and nothing of ours is loaded for it
    from .. import orders

    context = bpy.context
    scene, region = orders.panel_scene(context), context.region
    group = getattr(scene, "footfall_hits", None)
    if group is None or region is None or not group.show or not len(group.entries) or _shows_nothing(context):
        return
    first, last = (region.view2d.region_to_view(x, 0.0)[0] for x in (0.0, float(region.width)))
    scale = context.preferences.system.ui_scale
    least = scene.footfall.least_strength
    key = (
        *(store.revision(), scene.session_uid, len(group.entries), group.active, least),
        *(first, last, region.width, region.height, scale),
    )
    kept = _batches.get(region.as_pointer())
    if kept is None or kept[0] != key:
        if len(_batches) >= _KEPT:
            _batches.clear()
        shown = store.picture(scene)
        kept = (key, _batch(shown, least, group.active, (first, last), (region.width, region.height), scale))
        _batches[region.as_pointer()] = kept
    if kept[1] is not None:
        import gpu

        gpu.state.blend_set("ALPHA")
        kept[1].draw(_shader())
        gpu.state.blend_set("NONE")


def _shows_nothing(context: Any) -> bool:
    """From 5.0 on a sequencer may have no scene at all."""
    return (
        context.area.type == "SEQUENCE_EDITOR" and getattr(context, "sequencer_scene", context.scene) is None
    )


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
    from gpu_extras.batch import batch_for_shader

    boxes, colors = ticks(shown, least, active, view, size, scale)
    if not len(boxes):
        return None
    positions, corners, indices = _triangles(boxes, colors)
    return batch_for_shader(_shader(), "TRIS", {"pos": positions, "color": corners}, indices=indices)


def ticks(
    shown: store.Picture,
    least: float,
    active: int,
    view: tuple[float, float],
    size: tuple[int, int],
    scale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """((N, 4) boxes as left, bottom, right, top in pixels, (N, 4) their colours), in the order of drawing.

    view: the frames at the region's left and right edge; size: of the region; scale: of the interface.
    """
    import numpy as np

    first, last = view
    per_frame = size[0] / max(last - first, 1e-6)
    pixels = (shown.times - first) * per_frame
    near = np.flatnonzero((pixels > -WIDTH * scale) & (pixels < size[0] + WIDTH * scale))
    near = near[_one_a_column(pixels[near], shown.strengths[near] + 2.0 * shown.sounding(least)[near])]
    if len(near) and 0 <= active < len(pixels) and -WIDTH < pixels[active] < size[0] + WIDTH:
        near = np.append(near[near != active], active)  # on top of all others
    middle = np.round(pixels[near])
    half = round(WIDTH * scale / 2.0)
    top = np.full(len(near), size[1] - round((RULER + 1) * scale))
    height = np.round((LOWEST + (HIGHEST - LOWEST) * shown.strengths[near]) * scale)
    boxes = np.stack((middle - half, top - height, middle + half, top), axis=1)
    colors = np.array([COLORS[shown.families[number]] for number in near], np.float32).reshape(-1, 4)
    return _layers(boxes, colors, shown.sounding(least)[near], near == active, max(1.0, round(scale)))


def _one_a_column(pixels: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Indices of the highest ``rank`` in each column of pixels, from left to right."""
    import numpy as np

    order = np.lexsort((rank, np.floor(pixels)))
    columns = np.floor(pixels)[order]
    last = np.append(columns[1:] != columns[:-1], True) if len(columns) else np.zeros(0, bool)
    kept: np.ndarray = order[last]
    return kept


def _layers(
    boxes: np.ndarray, colors: np.ndarray, sounding: np.ndarray, chosen: np.ndarray, line: float
) -> tuple[np.ndarray, np.ndarray]:
    """Each tick as boxes one over the other: an edge, its colour, and a dark middle if it is silent."""
    import numpy as np

    out, inwards = np.array((-1.0, -1.0, 1.0, 1.0)) * line, np.array((1.0, 1.0, -1.0, -1.0)) * line
    edges = np.where(chosen[:, None], np.array(BRIGHT), np.array(DARK))
    filled = boxes[~sounding] + inwards
    dark = np.tile(np.array(DARK), (len(filled), 1))
    everything = np.concatenate((boxes + out, boxes, filled)), np.concatenate((edges, colors, dark))
    # Tick by tick, so that a neighbour's edge never lies over another's colour.
    number = np.arange(len(boxes))
    order = np.argsort(np.concatenate((number * 3, number * 3 + 1, number[~sounding] * 3 + 2)))
    return everything[0][order], everything[1][order]


def _triangles(boxes: np.ndarray, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(4N, 3) corners, (4N, 4) their colours, (2N, 3) triangles."""
    import numpy as np

    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    positions = np.concatenate((corners, np.zeros((len(corners), 1))), axis=1).astype(np.float32)
    square = np.array(((0, 1, 2), (0, 2, 3)), np.int32)
    indices = (4 * np.arange(len(boxes), dtype=np.int32)[:, None, None] + square).reshape(-1, 3)
    return positions, np.repeat(colors, 4, axis=0).astype(np.float32), indices


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
