# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a sharp turn of a path is a hit: does the thing come upon another there, and stop coming nearer?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...hits.watch import SLOWEST
from ...hits.window import Window
from .movers import Mover
from .sources import Now
from .surface import Surface, Surfaces
from .things import Things

REACH = 0.04  # of a thing's size: animators leave gaps, and let things sink in
NEARLY = 0.004  # of a thing's size: corners that come as near as this touch together
ALONG = 0.01  # of a thing's size: what has been as near as this lay there
ROLLS = 0.3  # of its fastest place: what lay there and comes down more slowly elsewhere rolls on
SLIDE_SPEED = 0.5  # of a thing's sizes a second, for its sliding to begin or end with a sound
_AUDIBLE = 0.12  # metres a second: what meets more slowly is not heard, unless it is huge, or the scene tiny
_EARLY, _LATE = 0.15, 0.35  # frames by which the time of a turn may be off: seldom, and at most
_PARTNERS = 12
_PROBES = 20


class Touch(NamedTuple):
    """A hit, or the start or end of sliding. point, normal: (3,); speed: lengths per frame."""

    partner: int
    point: np.ndarray
    normal: np.ndarray
    speed: float
    kind: str


class _Corners(NamedTuple):
    """Some of a mover's corners: places, velocities before and after; earlier: where they were, if known."""

    places: np.ndarray
    before: np.ndarray
    after: np.ndarray
    earlier: np.ndarray | None = None


class Contacts:
    """Looks around a turn in the frames that are kept."""

    def __init__(self, things: Things, window: Window, fps: float) -> None:
        self._things, self._window, self._fps = things, window, fps
        self._surfaces = Surfaces(things, window)
        self._still = _bounds(things.still[things.bodies :], things.boxes[things.bodies :])
        self._first = 0
        self._low = self._high = np.zeros((1, 0, 3))

    def begin(self, matrices: np.ndarray) -> None:
        """Take the (F, B, 4, 4) matrices of all frames that are kept."""
        window = self._window
        low, high = _bounds(matrices, self._things.boxes[: self._things.bodies])
        for number, points in window.points.items():
            corners = points[: window.filled]
            low[:, number], high[:, number] = corners.min(axis=1), corners.max(axis=1)
        self._first = window.first
        self._low, self._high = np.fmin(low[:-1], low[1:]), np.fmax(high[:-1], high[1:])

    def touch(self, mover: Mover, now: Now) -> Touch | None:
        """What the mover touches at its turn; None for nothing."""
        turn = mover.turn
        if self._leaves(mover, now):
            return None
        pace = _pace(mover)
        reach = REACH * mover.size + (0.0 if turn.halts else 0.2 * pace)
        least = min(max(_AUDIBLE, SLOWEST * mover.size), 5.0 * SLOWEST * mover.size) / self._fps
        best: Touch | None = None
        resting: Touch | None = None
        for partner in self._near(mover, reach):
            found = self._against(mover, partner, reach, now)
            if found is None:
                continue
            resting = found if resting is None else resting
            if found.kind == "hit" and found.speed > least and (best is None or found.speed > best.speed):
                best = found
        if best is not None or resting is None or turn.halts:
            return best
        slide = _slide(resting, mover)
        return slide if slide is not None and slide.speed > SLIDE_SPEED * mover.size / self._fps else None

    def _leaves(self, mover: Mover, now: Now) -> bool:
        """Whether it stood and is off, away from what it lay on: quickly told, and half of all turns."""
        met, turn = mover.met, mover.turn
        speed = float(met.after @ met.after) ** 0.5
        if turn.halts or turn.spin > 0.3 or mover.points is not None or speed <= 0.0:
            return False
        if float(met.before @ met.before) ** 0.5 > 0.05 * speed:
            return False
        near = self._near(mover, REACH * mover.size)
        for partner in near:
            other = None if partner < self._things.bodies else self._surfaces.at(partner, mover, now)
            if other is None:
                return False  # what moves may strike it
            _, normals = other.nearest(mover.centre[None], mover.size)
            if not abs(float(normals[0] @ met.after)) > 0.2 * speed:
                return False
        return True

    # Partners -------------------------------------------------------------------------------------------

    def _near(self, mover: Mover, reach: float) -> list[int]:
        """Things whose boxes lie within ``reach``, the nearest first."""
        low, high = mover.low - reach, mover.high + reach
        frame, things = mover.turn.frame, self._things
        moving = self._moving(frame)
        near = np.flatnonzero(((moving[0] <= high) & (moving[1] >= low)).all(axis=1))
        still = np.flatnonzero(((self._still[0] <= high) & (self._still[1] >= low)).all(axis=1))
        near = np.concatenate((near, still + things.bodies))
        near = near[things.owners[near] != things.owners[mover.number]]
        family = things.families[mover.number]
        if family >= 0:
            near = near[~self._joined(mover.number, family, near, frame)]
        if len(near) > _PARTNERS:
            middles = np.array([self._box(number, frame) for number in near.tolist()])
            gap = np.maximum(middles[:, 0] - high, low - middles[:, 1]).max(axis=1)
            near = near[np.argsort(gap, kind="stable")[:_PARTNERS]]
        return near.tolist()

    def _joined(self, number: int, family: int, near: np.ndarray, frame: int) -> np.ndarray:
        """Which of ``near`` belong to the mover's own figure and were beside it all along, as limbs are."""
        joined = self._things.families[near] == family
        if joined.any():
            low, high = self._box(number, frame - 3)
            boxes = np.array([self._box(one, frame - 3) for one in near.tolist()])
            joined &= ((boxes[:, 0] <= high) & (boxes[:, 1] >= low)).all(axis=1)
        return joined

    def _box(self, number: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
        low, high = self._still if number >= self._things.bodies else self._moving(frame)
        row = number - self._things.bodies if number >= self._things.bodies else number
        return low[row], high[row]

    def _moving(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, 3) lowest and highest of what moves, from this frame to the next."""
        row = min(max(frame - self._first, 0), len(self._low) - 1)
        return self._low[row], self._high[row]

    def _against(self, mover: Mover, partner: int, reach: float, now: Now) -> Touch | None:
        """The mover's corners against the partner's surface, then the partner's against the mover's."""
        other = self._surfaces.at(partner, mover, now)
        if other is None:
            return None
        shape = self._things.shape(mover.number, now)
        if shape is None:
            return None
        corners = _foremost(mover, shape.outer, np.clip(mover.centre, *self._box(partner, mover.turn.frame)))
        places, normals = other.nearest(corners.places, reach)
        found = _strongest(mover, corners, other, places, normals, reach)
        if (found is None or found.kind != "hit") and mover.points is None and shape.tree is not None:
            inside = other.corners_within(mover.low - reach, mover.high + reach)
            if len(inside):
                own = Surface(
                    mover.number, mover.matrix, np.linalg.inv(mover.matrix[:3, :3]), shape.tree, inside
                )
                places, normals = own.nearest(inside, reach)
                corners = _carried(mover, mover.own(inside), inside)
                found = _strongest(mover, corners, other, places, normals, reach) or found
        return found


def _bounds(matrices: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., N, 3) lowest and highest places of (N, 2, 3) boxes under (..., N, 4, 4)."""
    with np.errstate(all="ignore"):
        middles, halves = matrices[..., :3, 3].copy(), np.zeros_like(matrices[..., :3, 3])
        for axis in range(3):
            middles += matrices[..., :3, axis] * boxes[:, 1, axis, None]
            halves += np.abs(matrices[..., :3, axis]) * boxes[:, 0, axis, None]
        return middles - halves, middles + halves


# The mover's corners --------------------------------------------------------------------------------------


def _pace(mover: Mover) -> float:
    """How fast the fastest place on it may move before."""
    if mover.points is not None:
        return float(np.sqrt((mover.points[1] ** 2).sum(axis=1)).max())
    speed = mover.met.before
    turning = mover.coming[:, :3]
    return float(speed @ speed) ** 0.5 + 0.5 * mover.size * _stretch(mover, turning)


def _stretch(mover: Mover, turning: np.ndarray) -> float:
    scale = float(np.sqrt((mover.matrix[:3, :3] ** 2).sum(axis=0)).min())
    return float(np.sqrt((turning**2).sum())) / (2.0**0.5 * max(scale, 1e-12))


def _carried(mover: Mover, own: np.ndarray, places: np.ndarray) -> _Corners:
    """Places on a rigid thing, and how it carries them along."""
    coming, going = mover.coming, mover.going
    return _Corners(places, own @ coming[:, :3].T + coming[:, 3], own @ going[:, :3].T + going[:, 3], None)


def _foremost(mover: Mover, outer: np.ndarray, towards: np.ndarray) -> _Corners:
    """The few corners that lie farthest the way it comes from before, and those nearest to ``towards``."""
    jump = mover.turn.jump
    if mover.points is not None:
        rows = _ahead(mover.points[0], -jump, mover.points[0] - towards)
        return _Corners(*(one[rows] for one in mover.points))
    matrix = mover.matrix
    if len(outer) > _PROBES:
        way = -jump @ matrix[:3, :3]
        target = np.linalg.solve(matrix[:3, :3], towards - matrix[:3, 3])
        outer = outer[_ahead(outer, way, outer - target)]
    found = _carried(mover, outer, outer @ matrix[:3, :3].T + matrix[:3, 3])
    if mover.turn.halts:
        past = mover.past
        found = found._replace(earlier=outer @ past[:3, :3].T + past[:3, 3])
    return found


def _ahead(corners: np.ndarray, way: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Numbers of the few of (V, 3) farthest along ``way``, and of those least ``off``."""
    half = min(_PROBES // 2, len(corners) - 1)
    ahead = np.argpartition(-(corners @ way), half)[:half]
    near = np.argpartition((off * off).sum(axis=1), half)[:half]
    return np.concatenate((ahead, near)) if half else np.array([0])


# Touching -------------------------------------------------------------------------------------------------


def _strongest(
    mover: Mover,
    corners: _Corners,
    other: Surface,
    places: np.ndarray,
    normals: np.ndarray,
    reach: float,
) -> Touch | None:
    """Where the two come upon each other fastest; else where they lie on each other."""
    off = corners.places - places
    gaps = np.sqrt((off * off).sum(axis=1))
    near = gaps <= reach
    if not near.any():
        return None
    facing = np.where(((mover.centre - places) * normals).sum(axis=1) < 0.0, -1.0, 1.0)
    normals = normals * facing[:, None]
    arrives = corners.before - other.speeds(corners.places, after=False)
    leaves = corners.after - other.speeds(corners.places, after=True)
    coming, going = -(arrives * normals).sum(axis=1), -(leaves * normals).sum(axis=1)
    # What is farther off than the nearest corner is only on its way down, as the front of a rolling ball;
    # but what is thrown back has been there, though whole frames tell its time but roughly.
    least = float(gaps[near].min())
    late = np.where(going < 0.0, _LATE, _EARLY) * np.abs(coming)
    near &= gaps - least <= late + NEARLY * mover.size
    hits = np.where(near & (coming > 0.0) & (going < 0.5 * coming), coming, -np.inf)
    pace = float(np.sqrt((arrives * arrives).sum(axis=1)).max())
    for best in np.argsort(-hits)[:3].tolist():
        speed = float(hits[best])
        if not speed > 0.0:
            break
        if (corners.earlier is not None or speed < ROLLS * pace) and _touched(mover, corners, arrives, other):
            break  # it slides or rolls on
        if _was_apart(corners.places[best], arrives[best], float(gaps[best]), speed, other):
            return Touch(other.number, places[best], normals[best], speed, "hit")
    best = int(np.nanargmin(gaps))
    return Touch(other.number, places[best], normals[best], 0.0, "rest")


def _was_apart(corner: np.ndarray, arrives: np.ndarray, gap: float, coming: float, other: Surface) -> bool:
    """Whether a corner was farther away a frame ago; in a joint, where two things overlap, it was not."""
    places, _ = other.nearest((corner - arrives)[None], gap + 4.0 * coming)
    earlier = float(np.linalg.norm(corner - arrives - places[0]))
    return not earlier < gap + 0.3 * coming


def _touched(mover: Mover, corners: _Corners, arrives: np.ndarray, other: Surface) -> bool:
    """Whether the two lay on each other some way before."""
    earlier = corners.places - 1.5 * arrives if corners.earlier is None else corners.earlier
    within = ALONG * mover.size
    places, _ = other.nearest(earlier, within)
    return bool((np.sqrt(((earlier - places) ** 2).sum(axis=1)) < within).any())


def _slide(resting: Touch, mover: Mover) -> Touch | None:
    """A thing that lies on another and is suddenly moved, or suddenly stands."""
    met = mover.met
    before, after = float(np.linalg.norm(met.before)), float(np.linalg.norm(met.after))
    upright = abs(float(met.before @ resting.normal)) + abs(float(met.after @ resting.normal))
    if mover.turn.spin > 0.95 or upright > 0.2 * (before + after):
        return None
    if before < 0.05 * after:
        turning = 0.5 * mover.size * _stretch(mover, mover.going[:, :3])
        return resting._replace(speed=after, kind="roll" if turning > 0.5 * after else "slide")
    if after < 0.05 * before:
        return resting._replace(speed=before, kind="stop")
    return None
