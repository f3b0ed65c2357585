# SPDX-License-Identifier: GPL-3.0-or-later
"""Where hits lie in a timeline, in pixels: the boxes that are drawn, and which hit lies under the pointer.

Pure arithmetic on pictures of the list (store.Picture). ``view``: the frames at the region's left and right
edge; ``size``: of the region in pixels; ``scale``: of the interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from .store import Picture

Color = tuple[float, float, float, float]
View = tuple[float, float]
Size = tuple[int, int]

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
REACH = 3.0  # beside a tick, where the pointer still takes it
EASY = 10.0  # even the lowest tick is taken over this height


def per_frame(view: View, size: Size) -> float:
    """Pixels of a frame."""
    return size[0] / max(view[1] - view[0], 1e-6)


def top(size: Size, scale: float) -> int:
    """Where ticks hang from: below the frame numbers."""
    return size[1] - round((RULER + 1) * scale)


def reaches(size: Size, scale: float, point: tuple[float, float]) -> bool:
    """Whether ``point`` lies in the band that ticks are drawn in; most moves of a mouse do not."""
    return top(size, scale) - HIGHEST * scale <= point[1] <= top(size, scale)


def under(
    shown: Picture, view: View, size: Size, scale: float, point: tuple[float, float], active: int = -1
) -> int | None:
    """The hit whose tick is under ``point``, or None; of several the selected one, or else the nearest."""
    if not reaches(size, scale, point):
        return None
    import numpy as np

    x, y = point
    hang = top(size, scale)
    away = np.abs((shown.times - view[0]) * per_frame(view, size) - x)
    tall = np.maximum(LOWEST + (HIGHEST - LOWEST) * shown.strengths, EASY) * scale
    near = np.flatnonzero((away <= (WIDTH / 2.0 + REACH) * scale) & (hang - y <= tall))
    if not len(near):
        return None
    beside = away[near] > WIDTH / 2.0 * scale
    order = np.lexsort((-shown.strengths[near], np.round(away[near]), near != active, beside))
    return int(near[order[0]])


def ticks(
    shown: Picture, least: float, active: int, view: View, size: Size, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """((N, 4) boxes as left, bottom, right, top in pixels, (N, 4) their colours), in the order of drawing.

    least: strength from which a hit sounds; active: the selected hit, drawn on top of all others.
    """
    import numpy as np

    pixels = (shown.times - view[0]) * per_frame(view, size)
    near = np.flatnonzero((pixels > -WIDTH * scale) & (pixels < size[0] + WIDTH * scale))
    near = near[_one_a_column(pixels[near], shown.strengths[near] + 2.0 * shown.sounding(least)[near])]
    if len(near) and 0 <= active < len(pixels) and -WIDTH < pixels[active] < size[0] + WIDTH:
        near = np.append(near[near != active], active)
    middle = np.round(pixels[near])
    half = round(WIDTH * scale / 2.0)
    hang = np.full(len(near), top(size, scale))
    height = np.round((LOWEST + (HIGHEST - LOWEST) * shown.strengths[near]) * scale)
    boxes = np.stack((middle - half, hang - height, middle + half, hang), axis=1)
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


def triangles(boxes: np.ndarray, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(4N, 3) corners, (4N, 4) their colours, (2N, 3) triangles."""
    import numpy as np

    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    positions = np.concatenate((corners, np.zeros((len(corners), 1))), axis=1).astype(np.float32)
    square = np.array(((0, 1, 2), (0, 2, 3)), np.int32)
    indices = (4 * np.arange(len(boxes), dtype=np.int32)[:, None, None] + square).reshape(-1, 3)
    return positions, np.repeat(colors, 4, axis=0).astype(np.float32), indices
