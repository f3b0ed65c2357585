# SPDX-License-Identifier: GPL-3.0-or-later
"""Update Changed: looks at the shots again whose strips are here, and redoes only what has changed.

Each shot is drawn once, as it was for its strips. A bed whose picture differs gets a new take, with its own
seed and words. A spot whose hit has only moved moves along, and keeps its sound; one whose hit is of other
words or strength gets a new take; one whose hit is gone is muted; a new hit gets a spot. Locked strips stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import bpy

from ...hits.changes import compare
from ...shots import fingerprint
from ...takes import provenance
from ...timeline import FrameRange, nearest
from ...wire.errors import BadInput, FootfallError
from ...wire.messages import Event
from .. import live, orders, sequencer, texts
from ..sounds import jobs as placing_jobs
from . import jobs as take_jobs
from . import strips as take_strips
from .jobs import Asking, Hits

Key = tuple[Any, ...]
GONE_KEY = f"{provenance.KEY}_gone"  # on a spot that was muted because its hit is gone
PARTS = ("scene", "start", "end", "source", "per_second", "hits", "off_screen", "hidden")


@dataclass(slots=True)
class Tally:
    """What an update has done so far, for the panel."""

    beds: int = 0
    spots: int = 0
    moved: int = 0
    gone: int = 0
    fresh: int = 0
    kept: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """As one sentence; "" before the first update."""
        parts = [
            (self.beds, "bed made anew", "beds made anew"),
            (self.spots, "spot made anew", "spots made anew"),
            (self.moved, "spot moved", "spots moved"),
            (self.fresh, "new hit", "new hits"),
            (self.gone, "hit gone, its spot muted", "hits gone, their spots muted"),
            (self.kept, "strip as before", "strips as before"),
        ]
        return ", ".join(texts.count(*part) for part in parts if part[0])


tally = Tally()  # of the last update


def looking(session: Any) -> int:
    """How many shots are still to be looked at."""
    return sum(session.works[job.job_id].order.look is not None for job in session.table.active())


def words(session: Any) -> list[str]:
    """What the panel says of an update: how it goes, or what it did."""
    left = 0 if session is None else looking(session)
    return [f"Looking at {texts.count(left, 'shot')}…"] if left else [tally.sentence, *tally.notes]


def start(session: Any, home: Any) -> int:
    """Look again at every shot that the strips of ``home`` were made from; how many. Raises BadInput."""
    global tally
    sequencer.require_editable(home)
    tally = Tally()
    groups: dict[Key, list[str]] = {}
    for strip in sequencer.all_strips(home):
        story = sequencer.story_of(strip) if take_strips.is_ours(strip) else None
        if story is None:
            continue
        if not isinstance(story.shot.get("picture"), str):
            tally.notes = ["Strips of an older version do not know their picture: make them Again once."]
            continue
        groups.setdefault(tuple(story.shot.get(part) for part in PARTS), []).append(strip.name)
    free = {strip.name for strip in sequencer.all_strips(home) if not take_strips.is_locked(strip)}
    wanted = {key: names for key, names in groups.items() if free.intersection(names)}
    for key, names in wanted.items():
        session.add(_look(session, home, key, names))
    return len(wanted)


def _look(session: Any, home: Any, key: Key, names: list[str]) -> orders.Order:
    facts = dict(zip(PARTS, key, strict=True))
    scene = sequencer.find_scene(str(facts["scene"])) or home
    if type(facts["start"]) is not int or type(facts["end"]) is not int:
        raise BadInput("A strip does not say which frames it was made from; make it Again once.")
    uid, mine = home.session_uid, tally

    def look(request: Any) -> None:
        here = sequencer.find_scene("", uid)
        if here is not None and mine is tally:
            _update(live.get(), here, names, request, mine)

    order = orders.make(
        scene,
        session.file_id,
        FrameRange(facts["start"], facts["end"]),
        source=take_jobs.source_of(facts),
        per_second=take_jobs.per_second_of(facts),
        settings={"layers": ("bed", "spots"), "hard_cuts": True},
    )
    if "events" not in order.settings:  # else the scene's list of hits has the word
        order = replace(order, hits=take_jobs.hits_of(facts))
    return replace(order, off_screen=bool(facts["off_screen"]), hidden=bool(facts["hidden"]), look=look)


def _update(session: Any, home: Any, names: list[str], request: Any, mine: Tally) -> None:
    """What the pictures and hits of ``request`` say about the strips ``names``. Raises BadInput."""
    why = placing_jobs.blocked()
    if why:
        raise BadInput(f"{why}; then press Update Changed again.")
    strips = [s for s in sequencer.all_strips(home) if s.name in names and take_strips.is_ours(s)]
    asked = [take_jobs.asking(strip) for strip in strips if not take_strips.is_locked(strip)]
    picture = fingerprint.sign(request.frames)
    beds = [one for one in asked if one.story.layer == "bed"]
    spots = [one for one in asked if one.story.layer == "spots"]
    kept = _not_ours(strips)
    redo = [one for one in beds if _bed_changed(one, picture, request)]
    mine.beds += len(redo)
    mine.kept += len(beds) - len(redo)
    for one in beds:
        if one not in redo:
            _know(one, request.events)
    given: dict[str, Hits] = {one.strip.name: request.events for one in redo}
    fresh: list[Event] = []
    if request.motion is not None:  # the worker finds the hits, and tells them with a sound only
        mine.kept += len(spots)
        if redo and spots:
            mine.notes.append("Hits that were found in the picture are not compared; generate the shot anew.")
    else:
        again, fresh = _spots(spots, kept, request, picture, mine)
        given.update(again)
        redo += [one for one in spots if one.strip.name in again]
    _ask(session, redo, request, given)
    if fresh and spots:
        mine.fresh += len(fresh)
        _ask(session, spots[:1], request, {spots[0].strip.name: tuple(fresh)}, new=True)


def _not_ours(strips: Iterable[Any]) -> list[Event]:
    """Hits that need no spot: of locked spots, and those that a bed knows but whose spot the user deleted."""
    spots: set[Event] = set()
    locked: list[Event] = []
    heard: list[Event] = []
    for strip in strips:
        story = sequencer.story_of(strip)
        events = () if story is None else story.settings.get("events", ())
        if story is not None and story.layer == "bed":
            heard += events
        else:
            spots.update(events)
            locked += events if take_strips.is_locked(strip) else ()
    return [*locked, *(event for event in heard if event not in spots)]


def _know(one: Asking, events: Hits) -> None:
    """A bed that stays as it is learns where the hits are now; they do not shape it."""
    text = provenance.with_events(one.strip[provenance.KEY], events)
    if text is not None and one.story.settings.get("events", ()) != events:
        one.strip[provenance.KEY] = text
        take_strips.keep(one.strip, one.takes.changed(one.take.id, story=text))


def _bed_changed(one: Asking, picture: str, request: Any) -> bool:
    if fingerprint.differ(str(one.story.shot.get("picture", "")), picture):
        return True
    settings = one.story.settings
    follows = settings.get("in_sync") or settings.get("duck_db", 0.0) > 0
    return bool(follows) and settings.get("events", ()) != request.events


def _spots(
    spots: list[Asking], locked: list[Event], request: Any, picture: str, mine: Tally
) -> tuple[dict[str, Hits], list[Event]]:
    """Move and mute what is to be moved and muted; the hits of those to be made anew, and the new hits.

    ``locked``: hits that get no spot, since a locked one has them or the user wants none.
    """
    single = {one.strip.name: one for one in spots if len(one.story.settings.get("events", ())) == 1}
    mixed = [one for one in spots if one.strip.name not in single]
    known = {name: one.story.settings["events"][0] for name, one in single.items()}
    found = compare({**known, **{f"\0{n}": event for n, event in enumerate(locked)}}, request.events)
    found.keep_only(known)
    again: dict[str, Hits] = {name: (event,) for name, event in found.redo.items()}
    for name in found.same:  # where no words decide, the picture does
        one, event = single[name], single[name].story.settings["events"][0]
        if not event.words and fingerprint.differ(str(one.story.shot.get("picture", "")), picture):
            again[name] = (event,)
    for one in mixed:
        if one.story.settings.get("events", ()) != request.events:
            again[one.strip.name] = request.events
    for name, event in found.moved.items():
        _move(single[name], event)
    for name in (*found.same, *found.moved, *found.redo):
        if single[name].strip.get(GONE_KEY):  # it is back
            single[name].strip.mute = False
            del single[name].strip[GONE_KEY]
    for name in found.gone:
        if not single[name].strip.mute:
            single[name].strip.mute = single[name].strip[GONE_KEY] = True
    mine.spots += len(again)
    mine.moved += len(found.moved)
    mine.gone += len(found.gone)
    mine.kept += len(spots) - len(again) - len(found.moved) - len(found.gone)
    if (found.moved or found.gone) and bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message="Footfall Update")
    return again, [] if mixed else found.fresh


def _move(one: Asking, event: Event) -> None:
    """Move a spot to where its hit is now, to the nearest frame, from wherever the user has put it."""
    rate = sequencer.scene_rate(one.strip.id_data)
    old: Event = one.story.settings["events"][0]
    frames = nearest(rate.frames(event.time_s - old.time_s))
    sequencer.shift(one.strip, frames)
    takes = one.takes
    for take in takes.takes:
        takes = takes.changed(take.id, story=_with_hit(take.story, old, event))
    if takes.at_s is not None:
        takes = replace(takes, at_s=takes.at_s + rate.seconds(frames))
    take_strips.keep(one.strip, takes)
    one.strip[provenance.KEY] = _with_hit(one.strip[provenance.KEY], old, event)


def _with_hit(text: str, old: Event, event: Event) -> str:
    """A story of the hit ``old``, told of the moved one."""
    story = provenance.read(text)
    if story is None or story.settings.get("events", ()) != (old,):
        return text
    return provenance.with_events(text, (replace(old, time_s=event.time_s),)) or text


def _ask(
    session: Any,
    wanted: Iterable[Asking],
    request: Any,
    hits: dict[str, Hits],
    *,
    new: bool = False,
) -> None:
    """New takes from the pictures that are there already; ``new``: as strips of their own."""
    for order in take_jobs.place_orders(session, wanted, "update", take_jobs.nudged({}), hits=hits):
        settings = dict(order.settings)
        settings["cuts"] = request.cuts if settings.get("hard_cuts") else ()
        try:
            filled = replace(request, **settings)
        except FootfallError as error:
            raise BadInput(error.sentence, error.detail) from error
        session.add(replace(order, aims=() if new else order.aims), filled)
