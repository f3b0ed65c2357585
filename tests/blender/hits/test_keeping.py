# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search has found goes into the list a little at a time, whatever happens meanwhile."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import bpy
import footfall
import pytest
from footfall.addon.hits import listed
from footfall.addon.hits.listed import FRAME, Hit
from footfall.addon.host import sequencer
from footfall.addon.host.hits import drag, keeping, store
from footfall.addon.timeline import FrameRange
from footfall.addon.wire.errors import BadInput
from footfall.addon.wire.messages import Event

SPAN = FrameRange(1, 15_000)
TICK_S = 0.05


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    footfall.register()
    yield
    footfall.unregister()


def scene() -> Any:
    return bpy.context.scene


def found(count: int, later_s: Fraction = Fraction(0)) -> list[Event]:
    """Hits every fifth of a second."""
    return [
        Event(
            time_s=Fraction(number, 5) + later_s,
            kind="step" if number % 3 else "hit",
            words=f"thing {number % 7}",
            strength=(number * 37 % 100) / 100,
            pan=(number % 9 - 4) / 4,
        )
        for number in range(count)
    ]


def begin(events: list[Event]) -> keeping.Keeping:
    return keeping.Keeping(scene(), events, SPAN, sequencer.scene_rate(scene()), "scene")


def in_order(hits: list[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (hit.at, hit.words))


def test_it_is_what_a_merge_at_once_would_be() -> None:
    assert begin(found(300)).finish() == "300 hits found."
    group = scene().footfall_hits
    group.entries[3].on = False
    group.entries[280].words = "mine"
    old, new = store.read(scene()), found(250, Fraction(1, 100))
    rate = sequencer.scene_rate(scene())
    hits = [listed.from_event(event, SPAN, rate, "scene") for event in new]
    assert begin(new).finish() == "250 hits found; the list had 300 here and has 251 now."
    assert in_order(store.read(scene())) == in_order(listed.merge(old, hits, SPAN, listed.near(rate)))
    begin(found(0)).finish()
    assert {hit.words for hit in store.read(scene()) if hit.on} == {"mine"}


def test_what_is_selected_stays_selected() -> None:
    begin(found(10)).finish()
    mine = scene().footfall_hits.entries.add()
    mine.frame, mine.words = 7, "mine"
    scene().footfall_hits.active = 10
    begin(found(5, Fraction(1, 50))).finish()
    assert store.active(scene()).words == "mine"


def test_nothing_new_is_no_undo_step() -> None:
    begin(found(10)).finish()
    bpy.ops.ed.undo_push(message="Mine")
    revision = store.revision()
    begin(found(10)).finish()
    assert store.revision() == revision


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Python's own sweep through all that the tests have left is no part of what is measured."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage")
def test_three_thousand_hits_freeze_no_window(measured: Callable[[str], None]) -> None:
    """But for the undo step, which Blender writes in one go."""
    for later_s in (Fraction(0), Fraction(1, 200)):
        work = begin(found(3_000, later_s))
        longest, count = 0.0, 0
        pushed = 0.0
        going_on = True
        while going_on:
            began = time.thread_time()
            going_on = work.step()
            took = time.thread_time() - began
            if going_on:
                longest, count = max(longest, took), count + 1
            else:
                pushed = took
        measured(f"{count} ticks, longest {longest * 1000:.0f} ms, undo step {pushed * 1000:.0f} ms")
        assert longest < TICK_S
    assert len(store.read(scene())) == 3_000


@pytest.mark.parametrize("ticks", [1, 4, 12])
def test_somebody_changes_the_list_meanwhile(ticks: int) -> None:
    begin(found(400)).finish()
    work = begin(found(400, Fraction(1, 100)))
    for _ in range(ticks):
        work.step(0.0)
    scene().footfall_hits.entries[7].words = "mine"
    assert work.finish().endswith("has 400 now.")
    hits = store.read(scene())
    assert len(hits) == 400
    assert sum(hit.words == "mine" for hit in hits) == 1
    assert {hit.found.at % (FRAME // 100) for hit in hits if hit.found} == {0}


def test_undo_meanwhile() -> None:
    """What was written until then is gone; all of it comes again, as one step."""
    bpy.ops.ed.undo_push(message="Start")
    scene().footfall.prompt = "wet gravel"
    bpy.ops.ed.undo_push(message="Prompt")
    work = begin(found(400))
    while not len(scene().footfall_hits.entries):
        work.step(0.0)
    bpy.ops.ed.undo()
    assert work.finish() == "400 hits found."
    assert len(scene().footfall_hits.entries) == 400
    bpy.ops.ed.undo()
    assert len(scene().footfall_hits.entries) == 0


def test_the_scene_is_deleted_meanwhile() -> None:
    work = begin(found(200))
    work.step(0.0)
    gone = scene()
    bpy.context.window.scene = bpy.data.scenes.new("Another")
    bpy.data.scenes.remove(gone)
    with pytest.raises(BadInput, match="gone"):
        work.finish()


def test_a_dragged_hit_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from footfall.addon.host import live, pump
    from footfall.addon.host.hits import finding

    scene().footfall.events = "markers"
    scene().timeline_markers.new("hit tin", frame=12)
    bpy.ops.footfall.hits_find()
    monkeypatch.setattr(drag._State, "holding", True)
    for _ in range(10):
        pump.step(live.get())
    assert finding.running() is not None
    assert len(scene().footfall_hits.entries) == 0
    monkeypatch.setattr(drag._State, "holding", False)
    while finding.running() is not None:
        pump.step(live.get())
    assert len(scene().footfall_hits.entries) == 1
