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
        found = np.zeros((3, 3))
        start, place = samples[0]
        found[0] = place
        if len(samples) > 1:
            middle, there = samples[1]
            slope = (there - place) / (middle - start)
            found[0], found[1] = place - start * slope, slope
            if len(samples) > 2:
                end, last = samples[2]
                bend = ((last - there) / (end - middle) - slope) / (end - start)
                found[0] += start * middle * bend
                found[1] -= (start + middle) * bend
                found[2] = bend
        return cls(found)

    def at(self, time: float) -> np.ndarray:
        place: np.ndarray = self.coefficients[0] + time * (self.coefficients[1] + time * self.coefficients[2])
        return place

    def speed(self, time: float) -> np.ndarray:
        speed: np.ndarray = self.coefficients[1] + 2.0 * time * self.coefficients[2]
        return speed


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Many meetings at once, each array (C, ...) as in ``Meeting``. known: whether both sides are known."""

    times: np.ndarray
    before: np.ndarray
    after: np.ndarray
    places: np.ndarray
    doubts: np.ndarray
    known: np.ndarray

    def __getitem__(self, number: int) -> Meeting:
        return Meeting(
            float(self.times[number]),
            self.before[number],
            self.after[number],
            self.places[number],
            float(self.doubts[number]),
        )


def sides(places: np.ndarray, size: float) -> tuple[list[Sample], list[Sample]]:
    """The samples before and after a turn of ``size``, nearest first, out of (8, 3): frames -3 to 4.

    Those beyond another turn, or where there is nothing, are left out; a side may be empty.
    """
    early, late = places[EARLY::-1], places[EARLY + 1 :]
    counts = [int(_calm(side[None], np.array([size]))[0]) for side in (early, late)]
    return [(-float(n), early[n]) for n in range(counts[0])], [(1.0 + n, late[n]) for n in range(counts[1])]


def _calm(side: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(C,): how many of (C, 4, 3) samples, nearest first, lie on one arc."""
    with np.errstate(all="ignore"):
        known = np.minimum.accumulate(np.isfinite(side).all(axis=2), axis=1).sum(axis=1)
        bends = side[:, :-2] - 2.0 * side[:, 1:-1] + side[:, 2:]
        bend = np.sqrt((bends[:, 0] ** 2).sum(axis=1))
        third = np.sqrt(((bends[:, 0] - bends[:, 1]) ** 2).sum(axis=1))
        smooth = (known == 4) & (third < 0.3 * sizes)
        even = (known >= 3) & (bend < 0.6 * sizes)
    return np.where(smooth, 4, np.where(even, 3, np.minimum(known, 2)))


def foretell(
    places: np.ndarray, sizes: np.ndarray, guesses: np.ndarray, fixed: np.ndarray | None = None
) -> Meetings:
    """The meetings of many turns at once out of (C, 8, 3) places, as ``sides`` and ``meet`` tell them.

    fixed: (C,) where the guess is to be taken for the time, since these places do not tell it.
    """
    early, late = places[:, EARLY::-1], places[:, EARLY + 1 :]
    counts = _calm(early, sizes), _calm(late, sizes)
    with np.errstate(all="ignore"):
        first, second = _parabolas(early, counts[0]), _parabolas(late, counts[1])
        second[:, 1] *= -1.0  # its samples count away from frame 1
        shifted = second.copy()
        shifted[:, 0] += second[:, 2] - second[:, 1]
        shifted[:, 1] -= 2.0 * second[:, 2]
        jump = _slopes(shifted, guesses) - _slopes(first, guesses)
        way = jump / np.maximum(np.sqrt((jump**2).sum(axis=1, keepdims=True)), 1e-18)
        gap = ((shifted - first) * way[:, None]).sum(axis=2)
        times = _crossings(gap[:, 2], gap[:, 1], gap[:, 0], guesses)
        if fixed is not None:
            times = np.where(fixed, guesses, times)
        before, after = _slopes(first, times), _slopes(shifted, times)
        change = np.maximum(np.sqrt(((after - before) ** 2).sum(axis=1)), 1e-12)
        doubts = (_strays(early, counts[0], times) + _strays(late, counts[1], 1.0 - times)) / change
        there = first[:, 0] + times[:, None] * (first[:, 1] + times[:, None] * first[:, 2])
    known = (counts[0] > 0) & (counts[1] > 0) & np.isfinite(there).all(axis=1) & np.isfinite(times)
    return Meetings(times, before, after, there, np.where(np.isnan(doubts), np.inf, doubts), known)


def _parabolas(side: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(C, 3, 3) coefficients of (C, 4, 3) samples at 0, -1, -2, -3, through as many as there are."""
    bend = side[:, 0] - 2.0 * side[:, 1] + side[:, 2]
    step = side[:, 0] - side[:, 1]
    curved, straight = (counts >= 3)[:, None], (counts >= 2)[:, None]
    slope = np.where(curved, step + bend / 2.0, np.where(straight, step, 0.0))
    return np.stack((side[:, 0], slope, np.where(curved, bend / 2.0, 0.0)), axis=1)


def _slopes(arcs: np.ndarray, times: np.ndarray) -> np.ndarray:
    slopes: np.ndarray = arcs[:, 1] + 2.0 * times[:, None] * arcs[:, 2]
    return slopes


def _crossings(a: np.ndarray, b: np.ndarray, c: np.ndarray, guesses: np.ndarray) -> np.ndarray:
    """Where parabolas cross 0, or nearly touch it: the place nearest to each guess, from -0.2 to 1.2."""
    flat = np.abs(a) < 1e-9 * np.maximum(np.maximum(np.abs(b), np.abs(c)), 1e-12)
    inner = b * b - 4.0 * a * c
    half = -0.5 * (b + np.copysign(np.sqrt(np.maximum(inner, 0.0)), b))
    touching = (inner < 0.0) & (np.sqrt(np.maximum(-inner, 0.0)) < 0.5 * np.abs(a))
    one = np.where(flat, -c / b, np.where(touching, -b / (2.0 * a), half / a))
    other = np.where(flat | touching, one, c / half)
    lost = (inner < 0.0) & ~touching & ~flat
    roots = np.stack((one, other))
    off = np.abs(roots - guesses)
    off[~((roots >= -0.5) & (roots <= 1.5)) | lost] = np.inf
    best = np.argmin(off, axis=0)
    rows = np.arange(len(guesses))
    found = np.where(np.isfinite(off[best, rows]), roots[best, rows], guesses)
    clipped: np.ndarray = np.clip(found, -0.2, 1.2)
    return clipped


def _strays(side: np.ndarray, counts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How far from the arc through samples at 0, -1, -2 a path may be at ``times``, told by the fourth."""
    third = side[:, 0] - 3.0 * side[:, 1] + 3.0 * side[:, 2] - side[:, 3]
    off = np.sqrt((third**2).sum(axis=1)) * np.abs(times * (times + 1.0) * (times + 2.0)) / 6.0
    return np.where(counts == 4, off, np.where(counts == 3, 0.0, np.inf))


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
    return math.sqrt(float(vector @ vector))


def rest(places: np.ndarray) -> float:
    """When a path that slows down evenly has come to rest: (8, 3) places as for ``sides``; in frames."""
    still = places[EARLY + 2]
    gaps = [float(np.linalg.norm(places[EARLY - back] - still)) for back in (0, 1, 2)]
    start = 0 if gaps[0] > 1e-3 * max(gaps) else 1
    if not np.isfinite(gaps).all():
        return 0.5
    near, far = math.sqrt(gaps[start]), math.sqrt(gaps[min(start + 1, 2)])
    if far <= near:
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
        rows = sorted(known.items())
        between = _split(rows, low, found.time) if _BOTH_BEFORE <= share <= _BOTH_AFTER else None
        if between is not None and _length(between.after - between.before) > 0.5 * _length(jump):
            return between
        last = high if share < 0.5 else low - 1.0 / STEPS
        closer = _split(rows, last, guess)
        if closer is None:
            break
        found = closer
        least, most = (
            max(time for time in known if time <= last),
            min(time for time in known if time > last),
        )
        if most - least <= 1.0 / STEPS:
            break
        # Arcs that meet nowhere between the two sides tell nothing: the middle is as good a guess.
        guess = found.time if least < found.time < most else (least + most) / 2.0
        early = [sample for sample in rows[::-1] if sample[0] <= last]
        late = [sample for sample in rows if sample[0] > last]
    return found


def _split(rows: list[Sample], last: float, guess: float) -> Meeting | None:
    """The meeting between the samples up to time ``last`` and those after it."""
    early = [sample for sample in rows[::-1] if sample[0] <= last]
    late = [sample for sample in rows if sample[0] > last]
    if len(early) < 2 or len(late) < 2:
        return None
    return meet(early[:4], late[:4], guess, early[0][0], late[0][0])
