# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface of what may be hit, as it is and moves at a turn: of a still, a moving or a bending thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils.bvhtree import BVHTree

from ...hits import arcs
from ...hits.window import Window
from .movers import Mover, bending_points
from .sources import Now
from .things import Things

_MOST_CORNERS = 64
_PLANE = 6  # corners of a bending thing that tell its slope
_FLAT = 1e-18


@dataclass(slots=True, eq=False)
class Surface:
    """One thing's surface in the world at a turn.

    matrix, back: its space there, and (3, 3) back into it; tree: its surface in it; outer: (V, 3) corners in
    the world; before, after: (3, 4) that give places in the world their velocities, None where it stands;
    points: of what bends, with their velocities, (P, 3) each.
    """

    number: int
    matrix: np.ndarray
    back: np.ndarray
    tree: Any
    outer: np.ndarray
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    points: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def nearest(self, points: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
        """For each of (P, 3) places the nearest on the surface, and the normal there.

        NaN where nothing lies within about ``within``.
        """
        if self.tree is None:
            return _slopes(points, self.points[0] if self.points else self.outer[:0], within)
        found = []
        back, turn, start = self.back, self.matrix[:3, :3], self.matrix[:3, 3]
        far = within * 1.75 * float(np.abs(back).max()) + 1e-9
        find = self.tree.find_nearest
        for point in ((points - start) @ back.T).tolist():
            place, normal, _, _ = find(point, far)
            found.append(_NOWHERE if place is None else (place[:], normal[:]))
        own = np.array(found)
        normals = own[:, 1] @ back
        with np.errstate(all="ignore"):
            normals /= np.sqrt((normals * normals).sum(axis=1, keepdims=True))
        return own[:, 0] @ turn.T + start, normals

    def speeds(self, points: np.ndarray, *, after: bool) -> np.ndarray | float:
        """(P, 3) how the surface moves there."""
        if self.points is not None:
            gaps = ((points[:, None] - self.points[0]) ** 2).sum(axis=2)
            found: np.ndarray = self.points[1 + after][np.argmin(gaps, axis=1)]
            return found
        moves = self.after if after else self.before
        return 0.0 if moves is None else points @ moves[:, :3].T + moves[:, 3]

    def corners_within(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Its corners in a box, at most some of them."""
        inside = self.outer[((self.outer >= low) & (self.outer <= high)).all(axis=1)]
        return inside[:: -(-len(inside) // _MOST_CORNERS) or 1]


_NOWHERE = ((np.nan,) * 3,) * 2


class Surfaces:
    """Surfaces as they are asked for; those of still things are kept."""

    def __init__(self, things: Things, window: Window) -> None:
        self._things, self._window = things, window
        self._still: dict[int, Surface | None] = {}

    def at(self, number: int, mover: Mover, now: Now) -> Surface | None:
        """The surface of thing ``number`` at the turn of ``mover``; None where it has none."""
        if number < self._things.bodies:
            if number in self._window.points:
                return self._bending(number, mover)
            return self._moving(number, mover, now)
        if number not in self._still:
            self._still[number] = self._made(number, self._things.still[number], now)
        return self._still[number]

    def _made(self, number: int, matrix: np.ndarray, now: Now) -> Surface | None:
        shape = self._things.shape(number, now)
        if shape is None or shape.tree is None or not abs(np.linalg.det(matrix[:3, :3])) > _FLAT:
            return None
        outer = shape.outer @ matrix[:3, :3].T + matrix[:3, 3]
        return Surface(number, matrix, np.linalg.inv(matrix[:3, :3]), shape.tree, outer)

    def _moving(self, number: int, mover: Mover, now: Now) -> Surface | None:
        """As its movement before foretells it, as for the mover itself."""
        turn, moment = mover.turn, mover.met.time
        around = self._window.around(number, turn.frame, arcs.EARLY, arcs.LATE)
        last, here, then, later = around[arcs.EARLY - 1 : arcs.EARLY + 3]
        if not np.isfinite(here).all():
            return None
        step = here - last if np.isfinite(last).all() else np.zeros((4, 4))
        leave = later - then if np.isfinite(later).all() else np.zeros((4, 4))
        matrix = here + moment * step
        middle = np.append(self._things.boxes[number, 1], 1.0)
        early, late = arcs.sides(around[:, :3] @ middle, turn.size)
        if not turn.halts and len(early) > 1 and len(late) > 1:
            before, after = arcs.Arc.through(early), arcs.Arc.through(late)
            matrix[:3, 3] += before.at(moment) - matrix[:3] @ middle
            step[:3, 3] += before.speed(moment) - step[:3] @ middle
            leave[:3, 3] += after.speed(moment) - leave[:3] @ middle
        found = self._made(number, matrix, now)
        if found is not None:
            back = np.linalg.inv(matrix)
            found.before, found.after = (step @ back)[:3], (leave @ back)[:3]
        return found

    def _bending(self, number: int, mover: Mover) -> Surface | None:
        kept = bending_points(self._window, number, mover.turn.frame)
        if kept is None:
            return None
        last, here, then, later = kept
        before, after = np.nan_to_num(here - last), np.nan_to_num(later - then)
        points = here + mover.met.time * before
        if not np.isfinite(points).all():
            return None
        faces = self._things.pieces[number].faces
        tree = BVHTree.FromPolygons(points.tolist(), faces) if faces else None
        return Surface(number, np.eye(4), np.eye(3), tree, points, points=(points, before, after))


def _slopes(points: np.ndarray, corners: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
    """Places on the planes through the nearest corners of a thing that is only known by some of them."""
    places, normals = np.full((2, len(points), 3), np.nan)
    gaps = ((points[:, None] - corners) ** 2).sum(axis=2)
    count = min(_PLANE, len(corners))
    if count < 3:
        return places, normals
    for row, order in enumerate(np.argpartition(gaps, count - 1, axis=1)[:, :count]):
        around = corners[order]
        middle = around.mean(axis=0)
        spread = float(((around - middle) ** 2).sum(axis=1).max())
        _, _, ways = np.linalg.svd(around - middle)
        away = float((points[row] - middle) @ ways[2])
        if abs(away) <= within and float(((points[row] - middle) ** 2).sum()) - away**2 <= 2.0 * spread:
            places[row], normals[row] = points[row] - away * ways[2], ways[2]
    return places, normals
