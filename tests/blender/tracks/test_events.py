# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits read from scenes whose hits are known: found, on time, and nothing left changed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import bpy
import footfall
import numpy as np
import pytest
from footfall.addon.host import orders
from footfall.addon.host.capture import jobs as capturing
from footfall.addon.host.demo import shot as demo_shot
from footfall.addon.host.session import Session
from footfall.addon.host.tracks import reading as tracks
from footfall.addon.host.tracks import things as track_things
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.messages import Event
from footfall.tests.blender.traces import changes, snapshot
from footfall.tests.blender.tracks import scene_truth
from footfall.tests.blender.tracks.scene_truth import HELD_OUT, RATES, WAYS, Truth


@pytest.fixture
def enabled() -> Iterator[None]:
    footfall.register()
    yield
    footfall.unregister()


def read(scene: bpy.types.Scene) -> tuple[Event, ...]:
    rate = Rate(scene.render.fps, scene.render.fps_base)
    return tracks.read(scene, FrameRange(scene.frame_start, scene.frame_end), rate)


def compare(truth: Truth) -> tuple[list[float], int, int]:
    """(errors in seconds of the hits found, hits missed, events that are no hit). A bounce of a rigid body is
    a hit whose time is not known.
    """
    rate = truth.scene.render.fps / truth.scene.render.fps_base
    found = [float(event.time_s) for event in read(truth.scene)]
    wanted = [(frame - 1) / rate for frame in truth.hits]
    errors = []
    for time in wanted:
        near = min(found, key=lambda other: abs(other - time), default=math.inf)
        if abs(near - time) <= 1.0 / rate:
            errors.append(near - time)
            found.remove(near)
    if truth.scene.rigidbody_world is not None:
        found = [time for time in found if time < min(wanted) - 0.02]
    return errors, len(wanted) - len(errors), len(found)


def cube(name: str, place: tuple[float, float, float], size: float = 1.0) -> bpy.types.Object:
    return demo_shot.parts.box(bpy.context.scene, name, place, (size,) * 3, demo_shot.parts.material("wood"))


@pytest.mark.parametrize("way", WAYS)
def test_hits_are_found_on_time(way: str, measured: Callable[[str], None]) -> None:
    truth = scene_truth.make(way, HELD_OUT, 24, 1.0)
    errors, missed, false = compare(truth)
    measured(
        f"{len(errors)} found, {missed} missed, {false} false, worst {max(map(abs, errors)) * 1e3:.2f} ms"
    )
    assert (missed, false) == (0, 0)
    assert max(map(abs, errors)) < 0.5 / 24
    assert float(np.median(np.abs(errors))) < 0.005


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_held_out_scenes(way: str, rate: tuple[int, float], measured: Callable[[str], None]) -> None:
    errors, missed, false = [], 0, 0
    for seed in range(HELD_OUT + 1, HELD_OUT + 4):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        more, lost, wrong = compare(scene_truth.make(way, seed, *rate))
        errors, missed, false = errors + more, missed + lost, false + wrong
    size = np.abs(errors)
    measured(
        f"{len(errors)} found, {missed} missed, {false} false; "
        f"median {np.median(size) * 1e3:.2f} ms, p95 {np.quantile(size, 0.95) * 1e3:.2f} ms"
    )
    assert len(errors) >= 0.98 * (len(errors) + missed)
    assert false <= 0.05 * (len(errors) + false)
    assert np.median(size) < 0.005
    assert np.quantile(size, 0.95) < 0.5 * rate[1] / rate[0]


def test_the_demo_shots_twelve_hits_without_markers() -> None:
    scene = demo_shot.build()
    for one in [one for one in scene.objects if one.name.startswith(("Rain", "Drop"))]:
        bpy.data.objects.remove(one)  # quicker; nothing of them is near
    found = read(scene)
    for hit in demo_shot.HITS:
        assert min(abs(event.time_s - hit.time_s) for event in found) < 0.005, hit
    assert len(found) <= len(demo_shot.HITS) + 4  # small bounces and the marble set down, which nobody marked


def test_nothing_is_left_changed() -> None:
    scene = scene_truth.make("keyed", 3, 24, 1.0).scene
    scene.frame_end = 30
    scene.frame_set(7, subframe=0.25)
    before = snapshot()[scene.name]
    read(scene)
    assert (scene.frame_current, scene.frame_subframe) == (7, 0.25)
    assert not [line for line in changes(before, snapshot()[scene.name]) if "/matrix_" not in line]


def test_a_reading_that_is_stopped_gives_the_frame_back() -> None:
    scene = scene_truth.make("keyed", 4, 24, 1.0).scene
    running = tracks.Reading(scene, FrameRange(1, 60), Rate(24))
    for _ in range(10):
        assert running.step(budget_s=0.0)
    assert scene.frame_current != 1
    running.abort()
    assert scene.frame_current == 1
    assert not running.step()


def test_hidden_things_are_left_out() -> None:
    truth = scene_truth.make("keyed", 5, 24, 1.0)
    for one in truth.scene.objects:
        one.hide_render = "ball" in one.name
    assert read(truth.scene) == ()


def test_odd_scenes_are_read() -> None:
    """No size, no number, out of all bounds, nothing inside, instances, everything moving."""
    scene = bpy.context.scene
    scene.frame_end = 14
    cube("Flat", (0, 0, 0)).scale = (0.0, 0.0, 0.0)
    cube("Huge", (1e30, 0, 0)).scale = (1e20, 1.0, 1.0)
    cube("Lost", (math.nan, 0, 0))
    empty = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
    instances = bpy.data.objects.new("Instances", None)
    instances.instance_type, instances.instance_collection = "COLLECTION", bpy.data.collections.new("Group")
    for one in (empty, instances):
        scene.collection.objects.link(one)
    for number in range(12):
        one = cube("Busy", (2.0 * number, 0, 0))
        for frame in range(1, 15):
            one.location.z = float(frame % 2)
            one.keyframe_insert("location", frame=frame)
    scene.frame_set(1)
    read(scene)


def test_nothing_moves_nothing_sounds() -> None:
    cube("Still", (0, 0, 0))
    bpy.context.scene.frame_end = 10
    assert read(bpy.context.scene) == ()


@pytest.mark.usefixtures("enabled")
def test_a_job_reads_hits_along_with_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the order to the request, the marker standing for the hit that it lies on."""
    truth = scene_truth.make("keyed", 6, 24, 1.0)
    truth.scene.frame_end = 40
    truth.scene.timeline_markers.new("hit mine", frame=round(truth.hits[0]))
    session = Session()
    sent = []
    monkeypatch.setattr(session, "warm_up", lambda: None)
    monkeypatch.setattr(session, "send", lambda job_id, request, path: sent.append(request))
    settings = {"layers": ("bed", "spots"), "takes": 1}
    for hits in ("scene", "markers"):
        order = orders.make(
            truth.scene,
            session.file_id,
            FrameRange(1, 40),
            source="render",
            per_second=0.5,
            settings=settings,
            hits=hits,
        )
        session.add(order)
        count = len(sent)
        for _ in range(400):
            capturing.step(session)
            if len(sent) > count:
                break
        session.table.fail(session.table.all()[-1].job_id, 0.0, "cancelled", "Cancelled.")
    with_scene, markers = (request.events for request in sent)
    assert [event.words for event in markers] == ["mine"]
    assert "mine" in [event.words for event in with_scene]
    assert len(with_scene) == sum(frame < 41 for frame in truth.hits)


@pytest.mark.usefixtures("enabled")
def test_a_job_goes_through_the_frames_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and hits together: each frame is shown once, in order, and the user's comes back."""
    scene = scene_truth.make("parented", 6, 24, 1.0).scene
    scene.frame_set(7)
    session = Session()
    sent = []
    monkeypatch.setattr(session, "warm_up", lambda: None)
    monkeypatch.setattr(session, "send", lambda job_id, request, path: sent.append(request))
    order = orders.make(
        scene,
        session.file_id,
        FrameRange(1, 40),
        source="render",
        per_second=4.0,
        settings={"layers": ("spots",), "takes": 1},
        hits="scene",
    )
    shown = []
    note = lambda one, _: shown.append(one.frame_current) if one == scene else None  # noqa: E731
    bpy.app.handlers.frame_change_post.append(note)
    session.add(order)
    drawn_early = False
    for _ in range(2000):
        capturing.step(session)
        running = session.capture
        if running is not None and running.reading is not None and running.reading.next_frame is not None:
            drawn_early |= 0.0 < running.capture.progress < 1.0
        if sent:
            break
    bpy.app.handlers.frame_change_post.remove(note)
    assert drawn_early
    assert len(sent[0].events) >= 1
    # Rendering a picture may show its frame again at once (Blender 4.2 does).
    inner = [frame for frame, _ in itertools.groupby(shown) if 8 <= frame <= 40]
    assert len(inner) <= 40 - 8 + 1 + 6  # a few looks between frames come on top
    assert scene.frame_current == 7


@pytest.mark.usefixtures("enabled")
def test_what_a_job_leaves_out_is_told_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_truth.make("parented", 6, 24, 1.0).scene
    session = Session()
    sent = []
    monkeypatch.setattr(session, "warm_up", lambda: None)
    monkeypatch.setattr(session, "send", lambda job_id, request, path: sent.append(request))
    monkeypatch.setattr(track_things, "MOST_BODIES", 1)
    settings = {"layers": ("spots",), "takes": 1}
    span = FrameRange(1, 12)
    session.add(
        orders.make(
            scene, session.file_id, span, source="render", per_second=2.0, settings=settings, hits="scene"
        )
    )
    for _ in range(500):
        capturing.step(session)
        if sent:
            break
    (work,) = session.works.values()
    assert any("largest" in note for note in work.notes)
