# SPDX-License-Identifier: GPL-3.0-or-later
"""When exactly a path turns: between hits a thing follows a smooth arc, and a hit is where two arcs meet."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

EARLY, LATE = 3, 4  # samples are taken from so many frames before a turn's frame to so many after
CERTAIN = 0.04  # frames: a meeting doubted less needs no look between frames
ROUNDS = 5  # of looks between frames
_BOTH_BEFORE, _BOTH_AFTER = 0.2, 0.8  # of the change of speed, as seen between two looks
STEPS = 16  # looks are taken at whole steps of a frame, so that several hits can share one

Sample = tuple[float, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """When two arcs meet, the velocities before and after, where, and how many frames off that may be."""

    time: float
    before: np.ndarray
    after: np.ndarray
    place: np.ndarray
    doubt: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """A parabola. coefficients: (3, 3), constant term first."""

    coefficients: np.ndarray

    @classmethod
    def through(cls, samples: Sequence[Sample]) -> Arc:
        """Through the first three of at least one sample."""
        used = samples[:3]
        times = np.array([time for time, _ in used])
        matrix = np.vander(times, len(used), increasing=True)
        solved = np.linalg.solve(matrix, np.array([place for _, place in used], float))
        return cls(np.concatenate((solved, np.zeros((3 - len(used), 3)))))

    def at(self, time: float) -> np.ndarray:
        return self.coefficients[0] + time * (self.coefficients[1] + time * self.coefficients[2])

    def speed(self, time: float) -> np.ndarray:
        return self.coefficients[1] + 2.0 * time * self.coefficients[2]


def sides(places: np.ndarray, size: float) -> tuple[list[Sample], list[Sample]]:
    """The samples before and after a turn of ``size``, nearest first, out of (8, 3): frames -3 to 4.

    Those beyond another turn, or where there is nothing, are left out; a side may be empty.
    """
    early = _calm(places[EARLY::-1], size)
    late = _calm(places[EARLY + 1 :], size)
    return [(-float(n), place) for n, place in enumerate(early)], [
        (1.0 + n, place) for n, place in enumerate(late)
    ]


def _calm(places: np.ndarray, size: float) -> np.ndarray:
    """As many of (4, 3) as lie on one arc: at least one, at most all."""
    whole = np.isfinite(places).all(axis=1)
    count = len(places) if whole.all() else int(np.argmin(whole))
    if count >= 3:
        first = places[0] - 2.0 * places[1] + places[2]
        bend = float(first @ first) ** 0.5
        if count == 4:
            third = first - (places[1] - 2.0 * places[2] + places[3])
            if float(third @ third) ** 0.5 < 0.3 * size:
                return places
            count = 3
        if bend >= 0.6 * size:
            count = 2
    return places[:count]


def meet(
    early: Sequence[Sample], late: Sequence[Sample], guess: float, low: float = -0.2, high: float = 1.2
) -> Meeting:
    """Where the arcs of both sides meet, within ``low`` to ``high``; the crossing nearest to ``guess``."""
    before, after = Arc.through(early), Arc.through(late)
    jump = after.speed(guess) - before.speed(guess)
    length = _length(jump)
    time = guess
    if length > 0.0:
        c, b, a = ((after.coefficients - before.coefficients) @ (jump / length)).tolist()
        near = [root for root in _roots(a, b, c) if low - 0.3 <= root <= high + 0.3]
        time = min(near, key=lambda root: abs(root - guess), default=guess)
    time = min(max(time, low), high)
    change = after.speed(time) - before.speed(time)
    doubt = (_stray(early, time) + _stray(late, time)) / max(_length(change), 1e-12)
    return Meeting(time, before.speed(time), after.speed(time), before.at(time), doubt)


def _roots(a: float, b: float, c: float) -> list[float]:
    """Where a parabola crosses 0, or nearly touches it."""
    if abs(a) < 1e-9 * max(abs(b), abs(c), 1e-12):
        return [-c / b] if b else []
    inner = b * b - 4.0 * a * c
    if inner < 0.0:
        return [-b / (2.0 * a)] if (-inner) ** 0.5 < 0.5 * abs(a) else []
    half = -0.5 * (b + (inner**0.5 if b >= 0.0 else -(inner**0.5)))
    return [half / a, c / half if half else 0.0]


def _stray(samples: Sequence[Sample], time: float) -> float:
    """How far from the arc through the first three the path may be at ``time``, told by the fourth sample."""
    if len(samples) < 4:
        return 0.0 if len(samples) == 3 else math.inf
    there, here = 1.0, 1.0
    for known, _ in samples[:3]:
        there *= samples[3][0] - known
        here *= time - known
    return _off(samples) * abs(here / there)


def _off(samples: Sequence[Sample]) -> float:
    """How far the fourth sample lies from the arc through the first three; 0 where there is none."""
    return _length(samples[3][1] - Arc.through(samples).at(samples[3][0])) if len(samples) > 3 else 0.0


def _length(vector: np.ndarray) -> float:
    return float(vector @ vector) ** 0.5


def rest(places: np.ndarray) -> float:
    """When a path that slows down evenly has come to rest: (8, 3) places as for ``sides``; in frames."""
    still = places[EARLY + 2]
    gaps = [float(np.linalg.norm(places[EARLY - back] - still)) for back in (0, 1, 2)]
    start = 0 if gaps[0] > 1e-3 * max(gaps) else 1
    near, far = gaps[start] ** 0.5, gaps[min(start + 1, 2)] ** 0.5
    if not (np.isfinite(far) and far > near):
        return 0.5
    return min(max(near / (far - near) - start, -0.5), 2.0)


def narrow(
    early: list[Sample], late: list[Sample], found: Meeting
) -> Generator[tuple[float, ...], Sequence[np.ndarray | None], Meeting]:
    """Find the meeting by looking: yields the times of looks, takes the places there, returns the meeting.

    Two looks just before and just after the guess tell by their speed on which side of the meeting they lie;
    once one lies on each side it is found. At most ``ROUNDS`` rounds.
    """
    known = dict([*early, *late])
    guess, least, most = found.time, -0.25, 1.25
    for _ in range(ROUNDS):
        low = min(max(math.floor(guess * STEPS - 0.3) / STEPS, least), most - 1.0 / STEPS)
        high = low + 1.0 / STEPS
        times = [time for time in (low, high) if time not in known]
        if times:
            seen = yield tuple(times)
            if any(place is None or not np.isfinite(place).all() for place in seen):
                return found
            known.update((time, place) for time, place in zip(times, seen, strict=True) if place is not None)
        before = Arc.through(early).speed(low)
        jump = Arc.through(late).speed(high) - before
        speed = (known[high] - known[low]) * STEPS
        share = float((speed - before) @ jump) / max(float(jump @ jump), 1e-18)
        last = high if share < _BOTH_BEFORE else low if share <= _BOTH_AFTER else low - 1.0 / STEPS
        rows = sorted(known.items())
        early = [sample for sample in rows[::-1] if sample[0] <= last + 1e-9]
        late = [sample for sample in rows if sample[0] > last + 1e-9]
        if len(early) < 2 or len(late) < 2:
            return found
        found = meet(early[:4], late[:4], found.time, early[0][0], late[0][0])
        least, most = early[0][0], late[0][0]
        if last == low or most - least <= 1.0 / STEPS:
            break
        # Arcs that meet nowhere between the two sides tell nothing: the middle is as good a guess.
        guess = found.time if least < found.time < most else (least + most) / 2.0
    return found
