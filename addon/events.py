# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits from motion, as numbers only: where a path turns sharply, when exactly, and which turns are one hit.

Paths are sampled once a frame; all times are in frames, all speeds in lengths per frame. Between two hits a
thing follows a smooth arc, so a hit is where the arc before it meets the arc after it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeGuard

import numpy as np

from .wire import limits
from .wire.messages import Event
from .wire.texts import scrub

LATE = 5  # frames by which a turn is told after it happened
KEPT = 9  # frames looked at together
SLOWEST = 0.06  # a turn of speed counts from so many of the thing's sizes a second
FARTHEST = 1e7  # from the origin; what lies beyond is no place
BESIDE = 0.06  # frames beside a guess at which it is tried
HALVINGS = 3
SAME_FRAMES = 1.05  # contacts of one thing that lie as close as this are one
MARKER_FRAMES = 0.75  # a marker this close to a found hit stands for it
_FAINTEST = 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """A sharp turn of thing number ``body``: ``offset`` (0 to 1, roughly) after frame ``frame``.

    jump: (3,) change of the centre's velocity; spin: how much of the whole is change of rotation, 0 to 1.
    """

    body: int
    frame: int
    offset: float
    jump: np.ndarray
    spin: float
    size: float


class Watch:
    """Looks for turns in the paths of many things at once. ``radius``: (N,) half sizes; ``fps``: a number."""

    def __init__(self, radius: np.ndarray, fps: float) -> None:
        self.radius = np.asarray(radius, float)
        self._least = np.maximum(2.0 * self.radius * SLOWEST / fps, 1e-9)
        self.frames: deque[int] = deque(maxlen=KEPT)
        self._places: deque[np.ndarray] = deque(maxlen=2)
        self._bases: deque[np.ndarray] = deque(maxlen=2)
        self._speeds: deque[np.ndarray] = deque(maxlen=KEPT - 1)
        self._scores: deque[np.ndarray] = deque(maxlen=3)
        self._nothing = np.full((len(self.radius), 3), np.nan), np.full((len(self.radius), 3, 3), np.nan)
        for number in range(-KEPT, 0):  # so that the first frames can be told, too
            self.push(number, *self._nothing)

    def flush(self) -> Generator[list[Turn], None, None]:
        """The turns of the last frames; each goes as ``push``."""
        for _ in range(LATE):
            yield self.push(self.frames[-1] + 1, *self._nothing)

    def push(self, frame: int, places: np.ndarray, bases: np.ndarray) -> list[Turn]:
        """Take the next frame: (N, 3) centres, (N, 3, 3) rotations, NaN for what is not there.

        Returns the turns of some frames before, the sharpest first.
        """
        with np.errstate(all="ignore"):
            places = np.where((np.abs(places) < FARTHEST).all(axis=1, keepdims=True), places, np.nan)
            self.frames.append(frame)
            if self._places:
                spin = turning(self._bases[-1], bases) * self.radius[:, None]
                speeds = np.concatenate((places - self._places[-1], spin), axis=1)
                speeds[~np.isfinite(speeds).all(axis=1)] = np.nan
                self._speeds.append(speeds)
                self._break_jumps()
            self._places.append(places)
            self._bases.append(bases)
            return self._turns() if len(self._speeds) == KEPT - 1 else []

    def _break_jumps(self) -> None:
        """A leap of one single frame is an edit, not a movement: the path is torn there."""
        if len(self._speeds) < 3:
            return
        before, leap, after = (np.linalg.norm(speed[:, :3], axis=1) for speed in list(self._speeds)[-3:])
        around = np.fmax(np.nan_to_num(before), np.nan_to_num(after))
        self._speeds[-2][leap > 4.0 * around + 2.0 * self.radius] = np.nan

    def _turns(self) -> list[Turn]:
        bends = np.diff(np.stack(self._speeds), axis=0)  # bends[i] lies at frame i + 1 of those kept
        before = _calmer(bends[1:-4], bends[:-5])  # what bends around the pair is the arcs' own curvature
        after = _calmer(bends[4:-1], bends[5:])
        before, after = (_else(one, other) for one, other in ((before, after), (after, before)))
        pair = bends[2:-3] - before, bends[3:-2] - after
        if len(self._scores) == 3:
            self._scores.popleft()
        self._scores.append(np.linalg.norm(pair[0][-1] + pair[1][-1], axis=1))
        if len(self._scores) < 3:
            return []
        earlier, score, later = self._scores
        peak = (score > np.nan_to_num(earlier)) & (score >= np.nan_to_num(later)) & (score > self._least)
        found = np.flatnonzero(peak & np.isfinite(score))
        found = found[np.argsort(-score[found] / self._least[found], kind="stable")]
        return [self._turn(int(body), pair[0][-2, body], pair[1][-2, body]) for body in found]

    def _turn(self, body: int, early: np.ndarray, late: np.ndarray) -> Turn:
        jump = early + late
        size = float(np.linalg.norm(jump))
        share = float(late @ jump) / size**2
        spin = float(np.linalg.norm(jump[3:])) / size
        frame = self.frames[-1] - LATE
        return Turn(body, frame, min(max(share, 0.0), 1.0), jump[:3], spin, size)


def _calmer(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Of two bends the smaller: the other may be another hit's."""
    chosen = (far**2).sum(axis=-1, keepdims=True) < (near**2).sum(axis=-1, keepdims=True)
    return np.where(chosen | np.isnan(near), far, near)


def _else(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``one`` where it is known, else ``other``, else nothing at all."""
    return np.where(np.isfinite(one), one, np.nan_to_num(other))


def turning(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(N, 3) axis times angle from (N, 3, 3) rotations to the next; 0 where it is more than a third turn."""
    change = np.nan_to_num(after) @ np.nan_to_num(before).transpose(0, 2, 1)
    axis = np.stack(
        (
            change[:, 2, 1] - change[:, 1, 2],
            change[:, 0, 2] - change[:, 2, 0],
            change[:, 1, 0] - change[:, 0, 1],
        ),
        axis=1,
    )
    sine = np.linalg.norm(axis, axis=1) / 2.0
    cosine = (np.trace(change, axis1=1, axis2=2) - 1.0) / 2.0
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine > 1e-6, angle / np.maximum(2.0 * sine, 1e-12), 0.5)
    scale = np.where(angle < 2.1, scale, 0.0)
    turned: np.ndarray = axis * scale[:, None]
    return turned


# Arcs -----------------------------------------------------------------------------------------------------

Sample = tuple[float, np.ndarray]


@dataclass(frozen=True, slots=True)
class Arc:
    """A parabola through the last or first few samples. coefficients: (3, 3), constant term first."""

    coefficients: np.ndarray

    @classmethod
    def through(cls, samples: Sequence[Sample]) -> Arc:
        """Through one to three samples."""
        used = samples[:3]
        times = np.array([time for time, _ in used])
        matrix = np.vander(times, len(used), increasing=True)
        solved = np.linalg.solve(matrix, np.array([place for _, place in used], float))
        return cls(np.concatenate((solved, np.zeros((3 - len(used), 3)))))

    def at(self, time: float) -> np.ndarray:
        place: np.ndarray = np.array((1.0, time, time * time)) @ self.coefficients
        return place

    def speed(self, time: float) -> np.ndarray:
        speed: np.ndarray = np.array((0.0, 1.0, 2.0 * time)) @ self.coefficients
        return speed


@dataclass(frozen=True, slots=True)
class Meeting:
    """When two arcs meet, and the velocities before and after."""

    time: float
    before: np.ndarray
    after: np.ndarray


def arcs(places: np.ndarray, jump: float) -> tuple[list[Sample], list[Sample]]:
    """The samples before and after a turn, nearest first, out of (6, 3): frames -2 to 3 around it.

    Those beyond another turn, or where there is nothing, are left out.
    """
    early = [(float(t), places[t + 2]) for t in (0, -1, -2)]
    late = [(float(t), places[t + 2]) for t in (1, 2, 3)]
    return _calm(early, jump), _calm(late, jump)


def _calm(samples: list[Sample], jump: float) -> list[Sample]:
    whole = [sample for sample in samples if np.isfinite(sample[1]).all()]
    if len(whole) < 3:
        return samples[: len(whole)] if whole == samples[: len(whole)] else whole[:1]
    bend = whole[0][1] - 2.0 * whole[1][1] + whole[2][1]
    return whole if float(np.linalg.norm(bend)) < 0.6 * jump else whole[:2]


def meet(early: Sequence[Sample], late: Sequence[Sample], guess: float, low: float, high: float) -> Meeting:
    """Where the arcs through both meet, within ``low`` to ``high``; the crossing nearest to ``guess``."""
    before, after = Arc.through(early), Arc.through(late)
    jump = after.speed(guess) - before.speed(guess)
    length = float(np.linalg.norm(jump))
    time = guess
    if length > 0.0:
        gap = (after.coefficients - before.coefficients) @ (jump / length)
        roots = np.roots(gap[::-1]) if np.abs(gap[1:]).max() > 1e-12 else np.array([])
        near = [float(root.real) for root in roots if abs(root.imag) < 0.25]
        near = [root for root in near if low - 0.3 <= root <= high + 0.3]
        time = min(near, key=lambda root: abs(root - guess), default=guess)
    time = min(max(time, low), high)
    return Meeting(time, before.speed(time), after.speed(time))


def narrow(
    early: list[Sample], late: list[Sample], guess: float
) -> Generator[float, np.ndarray | None, Meeting]:
    """Find the meeting by looking: yields times, takes the place at each, returns the meeting.

    Two looks beside the guess tell whether the arcs foretold it well. Where not, the sharpest bend is
    sought by halving the steps between looks; at most 11 looks in all.
    """
    found = meet(early, late, guess, -0.2, 1.2)
    left, right = found.time - BESIDE, found.time + BESIDE
    first = yield left
    second = yield right
    if not (_is_place(first) and _is_place(second)):
        return found
    allowed = 0.25 * BESIDE * float(np.linalg.norm(found.after - found.before))
    foretold = Arc.through(early).at(left), Arc.through(late).at(right)
    if max(np.linalg.norm(foretold[0] - first), np.linalg.norm(foretold[1] - second)) < allowed:
        return meet([(left, first), *early[:2]], [(right, second), *late[:2]], found.time, left, right)
    known = dict([*early, *late, (left, first), (right, second)])
    low, step, middle = -0.25, 0.375, 0.5
    for _ in range(HALVINGS):
        grid = [low + step * number for number in range(5)]
        for time in grid:
            if time not in known:
                place = yield time
                if not _is_place(place):
                    return found
                known[time] = place
        places = np.array([known[time] for time in grid])
        bends = np.linalg.norm(places[2:] - 2.0 * places[1:-1] + places[:-2], axis=1)
        middle = grid[1 + int(np.argmax(bends))]
        low, step = middle - step, step / 2.0
    low, high = middle - 2.0 * step, middle + 2.0 * step
    before = sorted((time for time in known if time <= low), reverse=True)[:3]
    after = sorted(time for time in known if time >= high)[:3]
    return meet([(t, known[t]) for t in before], [(t, known[t]) for t in after], middle, low, high)


def _is_place(place: np.ndarray | None) -> TypeGuard[np.ndarray]:
    return place is not None and bool(np.isfinite(place).all())


# Hits -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A hit as found. ``time``: frames; ``pair``: who meets whom; ``force``: speed times size, per second."""

    time: float
    pair: tuple[int, int]
    force: float
    kind: str = "hit"
    words: str = ""
    pan: float = 0.0
    distance: float = 0.0


def merge(contacts: Iterable[Contact], within: float = SAME_FRAMES) -> list[Contact]:
    """One for each hit, in order of time: the same mover, or the same two things, count once."""
    kept: list[Contact] = []
    for contact in sorted(contacts, key=lambda one: (-one.force, one.time)):
        same = (abs(other.time - contact.time) <= within and _same(other, contact) for other in kept)
        if not any(same):
            kept.append(contact)
    return sorted(kept, key=lambda one: one.time)


def _same(one: Contact, other: Contact) -> bool:
    return one.pair[0] == other.pair[0] or set(one.pair) == set(other.pair)


def to_events(contacts: Sequence[Contact], seconds: Callable[[Fraction], Fraction]) -> list[Event]:
    """Contacts as events, at most as many as fit one message: the strongest. ``seconds``: of a frame."""
    if not contacts:
        return []
    strongest = max(max(contact.force for contact in contacts), 1e-12)
    heard = sorted(contacts, key=lambda one: -one.force)[: limits.EVENTS]
    return [
        Event(
            time_s=seconds(Fraction(one.time).limit_denominator(10_000)),
            kind=one.kind,
            words=scrub(one.words, limits.WORDS),
            strength=float(min(max((one.force / strongest) ** 0.5, _FAINTEST), 1.0)),
            pan=float(min(max(one.pan, -1.0), 1.0)),
            distance_m=float(min(max(one.distance, 0.0), 1e6)),
        )
        for one in sorted(heard, key=lambda one: one.time)
    ]


def with_markers(found: Sequence[Event], marked: Sequence[Event], frame_s: Fraction) -> tuple[Event, ...]:
    """Both, in order of time; where a marker lies on a found hit, the marker stands for it.

    The animator's words and strength count; place and distance, which a marker does not have, are found.
    """
    within, free, kept = frame_s * Fraction(MARKER_FRAMES), list(found), []
    for marker in marked:
        near = min(free, key=lambda event: abs(event.time_s - marker.time_s), default=None)
        if near is not None and abs(near.time_s - marker.time_s) <= within:
            free = [event for event in free if abs(event.time_s - marker.time_s) > within]
        kept.append(marker)
    both = sorted([*kept, *free], key=lambda event: event.time_s)
    return tuple(both) if len(both) <= limits.EVENTS else _most_telling(kept, free)


def _most_telling(marked: Sequence[Event], found: Sequence[Event]) -> tuple[Event, ...]:
    room = max(limits.EVENTS - len(marked), 0)
    strongest = sorted(found, key=lambda event: -event.strength)[:room]
    return tuple(sorted([*marked[: limits.EVENTS], *strongest], key=lambda event: event.time_s))


# Words ----------------------------------------------------------------------------------------------------

_PLAIN = {
    *(
        "cube",
        "sphere",
        "icosphere",
        "cylinder",
        "cone",
        "plane",
        "torus",
        "circle",
        "mesh",
        "object",
        "curve",
    ),
    *("collection", "scene", "material", "geo", "mat", "grp", "obj", "low", "high", "lod", "shader", "empty"),
}


def clean_name(name: str) -> str:
    """A name as words: "GEO_steelBall.001" is "steel ball"."""
    name = re.sub(r"(\.\d+)+$", "", name)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)", " ", name)
    words = re.findall(r"[^\W\d_]+", name.lower())
    return " ".join(word for word in words if word not in {"geo", "mat", "grp", "obj", "lod"})


def name_thing(name: str, material: str = "", collection: str = "") -> str:
    """Words for one thing: name, material where that says more, collection where it has no own name."""
    words = clean_name(name).split()
    said = [word for word in words if word not in _PLAIN]
    stuff = [word for word in clean_name(material).split() if word not in _PLAIN and word not in words][:2]
    if not said:
        group = [word for word in clean_name(collection).split() if word not in _PLAIN]
        words = group or words
    return " ".join([*stuff, *words][:6])
