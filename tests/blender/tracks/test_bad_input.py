# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that nobody would make, or only by mistake: read in bounded time, and told of sensibly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
from footfall.addon.host.tracks import reading as tracks
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender.tracks import scene_parts as parts
from footfall.tests.blender.tracks.scene_parts import box, drop, frames, keys, read


@pytest.fixture(autouse=True)
def scene() -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 24, 48
    parts.floor()
    return scene


def test_nothing_at_all() -> None:
    bpy.data.objects.remove(bpy.data.objects["Stone floor"])
    assert read() == ()


def test_nothing_moves() -> None:
    box("Still", (0.0, 0.0, 0.15))
    assert read() == ()


def test_a_scene_of_one_frame(scene: bpy.types.Scene) -> None:
    drop(parts.ball("Ball", (0, 0, 1)), 0.15, 1.0)
    scene.frame_end = 1
    assert frames(read()) == [1.0]


def test_no_size_no_number_out_of_all_bounds() -> None:
    """Each moves, and a ball beside them is found all the same."""
    for name, scale in (("Flat", (0.0, 0.0, 0.0)), ("Thin", (1.0, 1.0, 0.0)), ("Huge", (1e20, 1.0, 1.0))):
        thing = box(name, (3.0, 0.0, 0.0))
        thing.scale = scale
        keys(thing, "location", 2, [(10, 1.0), (20, 0.0), (30, 1.0)])
    lost = box("Lost", (0.0, 0.0, 0.0))
    keys(lost, "location", 0, [(1, 0.0), (20, 3e38), (30, -3e38)])
    driven = box("Driven", (0.0, 0.0, 0.0))
    driver = driven.driver_add("location", 0).driver
    driver.expression = "frame * 1e36"
    empty = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
    bpy.context.scene.collection.objects.link(empty)
    keys(empty, "location", 2, [(10, 1.0), (20, 0.0), (30, 1.0)])
    drop(parts.ball("Ball", (-2.0, 0.0, 1.0)), 0.15, 25)
    assert 25.0 in frames(read())
    lost.location.x = math.nan
    read()


def test_a_thing_that_has_no_size_until_it_comes() -> None:
    ball = parts.ball("Ball", (0.0, 0.0, 1.0))
    drop(ball, 0.15, 30)
    for axis in range(3):
        keys(ball, "scale", axis, [(1, 0.0), (10, 0.0), (11, 1.0)])
    assert frames(read()) == [30.0]


def test_a_thing_that_is_put_elsewhere_makes_no_sound() -> None:
    thing = box("Crate", (0.0, 0.0, 0.15))
    keys(thing, "location", 0, [(1, -3.0), (20, -3.0), (21, 3.0), (48, 3.0)])
    keys(thing, "location", 2, [(1, 4.0), (20, 4.0), (21, 0.15), (48, 0.15)])
    assert frames(read()) == []


def test_hits_before_the_first_and_after_the_last_frame(scene: bpy.types.Scene) -> None:
    scene.frame_start, scene.frame_end = 20, 40
    for number, at in enumerate((18.0, 19.6, 20.2, 40.5, 41.5, 43.0)):
        drop(parts.ball("Ball", (0.8 * number, 0.0, 1.0)), 0.15, at)
    told = [round(20 + 24 * float(event.time_s), 1) for event in read() if event.kind == "hit"]
    assert told == [pytest.approx(20.2, abs=0.1), pytest.approx(40.5, abs=0.1)]
    assert all(0 <= event.time_s < 21 / 24 for event in read())


def test_two_hits_in_one_frame() -> None:
    for number in range(2):
        drop(parts.ball("Ball", (2.0 * number, 0.0, 1.0)), 0.15, 20.3 + 0.4 * number)
    assert frames(read()) == [pytest.approx(20.3, abs=0.03), pytest.approx(20.7, abs=0.03)]


def test_a_hundred_and_twenty_hits_a_second(measured: Callable[[str], None]) -> None:
    """Sixty things, each of which hits twice a second, at twenty-four frames."""
    times = []
    for number in range(60):
        ball = parts.ball("Ball", (0.5 * (number % 10), 0.5 * (number // 10), 1.0), 0.1)
        first = 3.0 + number * 12 / 60
        at = [first + 12 * bounce for bounce in range(4) if first + 12 * bounce < 45]
        times += at
        path = [(at[0] - 6, 1.0)]
        for one in at:
            path += [(one, 0.1), (one + 6, 1.0)]
        keys(ball, "location", 2, path)
    found = frames(read())
    near = sum(min(abs(one - other) for other in found) < 0.25 for one in times)
    measured(f"{near} of {len(times)} found, {len(found)} told")
    assert near >= 0.95 * len(times)
    assert len(found) <= 1.05 * len(times)


def test_everything_moves(measured: Callable[[str], None], scene: bpy.types.Scene) -> None:
    """Four hundred things hit at once, again and again: bounded time, and it is said what was left out."""
    scene.frame_end = 12
    mesh = box("Busy", (0.0, 0.0, 0.1), (0.2, 0.2, 0.2)).data
    action = None
    for number in range(400):
        thing = bpy.data.objects.new("Busy", mesh)
        thing.delta_location = (0.3 * (number % 20), 0.3 * (number // 20), 0.0)
        scene.collection.objects.link(thing)
        if action is None:
            keys(thing, "location", 2, [(3 * n, 0.1 + 0.5 * (n % 2)) for n in range(-2, 9)])
            action = thing.animation_data.action
        else:
            thing.animation_data_create().action = action
            if hasattr(thing.animation_data, "action_slot"):
                thing.animation_data.action_slot = action.slots[0]
    reading = tracks.Reading(scene, FrameRange(1, 12), Rate(24))
    longest, began = 0.0, time.process_time()
    while True:
        tick = time.process_time()
        if not reading.step():
            break
        longest = max(longest, time.process_time() - tick)
    spent = time.process_time() - began
    told = reading.finish()
    measured(f"{len(told)} told in {spent:.2f} s, longest tick {longest * 1e3:.0f} ms")
    assert told
    assert any("at once" in note for note in reading.notes)
    assert spent < 20.0


@pytest.mark.slow
def test_ten_thousand_things(measured: Callable[[str], None], scene: bpy.types.Scene) -> None:
    """Nearly all of them stand: reading costs little more than playing."""
    mesh = box("Stone", (0.0, 5.0, 0.1), (0.2, 0.2, 0.2)).data
    for number in range(10_000):
        thing = bpy.data.objects.new("Stone", mesh)
        thing.location = (0.3 * (number % 100), 5.0 + 0.3 * (number // 100), 0.1)
        scene.collection.objects.link(thing)
    drop(parts.ball("Ball", (0.0, 0.0, 1.0)), 0.15, 20)
    scene.frame_set(1)
    began = time.process_time()
    for frame in range(-2, 52):
        scene.frame_set(frame)
    bare = time.process_time() - began
    began = time.process_time()
    assert frames(read()) == [20.0]
    spent = time.process_time() - began
    measured(f"bare {bare:.2f} s, reading {spent:.2f} s")
    assert spent < 2.0 * bare + 2.0  # with the gathering of ten thousand things


def test_linked_and_overridden_things(tmp_path: Path, scene: bpy.types.Scene) -> None:
    drop(parts.ball("Ball", (0.0, 0.0, 1.0)), 0.15, 20)
    path = str(tmp_path / "library.blend")
    bpy.data.libraries.write(path, {bpy.data.objects["Ball"]})
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = ["Ball"]
    linked = wanted.objects[0]
    scene.collection.objects.link(linked)
    own = parts.ball("Ball", (3.0, 0.0, 0.15))  # of the same name, and it stands
    assert own.name == "Ball"
    assert frames(read()) == [20.0]
    scene.collection.objects.unlink(linked)
    override = linked.override_create()
    override.location.x = -3.0
    scene.collection.objects.link(override)
    assert frames(read()) == [20.0]


def test_the_scene_goes_while_it_is_read() -> None:
    scene = bpy.data.scenes.new("Doomed")
    reading = tracks.Reading(scene, FrameRange(1, 40), Rate(24))
    assert reading.step(budget_s=0.0)
    bpy.data.scenes.remove(scene)
    with pytest.raises(BadInput, match="is gone"):
        reading.step()
    assert not reading.step()


def test_things_that_go_while_they_are_read(scene: bpy.types.Scene) -> None:
    for number in range(3):
        drop(parts.ball(f"Ball {number}", (float(number), 0.0, 1.0)), 0.15, 20 + 6 * number)
    reading = tracks.Reading(scene, FrameRange(1, 48), Rate(24))
    while reading.next_frame is not None and reading.next_frame < 10:
        reading.step(until=10, budget_s=0.0)
    bpy.data.objects.remove(bpy.data.objects["Ball 1"])
    while reading.step():
        pass
    assert frames(reading.finish()) == [20.0, 32.0]


def test_physics_that_nobody_has_played(scene: bpy.types.Scene) -> None:
    """It begins long before the shot does."""
    ball = parts.ball("Ball", (0.0, 0.0, 1.15))
    bpy.ops.rigidbody.world_add()
    for one in (ball, bpy.data.objects["Stone floor"]):
        bpy.context.view_layer.objects.active = one
        bpy.ops.rigidbody.object_add(type="ACTIVE" if one is ball else "PASSIVE")
        one.rigid_body.use_margin, one.rigid_body.collision_margin = True, 0.0
    scene.frame_start, scene.frame_end = 8, 40
    scene.frame_set(30)
    told = [8 + 24 * float(event.time_s) for event in read()]
    assert told[0] == pytest.approx(1 + (2 / 9.81) ** 0.5 * 24, abs=0.5)
    assert scene.frame_current == 30
