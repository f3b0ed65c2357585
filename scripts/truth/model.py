# SPDX-License-Identifier: GPL-3.0-or-later
"""Truth as numbers, without Blender: hits, rates, seeds, and paths made of cubic pieces."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HELD_OUT = range(1000, 2000)  # seeds that nobody may tune with
KINDS = ("keyed", "rigid", "parented", "armature", "constraint")
RATES = {
    "24": (24, 1.0),
    "25": (25, 1.0),
    "29.97": (30, 1.001),
    "30": (30, 1.0),
    "48": (48, 1.0),
    "60": (60, 1.0),
}
GRAVITY = 9.81
AUDIBLE = 0.4  # metres a second at which two things meet: what comes slower need not be found
TOGETHER_S = 0.05  # hits of one thing as close as this need be found but once: the hardest


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One true hit. ``time_s``: from the shot's first frame; ``speed``: at which the two meet, m/s.

    kind: "hit", "step"; or what may be told but need not be: "slide" (it starts), "stop", "soft", "pass",
    "unsure".
    seen: "yes", "edge" (at the picture's edge, or behind something) or "no" (out of the picture, hidden).
    gap: metres between the two surfaces at that time, in the scene as it is; -1 before that is measured.
    """

    time_s: float
    who: str
    against: str
    speed: float
    kind: str = "hit"
    seen: str = "yes"
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gap: float = -1.0
    baked: bool = False  # keyed on whole frames only: between those the scene cuts the corner

    @property
    def strength(self) -> float:
        """0 to 1: the speed beside that of a fall from a metre and a half."""
        return min(1.0, self.speed / 5.4)

    @property
    def must(self) -> bool:
        """Whether a reader has to find it."""
        return self.seen == "yes" and self.kind in ("hit", "step") and self.speed >= AUDIBLE

    @property
    def may(self) -> bool:
        """Whether a reader may tell of it without being wrong."""
        return self.seen != "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One scene's truth, and what it is."""

    kind: str
    seed: int
    rate: str
    start: int
    end: int
    acts: tuple[str, ...]
    hits: tuple[Hit, ...]

    @property
    def per_second(self) -> float:
        fps, base = RATES[self.rate]
        return fps / base

    @property
    def duration_s(self) -> float:
        return (self.end - self.start + 1) / self.per_second

    def wanted(self) -> list[Hit]:
        """What has to be found: of one thing's hits that come together, the hardest."""
        must = sorted((hit for hit in self.hits if hit.must), key=lambda hit: -hit.speed)
        kept: list[Hit] = []
        for hit in must:
            near = (abs(hit.time_s - other.time_s) < TOGETHER_S for other in kept if other.who == hit.who)
            if not any(near):
                kept.append(hit)
        return sorted(kept, key=lambda hit: hit.time_s)

    def allowed(self) -> list[Hit]:
        """What may be told besides."""
        wanted = self.wanted()
        return [hit for hit in self.hits if hit.may and hit not in wanted]


def from_json(fields: dict[str, Any]) -> Truth:
    """The truth that ``dataclasses.asdict`` made into JSON."""
    hits = tuple(Hit(**{**hit, "place": tuple(hit["place"])}) for hit in fields["hits"])
    return Truth(**{**fields, "hits": hits, "acts": tuple(fields["acts"])})


def rate_of(kind: str, seed: int) -> str:
    """Each rate in turn, every kind beginning at another."""
    names = list(RATES)
    return names[(seed + KINDS.index(kind)) % len(names)]


# Paths ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A value at a time in seconds, and its slopes per second before and after."""

    time_s: float
    value: float
    arrives: float = 0.0
    leaves: float = 0.0


def value_at(keys: Sequence[Key], time_s: float) -> float:
    """The path of cubic pieces through ``keys``; it stands still before the first and after the last."""
    if time_s <= keys[0].time_s:
        return keys[0].value
    for one, two in itertools.pairwise(keys):
        if time_s <= two.time_s:
            length = two.time_s - one.time_s
            t = (time_s - one.time_s) / length
            start, end = one.leaves * length, two.arrives * length
            change = two.value - one.value
            return (
                one.value
                + start * t
                + (3 * change - 2 * start - end) * t**2
                + (start + end - 2 * change) * t**3
            )
    return keys[-1].value


def bounces(
    chance: random.Random, begin_s: float, end_s: float, height: tuple[float, float] = (0.4, 1.4)
) -> tuple[list[Key], list[tuple[float, float]]]:
    """A fall and its bounces over 0, and each touch as (time, speed). The last one stays down."""
    fall = (2 * chance.uniform(*height) / GRAVITY) ** 0.5
    keys = [Key(begin_s, GRAVITY * fall**2 / 2)]
    touches = [(begin_s + fall, GRAVITY * fall)]
    spring = chance.uniform(0.45, 0.75)
    between = 2 * fall * spring
    while between > 0.17 and touches[-1][0] + between < end_s and len(touches) < 7:
        touches.append((touches[-1][0] + between, GRAVITY * between / 2))
        between *= spring * chance.uniform(0.9, 1.0)
    for number, (time_s, speed) in enumerate(touches):
        rise = touches[number + 1][1] if number + 1 < len(touches) else 0.0
        keys.append(Key(time_s, 0.0, -speed, rise))
    return keys, touches


def strokes(
    chance: random.Random, begin_s: float, end_s: float, reach: float, count: int
) -> tuple[list[Key], list[tuple[float, float]]]:
    """Up to ``count`` strokes from ``reach`` down to 0 and back, and each touch as (time, speed of value)."""
    keys, touches = [Key(begin_s, reach)], []
    for _ in range(count):
        wait, down, up = chance.uniform(0.02, 0.3), chance.uniform(0.08, 0.2), chance.uniform(0.15, 0.4)
        start = keys[-1].time_s + wait
        if start + down + up > end_s:
            break
        speed = 2 * reach / down
        keys.append(Key(start, reach))
        keys.append(Key(start + down, 0.0, -speed, min(0.5 * speed, 2 * reach / up)))
        keys.append(Key(start + down + up, reach))
        touches.append((start + down, speed))
    return keys, touches


def travel(
    begin_s: float, time_s: float, start: float, end: float, back: float, lead: float = 0.12
) -> list[Key]:
    """From ``start`` to ``end`` at one speed after a smooth ``lead``, arriving at ``time_s``, then the other
    way with the share ``back`` of that speed, slowing down.
    """
    speed = (end - start) / (time_s - begin_s - lead / 2)
    keys = [Key(begin_s, start), Key(begin_s + lead, start + speed * lead / 2, speed, speed)]
    away = -back * speed
    keys.append(Key(time_s, end, speed, away))
    if back:
        keys.append(Key(time_s + 0.3, end + away * 0.15))
    return keys
