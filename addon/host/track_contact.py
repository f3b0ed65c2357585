# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a sharp turn of a path is a hit: does the thing come upon another there, and stop coming nearer?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import bpy
import numpy as np

from ..hits.arcs import Meeting
from ..hits.watch import SLOWEST, Turn
from ..hits.window import Window
from .track_shapes import nearest
from .track_surface import Surface, surface
from .track_things import Things

REACH = 0.04  # of a thing's size: animators leave gaps, and let things sink in
NEARLY = 0.004  # of a thing's size: corners that come as near as this touch together
ALONG = 0.01  # of a thing's size: what has been as near as this lay there
SLIDE_SPEED = 0.5  # of a thing's sizes a second, for its sliding to begin or end with a sound
_PARTNERS = 12
_PROBES = 20


class Touch(NamedTuple):
    """A hit, or the start or end of sliding. point, normal: (3,); speed: lengths per frame.

    arm: the point in the mover's own space.
    """

    partner: int
    point: np.ndarray
    normal: np.ndarray
    speed: float
    kind: str
    arm: np.ndarray


@dataclass(slots=True, eq=False)
class Mover:
    """A thing at its turn: its corners, their velocities before and after, where they were a frame before."""

    number: int
    matrix: np.ndarray
    corners: np.ndarray
    before: np.ndarray
    after: np.ndarray
    centre: np.ndarray
    size: float
    moves: tuple[np.ndarray, np.ndarray] | None = None  # (3, 4): velocities of places in its own space
    earlier: np.ndarray | None = None  # of what comes to rest: where its corners were some frames ago

    def picked(self, rows: np.ndarray) -> Mover:
        """The same with only some of its corners."""
        earlier = None if self.earlier is None else self.earlier[rows]
        return replace(
            self,
            corners=self.corners[rows],
            before=self.before[rows],
            after=self.after[rows],
            earlier=earlier,
        )

    def at(self, points: np.ndarray) -> Mover:
        """The same with other places in the world for corners."""
        assert self.moves is not None
        own = _homogeneous(points) @ np.linalg.inv(self.matrix)[:3].T
        before, after = (_homogeneous(own) @ moves.T for moves in self.moves)
        return replace(self, corners=points, before=before, after=after, earlier=None)


class Contacts:
    """Looks around a turn in the frames that are kept. ``radius``: (N,) half sizes of all things."""

    def __init__(self, things: Things, radius: np.ndarray, window: Window, fps: float) -> None:
        self._things, self._radius, self._window, self._fps = things, radius, window, fps
        self._still = self._boxes(things.still[things.bodies :], things.boxes[things.bodies :])
        self._frame: int | None = None
        self._low = self._high = np.zeros((0, 3))

    def touch(self, turn: Turn, met: Meeting, depsgraph: bpy.types.Depsgraph) -> Touch | None:
        """What the mover of ``turn`` touches at ``met``; None for nothing."""
        mover = self._mover(turn, met, depsgraph)
        if mover is None:
            return None
        pace = float(np.sqrt((mover.before**2).sum(axis=1)).max())
        reach = REACH * mover.size + (0.0 if turn.halts else 0.2 * pace)
        least = SLOWEST * mover.size / self._fps
        best: Touch | None = None
        resting: Touch | None = None
        for partner in self._near(turn, mover, reach):
            found = self._against(turn, met, mover, partner, reach, depsgraph)
            if found is None:
                continue
            resting = found if resting is None else resting
            if found.kind == "hit" and found.speed > least and (best is None or found.speed > best.speed):
                best = found
        if best is not None or resting is None or turn.halts:
            return best
        slide = _slide(resting, met, turn, mover)
        return slide if slide is not None and slide.speed > SLIDE_SPEED * mover.size / self._fps else None

    # The mover ------------------------------------------------------------------------------------------

    def _mover(self, turn: Turn, met: Meeting, depsgraph: bpy.types.Depsgraph) -> Mover | None:
        """Its outermost corners as its movement before foretells them for the turn."""
        body, frame = turn.body, turn.frame
        around = self._window.around(body, frame, 2, 3)  # frames -2 to 3
        if not np.isfinite(around[2]).all():
            return None
        if body in self._window.points:
            return self._bending(turn, met)
        shape = self._things.shape(body, depsgraph)
        if shape is None:
            return None
        last, here, then, later = around[1], around[2], around[3], around[4]
        step = here - last if np.isfinite(last).all() else np.zeros((4, 4))
        leave = later - then if np.isfinite(later).all() else np.zeros((4, 4))
        if turn.halts:
            step = (here - around[0]) / 2.0 if np.isfinite(around[0]).all() else step
            leave = np.zeros((4, 4))
            matrix = later.copy() if np.isfinite(later).all() else here.copy()
        else:
            matrix = here + met.time * step
        middle = np.append(self._things.boxes[body, 1], 1.0)
        coming, going = step[:3].copy(), leave[:3].copy()
        if not turn.halts:  # the arcs know the speeds at the very moment, the frames only those on the way
            matrix[:3, 3] += met.place - matrix[:3] @ middle
            coming[:, 3] += met.before - coming @ middle
            going[:, 3] += met.after - going @ middle
        full = _homogeneous(shape.outer)
        corners = full @ matrix[:3].T
        if not np.isfinite(corners).all() or abs(np.linalg.det(matrix)) < 1e-18:
            return None
        size = 2.0 * float(self._radius[body])
        before, after = full @ coming.T, full @ going.T
        moves = coming, going
        past = full @ self._window.around(body, frame - 3, 0, 0)[0, :3].T if turn.halts else None
        return Mover(body, matrix, corners, before, after, matrix[:3] @ middle, size, moves, past)

    def _bending(self, turn: Turn, met: Meeting) -> Mover | None:
        points = self._window.points[turn.body]
        index = turn.frame - self._window.first
        if index < 1 or index + 2 >= self._window.filled:
            return None
        last, here, then, later = points[index - 1 : index + 3].astype(float)
        before, after = np.nan_to_num(here - last), np.nan_to_num(later - then)
        corners = then if turn.halts else here + met.time * before
        if not np.isfinite(corners).all():
            return None
        matrix = np.eye(4)
        matrix[:3, 3] = corners.mean(axis=0)
        size = 2.0 * float(self._radius[turn.body])
        return Mover(turn.body, matrix, corners, before, after, matrix[:3, 3], size)

    # Its partners ---------------------------------------------------------------------------------------

    @staticmethod
    def _boxes(matrices: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(all="ignore"):
            turns = matrices[:, :3, :3].astype(float)
            middles = (turns @ boxes[:, 1, :, None])[..., 0] + matrices[:, :3, 3]
            halves = (np.abs(turns) @ boxes[:, 0, :, None])[..., 0]
            return middles - halves, middles + halves

    def _near(self, turn: Turn, mover: Mover, reach: float) -> list[int]:
        """Things whose boxes lie within ``reach``, the nearest first."""
        if self._frame != turn.frame:
            self._frame = turn.frame
            self._low, self._high = self._bounds(turn.frame)
        low, high = mover.corners.min(axis=0) - reach, mover.corners.max(axis=0) + reach
        near = np.flatnonzero(((self._low <= high) & (self._high >= low)).all(axis=1))
        owner = self._things.owners[mover.number]
        near = near[self._things.owners[near] != owner]
        near = near[~self._joined(turn, near)]
        if len(near) > _PARTNERS:
            gap = np.maximum(self._low[near] - high, low - self._high[near]).max(axis=1)
            near = near[np.argsort(gap, kind="stable")[:_PARTNERS]]
        return near.tolist()

    def _joined(self, turn: Turn, near: np.ndarray) -> np.ndarray:
        """Which of ``near`` belong to the mover's own figure and were beside it all along, as limbs are."""
        family = self._things.families[turn.body]
        joined = (self._things.families[near] == family) & (family >= 0)
        if joined.any():
            low, high = self._bounds(turn.frame - 3)
            joined &= ((low[near] <= high[turn.body]) & (high[near] >= low[turn.body])).all(axis=1)
        return joined

    def _bounds(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) lowest and highest of everything from this frame to the next."""
        low = high = np.full((self._things.bodies, 3), np.nan)
        for one in (frame, frame + 1):
            matrices = self._window.at(one)
            if matrices is None:
                continue
            lower, higher = self._boxes(matrices, self._things.boxes[: self._things.bodies])
            for number, points in self._window.points.items():
                corners = points[one - self._window.first]
                lower[number], higher[number] = corners.min(axis=0), corners.max(axis=0)
            low, high = np.fmin(low, lower), np.fmax(high, higher)
        return np.concatenate((low, self._still[0])), np.concatenate((high, self._still[1]))

    def _against(
        self,
        turn: Turn,
        met: Meeting,
        mover: Mover,
        partner: int,
        reach: float,
        depsgraph: bpy.types.Depsgraph,
    ) -> Touch | None:
        """The mover's corners against the partner's surface, then the partner's against the mover's."""
        other = surface(self._things, self._window, partner, turn, met, depsgraph)
        if other is None:
            return None
        jump = float(turn.jump @ turn.jump) ** 0.5
        way = -turn.jump / jump if jump > 0.0 else mover.before.mean(axis=0)
        towards = np.clip(mover.centre, self._low[partner], self._high[partner])
        found = _meeting(mover.picked(_foremost(mover.corners, way, towards)), other, reach)
        if (found is None or found.kind != "hit") and mover.moves is not None:
            shape = self._things.shape(mover.number, depsgraph)
            low, high = mover.corners.min(axis=0) - reach, mover.corners.max(axis=0) + reach
            inside = other.corners_within(low, high)
            if len(inside) and shape is not None and shape.tree is not None:
                places, normals = nearest(inside, mover.matrix, shape.tree, reach)
                found = _strongest(mover.at(inside), other, places, normals, reach) or found
        return found


def _homogeneous(points: np.ndarray) -> np.ndarray:
    return np.concatenate((points, np.ones((len(points), 1))), axis=1)


def _foremost(corners: np.ndarray, way: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Numbers of the few corners that lie farthest along ``way``, and of those nearest to ``towards``."""
    if len(corners) <= _PROBES:
        return np.arange(len(corners))
    ahead = np.argpartition(-(corners @ way), _PROBES // 2)[: _PROBES // 2]
    near = np.argpartition(((corners - towards) ** 2).sum(axis=1), _PROBES // 2)[: _PROBES // 2]
    return np.unique(np.concatenate((ahead, near)))


def _meeting(mover: Mover, other: Surface, reach: float) -> Touch | None:
    """The mover's corners against a surface."""
    places, normals = other.nearest(mover.corners, reach)
    return _strongest(mover, other, places, normals, reach)


def _strongest(
    mover: Mover, other: Surface, places: np.ndarray, normals: np.ndarray, reach: float
) -> Touch | None:
    """Where the two come upon each other fastest; else where they lie on each other."""
    with np.errstate(invalid="ignore"):
        facing = np.sign(((mover.centre - places) * normals).sum(axis=1))
        normals = normals * np.where(facing == 0.0, 1.0, facing)[:, None]
        gaps = np.sqrt(((mover.corners - places) ** 2).sum(axis=1))
        near = gaps <= reach
        if not near.any():
            return None
        arrives = mover.before - other.speeds(mover.corners, after=False)
        leaves = mover.after - other.speeds(mover.corners, after=True)
        coming, going = -(arrives * normals).sum(axis=1), -(leaves * normals).sum(axis=1)
        # What is farther off than the nearest corner is only on its way down, as the front of a rolling ball.
        near &= gaps - np.nanmin(gaps) <= 0.15 * np.abs(coming) + NEARLY * mover.size
        hits = np.where(near & (coming > 0.0) & (going < 0.5 * coming), coming, -np.inf)
    pace = float(np.sqrt((arrives**2).sum(axis=1)).max())
    for best in np.argsort(-hits)[:3].tolist():
        if not np.isfinite(hits[best]):
            break
        if (mover.earlier is not None or hits[best] < 0.5 * pace) and _touched(mover, arrives, other):
            break  # it slides or rolls on
        if _was_apart(mover.corners[best], arrives[best], float(gaps[best]), float(hits[best]), other):
            return _touch(other, places[best], normals[best], float(hits[best]), "hit", mover)
    best = int(np.nanargmin(gaps))
    return _touch(other, places[best], normals[best], 0.0, "rest", mover)


def _touch(
    other: Surface, place: np.ndarray, normal: np.ndarray, speed: float, kind: str, mover: Mover
) -> Touch:
    arm = np.linalg.solve(mover.matrix, np.append(place, 1.0))[:3]
    return Touch(other.number, place, normal, speed, kind, arm)


def _was_apart(corner: np.ndarray, arrives: np.ndarray, gap: float, coming: float, other: Surface) -> bool:
    """Whether a corner was farther away a frame ago; in a joint, where two things overlap, it was not."""
    places, _ = other.nearest((corner - arrives)[None], gap + 4.0 * coming)
    earlier = float(np.linalg.norm(corner - arrives - places[0]))
    return not earlier < gap + 0.3 * coming


def _touched(mover: Mover, arrives: np.ndarray, other: Surface) -> bool:
    """Whether the two lay on each other some way before."""
    earlier = mover.corners - 1.5 * arrives if mover.earlier is None else mover.earlier
    within = ALONG * mover.size
    places, _ = other.nearest(earlier, within)
    return bool((np.sqrt(((earlier - places) ** 2).sum(axis=1)) < within).any())


def _slide(resting: Touch, met: Meeting, turn: Turn, mover: Mover) -> Touch | None:
    """A thing that lies on another and is suddenly moved, or suddenly stands."""
    before, after = float(np.linalg.norm(met.before)), float(np.linalg.norm(met.after))
    if turn.spin > 0.7 or abs(float(met.before @ resting.normal)) + abs(
        float(met.after @ resting.normal)
    ) > 0.2 * (before + after):
        return None
    if before < 0.05 * after:
        rolls = float(np.linalg.norm(mover.after - met.after, axis=1).max()) > 0.5 * after
        return resting._replace(speed=after, kind="roll" if rolls else "slide")
    if after < 0.05 * before:
        return resting._replace(speed=before, kind="stop")
    return None
