# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits looked for: in the scene, in pixels, and as markers; stopped, failed, searched again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import bpy
import footfall
import pytest
from footfall.addon.hits.listed import FRAME
from footfall.addon.host import live, pump
from footfall.addon.host.hits import finding as hit_finding
from footfall.addon.host.hits import panel as hit_panel
from footfall.addon.host.hits import store
from footfall.tests.blender import host_tools
from footfall.tests.blender.hits.listed import demo, entries, found, order, scene, search

pytestmark = pytest.mark.usefixtures("enabled")


def test_markers_become_hits_at_once() -> None:
    scene().timeline_markers.new("hit 0.5 glass", frame=12)
    scene().timeline_markers.new("camera move", frame=13)
    search()
    (hit,) = store.read(scene())
    assert (hit.at, hit.words, hit.strength, hit.origin) == (12 * FRAME, "glass", 0.5, "marker")
    assert "1 hit found" in hit_finding.told(scene())[0]


def test_a_search_reads_the_scene_and_keeps_what_was_edited() -> None:
    shot = demo()
    shot.frame_set(shot.frame_start + 7)
    search()
    first = store.read(shot)
    assert len(first) > 10
    assert {hit.origin for hit in first} == {"scene", "marker"}
    assert shot.frame_current == shot.frame_start + 7
    group = shot.footfall_hits
    group.entries[1].on = False
    group.entries[2].words = "mine"
    group.entries[3].frame += 3
    bpy.ops.footfall.hit_add()
    edited = store.read(shot)
    search()
    assert sorted(map(repr, store.read(shot))) == sorted(map(repr, edited))


def test_a_search_is_one_undo_step() -> None:
    shot = demo()
    search()
    many = len(shot.footfall_hits.entries)
    bpy.ops.ed.undo()
    assert len(scene().footfall_hits.entries) == 0
    bpy.ops.ed.redo()
    assert len(scene().footfall_hits.entries) == many


def test_a_search_can_be_stopped_and_another_file_ends_it(tmp_path: Path) -> None:
    shot = demo()
    shot.frame_set(shot.frame_start + 7)
    bpy.ops.footfall.hits_find()
    pump.tick()
    assert hit_finding.drawing()
    with pytest.raises(RuntimeError):
        bpy.ops.footfall.hits_find()  # one at a time
    bpy.ops.footfall.hits_stop()
    assert hit_finding.running() is None
    assert shot.frame_current == shot.frame_start + 7
    bpy.ops.footfall.hits_find()
    pump.tick()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    pump.tick()
    assert hit_finding.running() is None
    assert len(entries()) == 0


def test_a_scene_that_is_deleted_ends_the_search_in_words() -> None:
    shot = demo()
    bpy.ops.footfall.hits_find()
    pump.tick()
    uid = shot.session_uid
    bpy.data.scenes.remove(shot)
    for _ in range(3):
        pump.tick()
    assert hit_finding.running() is None
    words, failed = hit_finding.told(SimpleNamespace(session_uid=uid))
    assert "gone" in words
    assert failed


def test_the_worker_looks_at_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a job that makes no sound and leaves nothing behind but hits."""
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(host_tools.fake_python(tmp_path)))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    host_tools.movie_of_colours(scene())
    scene().timeline_markers.new("hit tin", frame=12)
    scene().footfall.events = "scene"  # the sequencer shows footage, which has no motion of its own
    scene().footfall.source = "sequencer"
    bpy.ops.ed.undo_push(message="Start")
    assert bpy.ops.footfall.hits_find() == {"FINISHED"}
    session = live.session()
    (work,) = session.works.values()
    requests = []
    host_tools.turn(session, lambda: requests.append(work.request) or hit_finding.running() is None)
    request = next(request for request in requests if request is not None)
    assert request.only_looks
    assert len(request.motion) == 24
    assert [(hit.words, hit.origin) for hit in store.read(scene())] == [("tin", "marker")]
    assert len(session.table) == 0
    assert host_tools.our_strips(scene()) == []
    bpy.ops.ed.undo()
    assert len(entries()) == 0


def test_a_worker_that_fails_ends_the_search_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON", raising=False)
    scene().footfall.events = "pixels"
    with pytest.raises(RuntimeError, match="not set up"):
        bpy.ops.footfall.hits_find()
    assert hit_finding.running() is None


def test_nothing_is_searched_where_only_the_list_counts() -> None:
    scene().footfall.events = "list"
    with pytest.raises(RuntimeError, match="your own list"):
        bpy.ops.footfall.hits_find()


def test_disabling_ends_a_search() -> None:
    demo()
    bpy.ops.footfall.hits_find()
    pump.tick()
    footfall.unregister()
    assert hit_finding.running() is None
    footfall.register()


def test_what_is_shown_is_what_is_heard() -> None:
    scene().timeline_markers.new("hit glass", frame=12)
    store.write(scene(), [found(30), found(10.5), found(20, on=False), found(40, strength=0.125), found(999)])
    scene().footfall.least_strength = 0.25
    heard = order().settings["events"]
    assert [float(event.time_s * 24) for event in heard] == [9.5, 29.0]
    assert hit_panel.count(scene(), scene().footfall) == (2, 4)
    assert order().settings["least_strength"] == 0.25


def test_without_a_hit_in_the_shot_they_are_looked_for() -> None:
    store.write(scene(), [found(999)])
    assert "events" not in order().settings
    assert order().hits == scene().footfall.events == "scene"
    scene().footfall.events = "list"
    assert order().settings["events"] == ()


def test_what_the_command_line_says_wins() -> None:
    store.write(scene(), [found(10)])
    assert "events" not in order("scene").settings
    assert order("scene").hits == "scene"
    assert len(order("list").settings["events"]) == 1
    assert order(events=("mine",)).settings["events"] == ("mine",)


def test_a_bed_alone_needs_no_hits_unless_it_follows_them() -> None:
    store.write(scene(), [found(10)])
    assert "events" not in order(layers=("bed",)).settings
    assert len(order(layers=("bed",), in_sync=True).settings["events"]) == 1


def test_the_panels_choices_are_in_the_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(host_tools.fake_python(tmp_path)))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    host_tools.movie_of_colours(scene())
    chosen = scene().footfall
    chosen.duck_db, chosen.spots_as, chosen.in_sync, chosen.hard_cuts, chosen.loop = (
        6.0,
        "mixed",
        True,
        True,
        True,
    )
    store.write(scene(), [found(10, words="tin")])
    bpy.ops.footfall.generate()
    session = live.session()
    (work,) = session.works.values()
    requests = []
    host_tools.turn(
        session, lambda: bool(requests.append(work.request) or work.request or requests[-1:] != [None])
    )
    request = next(request for request in requests if request is not None)
    assert (request.duck_db, request.spots_as, request.in_sync, request.hard_cuts, request.loop) == (
        6.0,
        "mixed",
        True,
        True,
        True,
    )
    assert [event.words for event in request.events] == ["tin"]
