# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders for new takes of strips that are there: with the settings that made the take which is heard now.

Strips of one job and take become one order, so that their sounds are made together. Raises BadInput wherever
a strip cannot tell how it was made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from ...options import HITS, PICTURES_PER_SECOND, SOURCES, random_seed
from ...takes.history import Take, Takes
from ...takes.joining import Aim
from ...takes.provenance import Story
from ...timeline import FrameRange
from ...wire.errors import BadInput
from ...wire.messages import Event, Pull
from .. import orders, sequencer
from . import strips as take_strips

# Of the request; found anew for each order.
_OWN = ("duration_s", "layers", "events", "takes", "first_take", "motion_rate")

Settings = dict[str, Any]
Hits = tuple[Event, ...]
Change = Callable[[Settings], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A strip, the take that a new one is to come from, and how that was made."""

    strip: Any
    takes: Takes
    take: Take
    story: Story


def asking(strip: Any, take_id: str = "") -> Asking:
    """What a new take of ``strip`` starts from: the take that is heard, or another one. Raises BadInput."""
    if take_strips.is_locked(strip):
        raise BadInput(f"{strip.name} is locked; unlock it to make new takes.")
    sequencer.require_editable(strip.id_data)
    takes = take_strips.takes_of(strip)
    take = None if takes is None else takes.get(take_id) if take_id else takes.playing
    story = None if take is None else take.told
    if takes is None or take is None or story is None:
        raise BadInput(f"{strip.name} plays a file that Footfall did not make; step to another take first.")
    return Asking(strip=strip, takes=takes, take=take, story=story)


def again(settings: Settings) -> None:
    """Another seed, and nothing else."""
    settings.update(seed=random_seed(), first_take=0, vary=0.0, vary_seed=0)


def more_like_this(amount: float) -> Change:
    """The same noise, turned a little: towards another seed's, or on along the way that it went before."""

    def change(settings: Settings) -> None:
        before = settings.get("vary", 0.0)
        if before:
            step = amount * random.uniform(0.5, 1.0)
            settings["vary"] = before - step if before + step > 1.0 else before + step
        else:
            settings.update(vary=amount, vary_seed=random_seed())

    return change


def nudged(words: Mapping[str, Any]) -> Change:
    """Other words, the same seed."""
    return lambda settings: settings.update(words)


def place_orders(
    session: Any,
    wanted: Iterable[Asking],
    how: str,
    change: Change,
    count: int = 1,
    hits: Mapping[str, Hits] = MappingProxyType({}),
) -> list[orders.Order]:
    """One order for each group of strips that were made together. Raises BadInput.

    ``hits``: by a strip's name, in place of those that it was made from.
    """
    groups: dict[tuple[Any, ...], list[Asking]] = {}
    for one in wanted:
        key = (one.story.job_id, one.story.take, one.take.how, one.takes.pulls, one.strip.id_data.name)
        groups.setdefault(key, []).append(one)
    found = []
    for group in groups.values():
        order, at = _order(session, group, change, count, hits)
        found.append(replace(order, aims=_aims(group, at, how)))
    return found


def _order(
    session: Any, group: list[Asking], change: Change, count: int, hits: Mapping[str, Hits]
) -> tuple[orders.Order, Mapping[str, Fraction]]:
    """The order for what was made together, and where the files of each strip begin."""
    first = group[0]
    home = first.strip.id_data
    shot = first.story.shot
    scene = sequencer.find_scene(str(shot.get("scene", ""))) or home
    span = _span(first)
    settings = {name: value for name, value in first.story.settings.items() if name not in _OWN}
    settings["pulls"] = tuple(Pull(words=words, weight=weight) for words, weight in first.takes.pulls)
    settings["layers"] = tuple(
        layer for layer in ("bed", "spots") if any(one.story.layer == layer for one in group)
    )
    settings.update(takes=count, first_take=first.story.take)
    change(settings)
    rate = sequencer.scene_rate(scene)
    at = {one.strip.name: _at_s(one, rate) for one in group}
    settings["events"] = _hits(group, at, hits)
    order = orders.make(
        scene,
        session.file_id,
        span,
        source=source_of(shot),
        per_second=per_second_of(shot),
        settings=settings,
        hits=hits_of(shot),
    )
    order = replace(order, off_screen=bool(shot.get("off_screen")), hidden=bool(shot.get("hidden")))
    return replace(order, home=(home.name, home.session_uid)), at


def _aims(group: list[Asking], at: Mapping[str, Fraction], how: str) -> tuple[Aim, ...]:
    """One for each sound; the parts of a strip that was cut share it."""
    parts: dict[tuple[str, Fraction, str], list[Asking]] = {}
    for one in group:
        parts.setdefault((sequencer.uuid_of(one.strip), at[one.strip.name], one.take.id), []).append(one)
    return tuple(
        Aim(
            uuid=uuid,
            names=tuple(one.strip.name for one in same),
            layer=same[0].story.layer,
            at_s=at_s,
            parent=take_id,
            how=how,
        )
        for (uuid, at_s, take_id), same in parts.items()
    )


def source_of(shot: Mapping[str, Any]) -> str:
    """Where the pictures of a story came from; what this version does not know becomes "auto"."""
    source = shot.get("source")
    return source if isinstance(source, str) and source in SOURCES else "auto"


def hits_of(shot: Mapping[str, Any]) -> str:
    """Where the hits of a story were looked for."""
    hits = shot.get("hits")
    return hits if isinstance(hits, str) and hits in HITS else "markers"


def per_second_of(shot: Mapping[str, Any]) -> float:
    """How many pictures a second a story was made from."""
    found = shot.get("per_second")
    if not isinstance(found, (int, float)) or not 0.1 <= found <= 60:
        return PICTURES_PER_SECOND
    return float(found)


def _span(one: Asking) -> FrameRange:
    start, end = one.story.shot.get("start"), one.story.shot.get("end")
    if type(start) is not int or type(end) is not int:
        raise BadInput(f"{one.strip.name} does not say which frames it was made from; generate it anew.")
    return FrameRange(start, end)


def _at_s(one: Asking, rate: Any) -> Fraction:
    """Where the strip's files begin. An older version's strip tells by its place, if it was not moved."""
    if one.takes.at_s is not None:
        return one.takes.at_s
    if one.story.layer == "bed":
        return Fraction(0)
    found = sequencer.media(one.strip)
    start = Fraction(_span(one).start)
    after_s = rate.seconds((start if found is None else found.start) - start)
    events: tuple[Event, ...] = one.story.settings.get("events", ())
    near = min((event.time_s for event in events), key=lambda time_s: abs(time_s - after_s), default=after_s)
    return Fraction(int(rate.frames(near)) / rate.per_second)


def _hits(group: list[Asking], at: Mapping[str, Fraction], other: Mapping[str, Hits]) -> Hits:
    """The hits of the strips, each once; a bed brings all of its own."""
    found: dict[Event, None] = {}
    for one in group:
        if one.strip.name in other:
            found.update(dict.fromkeys(other[one.strip.name]))
            continue
        events: Hits = one.story.settings.get("events", ())
        mixed = one.story.settings.get("spots_as", "each") == "mixed"
        if one.story.layer == "spots" and not mixed and len(events) > 1:
            begin = at[one.strip.name]
            events = (min(events, key=lambda event: abs(event.time_s - begin)),)
        found.update(dict.fromkeys(events))
    return tuple(sorted(found, key=lambda event: event.time_s))
