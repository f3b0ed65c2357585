# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits as the artist sees and edits it, without Blender: what sounds, what a new search changes.

A hit lies on a frame of the timeline, not on a second: it stays with its animation when the frame rate
changes. Its place is a whole number of millionths of a frame, which a .blend keeps exactly; one is 2
thousandths of a sample at 24 frames a second and 48 kHz.

A hit that was found remembers how. What differs from that is the artist's doing, and stays; so nothing else
has to be written down when something is edited.
"""

from __future__ import annotations

import bisect
import json
import struct
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from ..timeline import FrameRange, Rate, nearest, wire_seconds
from ..wire import limits
from ..wire.messages import Event
from ..wire.texts import scrub

FRAME = 1_000_000  # parts that a frame is counted in
NEAR_S = Fraction(1, 12)  # as far as a hit may have moved to be the same one, and at least NEAR_FRAMES
NEAR_FRAMES = 2
_OTHER_KIND, _OTHER_WORDS = (
    0.6,
    0.3,
)  # cost of a difference; being NEAR away costs 1, and more than 1 is too much
_TEXT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PIECE = 100  # hits, some 10 microseconds each
_LOOKED_AT = 24  # candidates on each side, so that a thousand hits in one frame take no longer

# Kinds that sound alike have one icon and one colour.
FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hit": ("hit", "land", "bounce", "knock", "slam", "crash", "drop", "tap", "click"),
        "step": ("step",),
        "slide": ("slide", "scrape", "roll", "start", "stop"),
        "whoosh": ("whoosh",),
        "splash": ("splash",),
        "flash": ("flash", "burst"),
        "other": (),
    }
)
_FAMILY = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}


def family(kind: str) -> str:
    """Which of FAMILIES ``kind`` belongs to."""
    return _FAMILY.get(kind.strip().lower(), "other")


def single(number: float) -> float:
    """``number`` as Blender keeps it, so that what it gives back compares equal."""
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How a hit was found: ``at`` in millionths of a frame, and what it was."""

    at: int
    kind: str = "hit"
    words: str = ""
    strength: float = 1.0
    pan: float = 0.0
    distance_m: float = 0.0

    def text(self) -> str:
        """As a text that ``read_found`` understands."""
        values = [self.at, self.kind, self.words, self.strength, self.pan, self.distance_m]
        return _TEXT.encode(values)


EDITABLE = ("at", "kind", "words", "strength", "pan", "distance_m")


def read_found(text: str) -> Found | None:
    """What ``Found.text`` has written; None for anything else."""
    try:
        at, kind, words, strength, pan, distance_m = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    texts_fit = type(at) is int and type(kind) is str and type(words) is str
    if not texts_fit or any(type(number) not in (int, float) for number in (strength, pan, distance_m)):
        return None
    return Found(at=at, kind=kind, words=words, strength=strength, pan=pan, distance_m=distance_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One entry. ``at``: millionths of a frame from frame 0; ``place``: as Event's; ``on``: switched on.

    ``origin``: scene, pixels, marker or artist; ``found``: None for one that the artist has added.
    """

    at: int
    kind: str = "hit"
    words: str = ""
    strength: float = 1.0
    pan: float = 0.0
    distance_m: float = 0.0
    place: tuple[float, ...] = ()
    on: bool = True
    origin: str = "artist"
    found: Found | None = None

    @property
    def edits(self) -> frozenset[str]:
        """The fields that the artist has changed since it was found."""
        if self.found is None:
            return frozenset()
        return frozenset(name for name in EDITABLE if getattr(self, name) != getattr(self.found, name))

    @property
    def touched(self) -> bool:
        """Whether there is anything of the artist's in it."""
        return self.found is None or not self.on or bool(self.edits)

    def sounds(self, least: float) -> bool:
        """Whether it is heard with the threshold at ``least``."""
        return self.on and self.strength >= least


def as_found(hit: Hit) -> Hit:
    """``hit`` without what the artist has changed; one that was added by hand stays as it is."""
    if hit.found is None:
        return hit
    return replace(hit, on=True, **{name: getattr(hit.found, name) for name in EDITABLE})


# Events ---------------------------------------------------------------------------------------------------


def from_event(event: Event, span: FrameRange, rate: Rate, origin: str) -> Hit:
    """A hit that was found, or for origin "artist" one that was added."""
    values: dict[str, Any] = {
        "at": nearest((span.start + rate.frames(event.time_s)) * FRAME),
        "kind": event.kind,
        "words": event.words,
        "strength": single(event.strength),
        "pan": single(event.pan),
        "distance_m": single(event.distance_m),
    }
    place = tuple(single(number) for number in event.place)
    found = None if origin == "artist" else Found(**values)
    return Hit(**values, place=place, origin=origin, found=found)


def to_event(hit: Hit, span: FrameRange, rate: Rate) -> Event:
    """``hit`` as the worker takes it; whatever was typed in is made to fit."""
    return Event(
        time_s=wire_seconds(span.time_s(Fraction(hit.at, FRAME), rate)),
        kind=scrub(hit.kind, limits.NAME).strip() or "hit",
        words=scrub(hit.words, limits.WORDS),
        strength=_within(hit.strength, 0.0, 1.0),
        pan=_within(hit.pan, -1.0, 1.0),
        distance_m=_within(hit.distance_m, 0.0, 1e6),
        place=tuple(_within(number, 0.0, 1.0) for number in hit.place),
    )


def _within(number: float, low: float, high: float) -> float:
    return min(max(number, low), high) if number == number else low  # NaN is none


def inside(hits: Iterable[Hit], span: FrameRange) -> list[Hit]:
    """The hits of ``span``, in order of time."""
    first, end = span.start * FRAME, (span.end + 1) * FRAME
    return sorted((hit for hit in hits if first <= hit.at < end), key=lambda hit: hit.at)


def heard(hits: Iterable[Hit], span: FrameRange, rate: Rate, least: float) -> tuple[Event, ...]:
    """The events of the hits of ``span`` that sound, in order of time, at most as many as a request takes."""
    sounding = [hit for hit in inside(hits, span) if hit.sounds(least)]
    if len(sounding) > limits.EVENTS:
        sounding = sorted(sounding, key=lambda hit: -hit.strength)[: limits.EVENTS]
        sounding.sort(key=lambda hit: hit.at)
    return tuple(to_event(hit, span, rate) for hit in sounding)


def strong(events: Iterable[Event], least: float) -> tuple[Event, ...]:
    """The events that reach the threshold."""
    return tuple(event for event in events if event.strength >= least)


def added(old: Sequence[Hit], new: Iterable[Hit]) -> list[Hit]:
    """``old``, and those of ``new`` that are not in it: adding the same ones twice changes nothing."""
    there = {(hit.at, hit.kind, hit.words) for hit in old}
    return [*old, *(hit for hit in new if (hit.at, hit.kind, hit.words) not in there)]


# A new search ---------------------------------------------------------------------------------------------


def near(rate: Rate) -> int:
    """How far, in millionths of a frame, a hit may have moved and still be the same."""
    return max(NEAR_FRAMES * FRAME, nearest(rate.frames(NEAR_S) * FRAME))


def merge(old: Sequence[Hit], new: Sequence[Hit], span: FrameRange, within: int) -> list[Hit]:
    """All of ``merging`` at once."""
    work = merging(old, new, span, within)
    while True:
        try:
            next(work)
        except StopIteration as end:
            merged: list[Hit] = end.value
            return merged


def merging(
    old: Sequence[Hit], new: Sequence[Hit], span: FrameRange, within: int
) -> Generator[None, None, list[Hit]]:
    """``old`` after a search of ``span`` has found ``new``, in order of time; at most limits.EVENTS. Yields
    every millisecond or so.

    A new hit near an old one of its kind is that hit: it takes over what the artist has changed. What was
    found earlier and is not there any more goes, unless the artist has touched it. What lies outside the
    span, or was added, stays.
    """
    first, end = span.start * FRAME, (span.end + 1) * FRAME
    free = [hit for hit in new if first <= hit.at < end]
    known = [hit for hit in old if first <= _home(hit) < end]
    outside = [hit for hit in old if not first <= _home(hit) < end]
    pairs = yield from _pairs(known, free, within)
    merged = [*outside]
    for number, hit in enumerate(known):
        if not number % _PIECE:
            yield
        if number in pairs:
            merged.append(_taken_over(hit, free[pairs[number]]))
        elif hit.touched:
            merged.append(hit)
    used = set(pairs.values())
    return bounded([*merged, *(hit for number, hit in enumerate(free) if number not in used)])


def bounded(hits: Iterable[Hit]) -> list[Hit]:
    """In order of time, at most limits.EVENTS: the artist's own, then the strongest."""
    kept = list(hits)
    if len(kept) > limits.EVENTS:
        kept = sorted(kept, key=lambda hit: (not hit.touched, -hit.strength))[: limits.EVENTS]
    return sorted(kept, key=lambda hit: hit.at)


def _home(hit: Hit) -> int:
    """Where it was found, wherever it has been moved since."""
    return hit.at if hit.found is None else hit.found.at


def _taken_over(old: Hit, new: Hit) -> Hit:
    """The new hit with what the artist has changed on the old one; one that the artist added stays."""
    if old.found is None:
        return old
    return replace(new, on=old.on, **{name: getattr(old, name) for name in old.edits})


def _pairs(old: Sequence[Hit], new: Sequence[Hit], within: int) -> Generator[None, None, dict[int, int]]:
    """Which old hit (by number) is which new one: the cheapest pairs first, each hit once."""
    order = sorted(range(len(new)), key=lambda number: new[number].at)
    times = [new[number].at for number in order]
    costs = []
    for number, hit in enumerate(old):
        if not number % _PIECE:
            yield
        for place in _around(times, _home(hit), within):
            cost = _cost(hit, new[order[place]], within)
            if cost <= 1.0:
                costs.append((cost, number, order[place]))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, one, other in sorted(costs):
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return pairs


def _around(times: Sequence[int], at: int, within: int) -> range:
    """The places in ``times`` (rising) that lie within reach of ``at``, at most _LOOKED_AT on each side."""
    middle = bisect.bisect_left(times, at)
    low = max(bisect.bisect_left(times, at - within), middle - _LOOKED_AT)
    return range(low, min(bisect.bisect_right(times, at + within), middle + _LOOKED_AT))


def _cost(old: Hit, new: Hit, within: int) -> float:
    """How different they are, 0 to 1; beyond 1 they are two hits."""
    before = old.found or old
    cost = abs(before.at - new.at) / within
    cost += _OTHER_KIND * (before.kind != new.kind)
    return cost + _OTHER_WORDS * (before.words != new.words and bool(before.words))
