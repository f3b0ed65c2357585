# SPDX-License-Identifier: GPL-3.0-or-later
"""Which findings are one hit, and events made of them; what is marked stands before what is found."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..wire import limits
from ..wire.messages import Event
from ..wire.texts import scrub

SAME_FRAMES = 1.05  # contacts of one thing that lie as close as this are one
SAME_STEP = 0.12  # seconds: heel and toe of one foot
MARKER_FRAMES = 0.75  # a marker this close to a found hit stands for it
HARD = frozenset({"hit", "step"})  # struck; the other kinds go on, or come along with a hit
_FAINTEST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A hit as found. ``time``: frames; ``pair``: who meets whom; ``force``: speed times size, per second.

    family: things that hang together, as the bones of one figure do; spot, size: where in the world it is and
    how large the thing; place: as ``Event`` has it.
    """

    time: float
    pair: tuple[int, int]
    force: float
    kind: str = "hit"
    words: str = ""
    pan: float = 0.0
    distance: float = 0.0
    place: tuple[float, ...] = ()
    family: int = -1
    spot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    size: float = 0.0


def merge(
    contacts: Iterable[Contact], within: float = SAME_FRAMES, step: float | None = None
) -> list[Contact]:
    """One for each hit, in order of time: the same mover, or the same two things, count once.

    within, step: how many frames apart two contacts may be; ``step`` is for parts of one family at one place.
    """
    step = within if step is None else max(step, within)
    slots: dict[int, list[Contact]] = defaultdict(list)
    kept = []
    for contact in sorted(contacts, key=lambda one: (one.kind not in HARD, -one.force, one.time)):
        slot = int(contact.time // step)
        near = [other for number in (slot - 1, slot, slot + 1) for other in slots.get(number, ())]
        if not any(_same(other, contact, within, step) for other in near):
            slots[slot].append(contact)
            kept.append(contact)
    return sorted(kept, key=lambda one: one.time)


def _same(one: Contact, other: Contact, within: float, step: float) -> bool:
    apart = abs(one.time - other.time)
    if apart <= within:
        if one.pair[0] == other.pair[0] or set(one.pair) == set(other.pair):
            return True
        if other.kind not in HARD and other.pair[0] in one.pair:
            return True  # what was struck begins to move
    if one.family < 0 or one.family != other.family or one.pair[1] != other.pair[1] or apart > step:
        return False
    return math.dist(one.spot, other.spot) <= 0.6 * (one.size + other.size)


def to_events(contacts: Sequence[Contact], seconds: Callable[[Fraction], Fraction]) -> Iterator[Event]:
    """Contacts as events, one after the other in order of time; at most as many as fit one message, the
    strongest. ``seconds``: of a frame.
    """
    strongest = max((contact.force for contact in contacts), default=0.0)
    heard = sorted(contacts, key=lambda one: -one.force)[: limits.EVENTS]
    for one in sorted(heard, key=lambda one: one.time):
        yield Event(
            time_s=seconds(Fraction(one.time).limit_denominator(10_000)),
            kind=one.kind,
            words=scrub(one.words, limits.WORDS),
            strength=float(min(max((one.force / max(strongest, 1e-12)) ** 0.5, _FAINTEST), 1.0)),
            pan=float(min(max(one.pan, -1.0), 1.0)),
            distance_m=float(min(max(one.distance, 0.0), 1e6)),
            place=tuple(min(max(float(number), 0.0), 1.0) for number in one.place),
        )


def with_markers(found: Sequence[Event], marked: Sequence[Event], frame_s: Fraction) -> tuple[Event, ...]:
    """Both, in order of time; where a marker lies on a found hit, the marker stands for it.

    The animator's time, words and strength count; where it is seen, which a marker does not know, is found.
    """
    if not marked and len(found) <= limits.EVENTS:
        return tuple(sorted(found, key=lambda event: event.time_s))
    within = frame_s * Fraction(MARKER_FRAMES)
    found = sorted(found, key=lambda event: event.time_s)
    times = [event.time_s for event in found]
    taken: set[int] = set()
    kept = []
    for marker in marked:
        near = range(bisect_left(times, marker.time_s - within), bisect_right(times, marker.time_s + within))
        taken.update(near)
        if near and not marker.place:
            one = found[min(near, key=lambda number: abs(times[number] - marker.time_s))]
            marker = replace(marker, pan=one.pan, distance_m=one.distance_m, place=one.place)
        kept.append(marker)
    free = [event for number, event in enumerate(found) if number not in taken]
    room = max(limits.EVENTS - len(kept), 0)
    if len(free) > room:
        free = sorted(free, key=lambda event: -event.strength)[:room]
    return tuple(sorted([*kept[: limits.EVENTS], *free], key=lambda event: event.time_s))
