# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a shot's hits since its spots were made: which are as before, moved, other, gone, new.

A hit is known by its words and kind; its time may change. So a spot whose hit has only moved is moved with it
and keeps its sound.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ..wire.messages import Event

SAME_S = Fraction(1, 500)
FAR_S = Fraction(5)  # a hit of the same words that is further away is another one
STRONGER = 0.1  # a change of strength that is heard


@dataclass(slots=True)
class Changes:
    """By the names of the spots. ``redo``: another sound at the same time; ``fresh``: hits without a spot."""

    same: list[str] = field(default_factory=list)
    moved: dict[str, Event] = field(default_factory=dict)
    redo: dict[str, Event] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    fresh: list[Event] = field(default_factory=list)

    def keep_only(self, names: Container[str]) -> None:
        """Forget all other spots; their hits are not fresh for that."""
        self.same = [name for name in self.same if name in names]
        self.gone = [name for name in self.gone if name in names]
        self.moved = {name: event for name, event in self.moved.items() if name in names}
        self.redo = {name: event for name, event in self.redo.items() if name in names}


def compare(spots: Mapping[str, Event], events: Sequence[Event]) -> Changes:
    """``spots``: the hit that each was made for; ``events``: the hits as they are now."""
    found = Changes()
    left, free = dict(spots), list(events)
    _pair(left, free, found.redo, SAME_S, _alike)
    for name in [name for name, event in found.redo.items() if _as_strong(event, spots[name])]:
        found.same.append(name)
        del found.redo[name]
    _pair(left, free, found.redo, SAME_S, lambda _event, _old: True)
    _pair(left, free, found.moved, FAR_S, _alike)
    found.gone, found.fresh = list(left), free
    return found


def _alike(event: Event, old: Event) -> bool:
    return (event.words, event.kind) == (old.words, old.kind)


def _as_strong(event: Event, old: Event) -> bool:
    return abs(event.strength - old.strength) <= STRONGER


def _pair(
    left: dict[str, Event],
    free: list[Event],
    into: dict[str, Event],
    within_s: Fraction,
    fits: Callable[[Event, Event], bool],
) -> None:
    """Take pairs out of ``left`` and ``free``, nearest first; copies of one spot stay with one hit."""
    pairs = sorted(
        (abs(event.time_s - old.time_s), name, number)
        for name, old in left.items()
        for number, event in enumerate(free)
        if fits(event, old) and abs(event.time_s - old.time_s) <= within_s
    )
    given: dict[int, Event] = {}
    for _, name, number in pairs:
        if name in left and given.get(number, left[name]) == left[name]:
            given[number] = left.pop(name)
            into[name] = free[number]
    free[:] = [event for number, event in enumerate(free) if number not in given]
