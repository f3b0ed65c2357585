# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface of what may be hit, as it is and moves at a turn: of a still, a moving or a bending thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ..hits import arcs
from ..hits.arcs import Meeting
from ..hits.watch import Turn
from ..hits.window import Window
from .track_shapes import nearest
from .track_things import Things

_MOST_CORNERS = 64
_PLANE = 6  # corners of a bending thing that tell its slope


@dataclass(slots=True, eq=False)
class Surface:
    """One thing's surface in the world at a turn.

    matrix, tree: its space and its surface there; outer: (V, 3) corners in the world; before, after: (3, 4)
    that give places in the world their velocities, None where it stands; points: of what bends, with their
    velocities, (P, 3) each.
    """

    number: int
    matrix: np.ndarray
    tree: Any
    outer: np.ndarray
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    points: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def nearest(self, points: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Places on the surface and normals, (P, 3) each; NaN beyond ``within``."""
        if self.tree is None and self.points is not None:
            return _slopes(points, self.points[0], within)
        return nearest(points, self.matrix, self.tree, within)

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


def surface(
    things: Things,
    window: Window,
    number: int,
    turn: Turn,
    met: Meeting,
    depsgraph: bpy.types.Depsgraph,
) -> Surface | None:
    """The surface of thing ``number`` at ``met``, as its movement before foretells it; None without one."""
    if number in window.points:
        return _bending(things, window, number, turn, met)
    shape = things.shape(number, depsgraph)
    if shape is None or shape.tree is None:
        return None
    if number >= things.bodies:
        matrix = things.still[number]
        return Surface(number, matrix, shape.tree, shape.outer @ matrix[:3, :3].T + matrix[:3, 3])
    last, here, then, later = window.around(number, turn.frame, 1, 2)
    if not np.isfinite(here).all():
        return None
    step = here - last if np.isfinite(last).all() else np.zeros((4, 4))
    leave = later - then if np.isfinite(later).all() else np.zeros((4, 4))
    matrix = here + met.time * step
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-18:
        return None
    _at_the_moment(things, window, number, turn, met, matrix, step, leave)
    back = np.linalg.inv(matrix)
    outer = shape.outer @ matrix[:3, :3].T + matrix[:3, 3]
    return Surface(number, matrix, shape.tree, outer, (step @ back)[:3], (leave @ back)[:3])


def _at_the_moment(
    things: Things,
    window: Window,
    number: int,
    turn: Turn,
    met: Meeting,
    matrix: np.ndarray,
    step: np.ndarray,
    leave: np.ndarray,
) -> None:
    """Put in the speeds at the very moment, as arcs through the frames tell them; changes the last three."""
    middle = np.append(things.boxes[number, 1], 1.0)
    places = window.around(number, turn.frame, arcs.EARLY, arcs.LATE)[:, :3] @ middle
    early, late = arcs.sides(places, turn.size)
    if turn.halts or len(early) < 2 or len(late) < 2:
        return
    before, after = arcs.Arc.through(early), arcs.Arc.through(late)
    matrix[:3, 3] += before.at(met.time) - matrix[:3] @ middle
    step[:3, 3] += before.speed(met.time) - step[:3] @ middle
    leave[:3, 3] += after.speed(met.time) - leave[:3] @ middle


def _bending(things: Things, window: Window, number: int, turn: Turn, met: Meeting) -> Surface | None:
    index = turn.frame - window.first
    if index < 1 or index + 2 >= window.filled:
        return None
    last, here, then, later = window.points[number][index - 1 : index + 3].astype(float)
    before, after = np.nan_to_num(here - last), np.nan_to_num(later - then)
    points = here + met.time * before
    if not np.isfinite(points).all():
        return None
    faces = things.pieces[number].faces
    tree = BVHTree.FromPolygons(points.tolist(), faces) if faces else None
    return Surface(number, np.eye(4), tree, points, points=(points, before, after))


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
