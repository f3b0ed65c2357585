# SPDX-License-Identifier: GPL-3.0-or-later
"""Sudden changes of velocity: a thing that moves is stopped or thrown back between two pictures.

Before and after the hit a point moves smoothly, so its speed just before and just after can be foretold from
two steps on either side. Between them lies one mixed step, a part of it still the old motion and the rest the
new one: how large that part is gives the hit's time between the two pictures. Fast but smooth motion (the top
of a parabola, a pendulum's turn) foretells itself and is no turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .tracks import STEPS, Followed

MIDDLE = STEPS // 2  # the mixed step
_LEAST = 0.7  # of the change that counts: what is a little less may still be part of a turn
_ALIKE = 0.6  # of the change, by which the points of one thing may differ
_BLUR = 0.3  # pixels: how exactly points are followed
_MARGIN = 3.0  # pixels around the points of a thing


@dataclass(frozen=True, slots=True)
class _Gate:
    """What a change of velocity has to be like.

    against: cosine between what was taken away and the motion before, 1 is straight against it; onward:
    times as fast as before at most, more is a start and not a hit; off, bend: of the change, by which the
    mixed step may miss the line between old and new, and the smooth motion around it may bend; slip: by which
    the mixed step may lie before the old or after the new; speed: before, of the least change.
    """

    against: float
    onward: float
    off: float
    bend: float
    slip: float
    speed: float


_MAYBE = _Gate(against=0.2, onward=1.4, off=0.6, bend=2.0, slip=0.5, speed=0.35)
_CLEAN = _Gate(against=0.5, onward=1.15, off=0.4, bend=1.25, slip=0.3, speed=0.5)


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing's sudden change of velocity, in pixels and pictures.

    time: number of the picture, fractions too; place: across and down; box: how wide and high; change: (2,)
    pixels a picture; left: the velocity before; onward: how fast it goes on, of the speed before; bend: of
    the smooth motion around it, of the change; share: of the thing's points that turned, 0..1; count: of
    them; clean: share of those that turned as a hit ought to; sharp: how much larger the change is than all
    that bends around it; backward: the pictures ran backward.
    """

    time: float
    place: tuple[float, float]
    box: tuple[float, float]
    change: np.ndarray
    left: tuple[float, float]
    onward: float
    bend: float
    share: float
    count: int
    clean: float
    sharp: float
    backward: bool

    @property
    def evidence(self) -> float:
        """How surely this is a hit; grows with the square root of the change, so soft ones count as well."""
        size = float(np.hypot(*self.change))
        return size**0.5 * self.share**2 * min(self.count, 8) * min(self.sharp, 4.0) ** 3


@dataclass(frozen=True, slots=True)
class _Points:
    """Points around one mixed step; arrays of one row each."""

    places: np.ndarray
    left: np.ndarray
    change: np.ndarray
    part: np.ndarray
    sharp: np.ndarray
    onward: np.ndarray
    bend: np.ndarray
    turned: np.ndarray
    clean: np.ndarray


def turns(followed: Followed, first: int, *, least: float, reach: float, backward: bool) -> Iterator[Turn]:
    """Turns in the middle of the remembered steps.

    first: number of the picture at which the mixed step began (seen forward); least: pixels a picture that
    count as a change; reach: pixels that one thing spans; backward: the pictures ran backward.
    """
    whole = ~np.isnan(followed.steps).any((1, 2))
    if whole.sum() < 2:
        return
    steps = followed.steps[whole].astype(np.float64)
    places = followed.places[whole] - steps[:, MIDDLE:].sum(1)
    if backward:
        places, steps = places + steps[:, MIDDLE], -steps[:, ::-1]
    points = _points(places, steps, least)
    waiting = np.flatnonzero(points.turned)
    while len(waiting):
        group = _alike(points, waiting, reach)
        waiting = np.setdiff1d(waiting, group)
        if len(group) >= 2:
            yield _turn(points, group, first, backward)


def _points(places: np.ndarray, steps: np.ndarray, least: float) -> _Points:
    before, then = steps[:, MIDDLE - 1], steps[:, MIDDLE + 1]
    bend_before, bend_then = before - steps[:, MIDDLE - 2], steps[:, MIDDLE + 2] - then
    left, right = before + bend_before, then - bend_then
    change = right - left
    size2 = np.maximum((change**2).sum(1), 1e-9)
    part = ((right - steps[:, MIDDLE]) * change).sum(1) / size2
    mixed = part[:, None] * left + (1.0 - part[:, None]) * right
    size, speed = np.sqrt(size2), np.hypot(*left.T)
    off = np.hypot(*(steps[:, MIDDLE] - mixed).T)
    bend = np.hypot(*bend_before.T) + np.hypot(*bend_then.T)
    against = -(left * change).sum(1) / np.maximum(speed * size, 1e-9)
    onward = np.hypot(*right.T) / np.maximum(speed, 1e-9)

    def through(gate: _Gate) -> np.ndarray:
        passed = (speed > gate.speed * least) & (against > gate.against) & (onward < gate.onward)
        passed &= (part > -gate.slip) & (part < 1.0 + gate.slip)
        open_: np.ndarray = passed & (off < gate.off * size) & (bend < gate.bend * size)
        return open_

    turned = through(_MAYBE) & (size > _LEAST * least)
    clean = turned & through(_CLEAN) & (size > least)
    sharp = size / (bend + off + _BLUR)
    return _Points(places, left, change, part, sharp, onward, bend / size, turned, clean)


def _alike(points: _Points, waiting: np.ndarray, reach: float) -> np.ndarray:
    """The points of ``waiting`` that turn together with the one whose change is the middle one."""
    sizes = np.hypot(*points.change[waiting].T)
    seed = waiting[int(sizes.argsort()[len(sizes) // 2])]
    near = np.hypot(*(points.places[waiting] - points.places[seed]).T) < reach
    change = points.change[seed]
    alike = np.hypot(*(points.change[waiting] - change).T) < _ALIKE * np.hypot(*change)
    group: np.ndarray = waiting[near & alike]
    return group


def _turn(points: _Points, group: np.ndarray, first: int, backward: bool) -> Turn:
    places, left = points.places[group], points.left[group].mean(0)
    low, high = places.min(0) - _MARGIN, places.max(0) + _MARGIN
    inside = ((points.places > low) & (points.places < high)).all(1) & ~points.turned
    fellow = np.hypot(*(points.left - left).T) < 0.5 * np.hypot(*left)
    goes_on = int((inside & fellow).sum())  # the same thing, yet not turned: rather a slip of following
    centre, span = places.mean(0), high - low
    return Turn(
        time=first + float(np.median(points.part[group].clip(0.0, 1.0))),
        place=(float(centre[0]), float(centre[1])),
        box=(float(span[0]), float(span[1])),
        change=np.median(points.change[group], 0),
        left=(float(left[0]), float(left[1])),
        onward=float(np.median(points.onward[group])),
        bend=float(np.median(points.bend[group])),
        share=len(group) / (len(group) + goes_on),
        count=len(group),
        clean=float(points.clean[group].mean()),
        sharp=float(np.median(points.sharp[group])),
        backward=backward,
    )
