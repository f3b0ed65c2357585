# SPDX-License-Identifier: GPL-3.0-or-later
"""Things at their turns: where they are then, and how each place on them moves before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...hits import arcs
from ...hits.arcs import Meeting, Meetings
from ...hits.watch import Turn, on_earth
from ...hits.window import Window

BACK = arcs.EARLY  # frames kept before a turn's
_SPINNING = 0.7  # so much of a turn is a change of rotation
_FLAT = 1e-18


@dataclass(slots=True, eq=False)
class Mover:
    """A thing at a turn. matrix: (4, 4) as its movement before foretells it for that moment.

    coming, going: (3, 4) that give places in its own space their velocities before and after; low, high: its
    box in the world; points: of what bends, its corners then, and their velocities before and after, (P, 3).
    """

    turn: Turn
    met: Meeting
    matrix: np.ndarray
    coming: np.ndarray
    going: np.ndarray
    centre: np.ndarray
    size: float
    low: np.ndarray
    high: np.ndarray
    past: np.ndarray
    points: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def number(self) -> int:
        return self.turn.body

    def changes(self) -> float:
        """How fast its outer places move against its centre, before or after: it turns, or grows."""
        scale = float(np.sqrt((self.matrix[:3, :3] ** 2).sum(axis=0)).min())
        most = max(float((moves[:, :3] ** 2).sum()) for moves in (self.coming, self.going)) ** 0.5
        return 0.5 * self.size * most / (2.0**0.5 * max(scale, 1e-12))

    def own(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) places in the world, in its own space."""
        found: np.ndarray = np.linalg.solve(self.matrix[:3, :3], (points - self.matrix[:3, 3]).T).T
        return found


def paths(
    window: Window, turns: Sequence[Turn], arms: np.ndarray, *, touching: bool = False
) -> tuple[np.ndarray, Meetings]:
    """(C, 8, 3) ways of the places ``arms`` (C, 3) around each turn, and when they turn.

    touching: they are the places that touch; the centre of what mostly turns about itself tells no time.
    """
    bodies, frames = np.array([turn.body for turn in turns]), np.array([turn.frame for turn in turns])
    around = window.around_many(bodies, frames, arcs.EARLY, arcs.LATE)
    with np.errstate(all="ignore"):
        ways = on_earth((around[..., :3, :3] * arms[:, None, None]).sum(axis=3) + around[..., :3, 3])
    fixed = None if touching else np.array([turn.spin > _SPINNING for turn in turns])
    sizes, guesses = (np.array([getattr(turn, name) for turn in turns]) for name in ("size", "offset"))
    if not touching:  # the centre has its own part in the turn, and only that tells its arcs apart
        sizes = np.sqrt(sum(np.array([turn.jump for turn in turns]).T ** 2))
    met = arcs.foretell(ways, sizes, guesses, fixed)
    for row, turn in enumerate(turns):
        if turn.halts:
            met.times[row] = arcs.rest(ways[row])
            met.before[row], met.after[row] = -turn.jump, 0.0
            met.places[row] = ways[row, arcs.EARLY + 2]
            met.doubts[row] = 0.0
    return ways, met


def movers(
    window: Window,
    turns: Sequence[Turn],
    arms: np.ndarray,
    met: Meetings,
    boxes: np.ndarray,
    radius: np.ndarray,
) -> list[Mover | None]:
    """Each turn's thing, None where it is not known well enough.

    arms, met: the places that ``paths`` followed, and what it found; boxes, radius: of all things that move.
    """
    bodies, frames = np.array([turn.body for turn in turns]), np.array([turn.frame for turn in turns])
    around = window.around_many(bodies, frames, BACK, 3)
    halts = np.array([turn.halts for turn in turns])[:, None, None]
    past, last, here, then, later = around[:, 0], *(around[:, BACK + step] for step in (-1, 0, 1, 2))
    known = np.isfinite(here).all(axis=(1, 2)) & met.known
    with np.errstate(all="ignore"):
        step = np.nan_to_num(np.where(halts, (here - around[:, BACK - 2]) / 2.0, here - last))
        leave = np.where(halts, 0.0, np.nan_to_num(later - then))
        at_rest = np.where(np.isfinite(later), later, here)
        matrices = np.where(halts, at_rest, here + met.times[:, None, None] * step)
        places = np.concatenate((arms, np.ones((len(turns), 1))), axis=1)
        coming, going = step[:, :3].copy(), leave[:, :3].copy()
        # The arcs know the speeds at the very moment, the frames only those on the way.
        moving = ~halts[:, 0]
        there = (matrices[:, :3] * places[:, None]).sum(axis=2)
        matrices[:, :3, 3] += np.where(moving, met.places - there, 0.0)
        for speeds, moves in ((met.before, coming), (met.after, going)):
            own = (moves * places[:, None]).sum(axis=2)
            moves[:, :, 3] += np.where(moving, speeds - own, 0.0)
        centres = (matrices[:, :3, :3] * boxes[bodies, 1][:, None]).sum(axis=2) + matrices[:, :3, 3]
        halves = (np.abs(matrices[:, :3, :3]) * boxes[bodies, 0][:, None]).sum(axis=2)
        known &= np.isfinite(matrices).all(axis=(1, 2)) & (np.abs(np.linalg.det(matrices)) > _FLAT)
    found: list[Mover | None] = []
    for row, turn in enumerate(turns):
        if not known[row]:
            found.append(None)
            continue
        mover = Mover(
            turn,
            met[row],
            matrices[row],
            coming[row],
            going[row],
            centres[row],
            2.0 * float(radius[turn.body]),
            centres[row] - halves[row],
            centres[row] + halves[row],
            past[row],
        )
        found.append(_bent(mover, window) if turn.body in window.points else mover)
    return found


def _bent(mover: Mover, window: Window) -> Mover | None:
    """What changes its shape: its corners are known at whole frames, and each has its own way."""
    kept, turn = bending_points(window, mover.number, mover.turn.frame), mover.turn
    if kept is None:
        return None
    last, here, then, later = kept
    before, after = np.nan_to_num(here - last), np.nan_to_num(later - then)
    corners = then if turn.halts else here + mover.met.time * before
    if not np.isfinite(corners).all():
        return None
    mover.matrix = np.eye(4)
    mover.matrix[:3, 3] = mover.centre = corners.mean(axis=0)
    mover.low, mover.high = corners.min(axis=0), corners.max(axis=0)
    mover.points = corners, before, after
    return mover


def bending_points(window: Window, number: int, frame: int) -> np.ndarray | None:
    """(4, P, 3) corners of what bends, from the frame before ``frame`` on."""
    index = frame - window.first
    if index < 1 or index + 2 >= window.filled:
        return None
    return window.points[number][index - 1 : index + 3].astype(float)
