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
from typing import Any

from ..history import Take, Takes
from ..joining import Aim
from ..options import random_seed
from ..provenance import Story
from ..timeline import FrameRange
from ..wire.errors import BadInput
from ..wire.messages import Event, Pull
from . import orders, sequencer, take_strips

# Of the request; found anew for each order.
_OWN = ("duration_s", "layers", "events", "takes", "first_take", "motion_rate")
_SOURCES = ("auto", "camera", "sequencer", "rendered", "render")

Settings = dict[str, Any]
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
    session: Any, wanted: Iterable[Asking], how: str, change: Change, count: int = 1
) -> list[orders.Order]:
    """One order for each group of strips that were made together. Raises BadInput."""
    groups: dict[tuple[Any, ...], list[Asking]] = {}
    for one in wanted:
        key = (one.story.job_id, one.story.take, one.take.how, one.takes.pulls, one.strip.id_data.name)
        groups.setdefault(key, []).append(one)
    return [_order(session, group, how, change, count) for group in groups.values()]


def _order(session: Any, group: list[Asking], how: str, change: Change, count: int) -> orders.Order:
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
    settings["events"] = _hits(group, at)
    source, per_second = shot.get("source"), shot.get("per_second")
    order = orders.make(
        scene,
        session.file_id,
        span,
        source=source if isinstance(source, str) and source in _SOURCES else "auto",
        per_second=per_second if isinstance(per_second, float) and 0.1 <= per_second <= 60 else 4.0,
        settings=settings,
        hits="markers",
    )
    aims = tuple(
        Aim(
            uuid=sequencer.uuid_of(one.strip),
            name=one.strip.name,
            layer=one.story.layer,
            at_s=at[one.strip.name],
            parent=one.take.id,
            how=how,
        )
        for one in group
    )
    return replace(order, aims=aims, home=(home.name, home.session_uid))


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


def _hits(group: list[Asking], at: Mapping[str, Fraction]) -> tuple[Event, ...]:
    """The hits of the strips, each once; a bed brings all of its own."""
    found: dict[Event, None] = {}
    for one in group:
        events: tuple[Event, ...] = one.story.settings.get("events", ())
        mixed = one.story.settings.get("spots_as", "each") == "mixed"
        if one.story.layer == "spots" and not mixed and len(events) > 1:
            begin = at[one.strip.name]
            events = (min(events, key=lambda event: abs(event.time_s - begin)),)
        found.update(dict.fromkeys(events))
    return tuple(sorted(found, key=lambda event: event.time_s))
