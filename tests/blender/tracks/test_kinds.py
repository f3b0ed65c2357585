# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way in which things of a scene meet: what is found, when, and what it is called."""

from __future__ import annotations

import bpy
import pytest
from footfall.addon.host.capture.state import action_curves
from footfall.addon.host.tracks import reading as tracks
from footfall.addon.timeline import FrameRange, Rate
from footfall.tests.blender.tracks import scene_parts as parts
from footfall.tests.blender.tracks.scene_parts import box, drop, frames, keys, read


@pytest.fixture(autouse=True)
def stage() -> bpy.types.Scene:
    """A floor and a camera; 48 frames at 24 a second."""
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end = 24, 48
    parts.floor()
    parts.camera()
    return scene


def test_words_place_pan_and_distance() -> None:
    drop(parts.ball("Steel_ball.001", (1.5, 0.0, 1.0)), 0.15, 20)
    event = read()[0]
    assert frames([event]) == [20.0]
    assert event.words == "steel ball on wood stone floor"
    assert event.pan > 0.2
    assert event.distance_m == pytest.approx(8.2, abs=0.3)
    across, down, size = event.place
    assert across == pytest.approx((event.pan + 1) / 2, abs=1e-6)
    assert 0.4 < down < 0.8
    assert 0.02 < size < 0.2


@pytest.mark.parametrize("at", [20.0, 20.4, 20.75])
def test_a_foot_that_eases_in_is_planted_when_it_comes_to_rest(at: float) -> None:
    foot = box("Foot.L", (0.0, 0.0, 0.1), (0.3, 0.1, 0.1))
    keys(foot, "location", 2, [(at - 10, 0.35), (at, 0.05), (at + 30, 0.05)], "BEZIER")
    keys(foot, "location", 0, [(at - 10, -0.5), (at, 0.0), (at + 30, 0.0)], "BEZIER")
    for curve in action_curves(foot.animation_data):
        for point in curve.keyframe_points:
            point.handle_left_type = point.handle_right_type = "AUTO_CLAMPED"
        curve.update()
    told = read()
    assert [event.kind for event in told] == ["step"]
    assert frames(told) == [pytest.approx(at, abs=0.2)]


def test_bones_without_skin_and_floor_of_their_own_plant_feet() -> None:
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", data)
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("foot.L")
    bone.head, bone.tail = (0.0, 0.0, 0.0), (0.0, -0.2, 0.0)
    bpy.ops.object.mode_set(mode="OBJECT")
    keys(rig, 'pose.bones["foot.L"].location', 2, [(5, 0.4), (20, 0.0), (48, 0.0)])
    told = read()
    assert [(event.kind, event.words) for event in told] == [("step", "foot on wood stone floor")]
    assert frames(told) == [20.0]


def test_sliding_starts_and_stops() -> None:
    crate = box("Crate", (0.0, 0.0, 0.15))
    keys(crate, "location", 0, [(10, -0.5), (30, 0.8)])
    told = read()
    assert frames(told, "slide") == [10.0]
    assert frames(told, "stop") == [30.0]
    assert not frames(told)


def test_rolling_starts() -> None:
    ball = parts.ball("Ball", (0.0, 0.0, 0.15))
    keys(ball, "location", 0, [(10, -0.5), (30, 0.8)])
    keys(ball, "rotation_euler", 1, [(10, 0.0), (30, 1.3 / 0.15)])
    told = read()
    assert frames(told, "roll") == [10.0]
    assert not frames(told)


def test_what_rushes_by_the_camera_whooshes() -> None:
    keys(parts.ball("Bird", (0.0, -7.3, 1.1), 0.3), "location", 0, [(20, -6.0), (32, 6.0)])
    assert frames(read(), "whoosh") == [pytest.approx(26.0, abs=0.5)]


def test_instances_hit() -> None:
    """Of a collection that an empty shows, as sets and crowds are made."""
    scene = bpy.context.scene
    thing = box("Barrel", (0.0, 0.0, 0.15))
    group = bpy.data.collections.new("Barrels")
    group.objects.link(thing)
    scene.collection.objects.unlink(thing)
    maker = bpy.data.objects.new("Maker", None)
    maker.instance_type, maker.instance_collection = "COLLECTION", group
    scene.collection.objects.link(maker)
    keys(maker, "location", 2, [(10, 1.0), (20.0, 0.0), (48, 0.0)])
    told = read()
    assert frames(told) == [20.0]
    assert "barrel" in told[0].words


def test_instances_of_geometry_nodes_are_hit() -> None:
    """A floor of tiles that only nodes make, and a ball that falls on it."""
    scene = bpy.context.scene
    bpy.data.objects.remove(bpy.data.objects["Stone floor"])
    tile = box("Tile", (0.0, 0.0, -5.0), (1.0, 1.0, 0.1))
    tile.hide_render = True
    tree = bpy.data.node_groups.new("Tiles", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    grid, put = (tree.nodes.new(name) for name in ("GeometryNodeMeshGrid", "GeometryNodeInstanceOnPoints"))
    info, out = tree.nodes.new("GeometryNodeObjectInfo"), tree.nodes.new("NodeGroupOutput")
    grid.inputs["Size X"].default_value = grid.inputs["Size Y"].default_value = 4.0
    grid.inputs["Vertices X"].default_value = grid.inputs["Vertices Y"].default_value = 5
    info.inputs["Object"].default_value = tile
    info.inputs["As Instance"].default_value = True
    tree.links.new(grid.outputs["Mesh"], put.inputs["Points"])
    tree.links.new(info.outputs["Geometry"], put.inputs["Instance"])
    tree.links.new(put.outputs["Instances"], out.inputs[0])
    maker = bpy.data.objects.new("Tiled", bpy.data.meshes.new("Tiled"))
    scene.collection.objects.link(maker)
    maker.modifiers.new("Tiles", "NODES").node_group = tree
    drop(parts.ball("Ball", (0.2, 0.1, 1.0)), 0.05 + 0.15, 20)
    told = read()
    assert frames(told) == [20.0]
    assert "tile" in told[0].words


def test_shape_keys_hit() -> None:
    """A thing that only its shape moves."""
    thing = box("Tentacle", (0.0, 0.0, 0.15))
    thing.shape_key_add(name="Basis")
    up = thing.shape_key_add(name="Up")
    for point in up.data:
        point.co.z += 1.0
    up.value = 1.0
    up.keyframe_insert("value", frame=5)
    up.value = 0.0
    up.keyframe_insert("value", frame=20)
    for found in action_curves(thing.data.shape_keys.animation_data):
        for point in found.keyframe_points:
            point.interpolation = "LINEAR"
    assert frames(read()) == [pytest.approx(20.0, abs=0.05)]


def test_what_bends_is_hit() -> None:
    """A ball that falls on a sheet which waves all the time."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=24, y_subdivisions=24, size=4.0, location=(0, 0, 0.5))
    sheet = bpy.context.object
    sheet.name = "Sheet"
    wave = sheet.modifiers.new("Wave", "WAVE")
    wave.height, wave.speed, wave.width = 0.02, 0.05, 1.5
    drop(parts.ball("Ball", (0.3, 0.2, 1.5)), 0.52 + 0.15, 20)
    told = read()
    assert frames(told) == [pytest.approx(20.0, abs=0.3)]
    assert "sheet" in told[0].words


def test_a_light_that_flashes_and_particles_that_burst() -> None:
    lamp = bpy.data.objects.new("Strobe", bpy.data.lights.new("Strobe", "POINT"))
    lamp.location.z = 1.0
    bpy.context.scene.collection.objects.link(lamp)
    for frame, power in ((10, 0.0), (19, 0.0), (20, 500.0), (22, 0.0)):
        lamp.data.energy = power
        lamp.data.keyframe_insert("energy", frame=frame)
    crate = box("Firework", (0.5, 0.0, 1.0))
    crate.modifiers.new("Sparks", "PARTICLE_SYSTEM")
    settings = crate.particle_systems[0].settings
    settings.name, settings.count, settings.frame_start, settings.frame_end = "Sparks", 100, 30, 32
    told = read()
    assert frames(told, "flash") == [20.0]
    assert frames(told, "burst") == [30.0]
    assert [event.words for event in told] == ["strobe", "sparks"]


def test_cuts_are_told() -> None:
    scene = bpy.context.scene
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    for frame, shown in ((1, scene.camera), (13, other), (20, other), (25, scene.camera)):
        scene.timeline_markers.new("cut", frame=frame).camera = shown
    reading = tracks.Reading(scene, FrameRange(1, 48), Rate(24))
    reading.abort()
    assert [float(cut) * 24 for cut in reading.cuts] == [12.0, 24.0]


def test_what_the_camera_does_not_see_is_told_by_choice() -> None:
    drop(parts.ball("Ball", (0.0, -12.0, 1.0)), 0.15, 20)
    hidden = parts.ball("Other ball", (0.0, 0.0, 1.0))
    drop(hidden, 0.15, 30)
    hidden.hide_render = True
    assert frames(read()) == []
    assert frames(read(off_camera=True)) == [20.0]
    assert frames(read(off_camera=True, hidden=True)) == [20.0, 30.0]


def test_a_thing_that_is_shown_later_hits_then() -> None:
    ball = parts.ball("Ball", (0.0, 0.0, 1.0))
    for at in (15.0, 35.0):
        keys(ball, "location", 2, [(at - 8, 1.15), (at, 0.15), (at + 8, 1.15)])
    for frame, off in ((1, True), (24, True), (25, False)):
        ball.hide_render = ball.hide_viewport = off
        ball.keyframe_insert("hide_render", frame=frame)
        ball.keyframe_insert("hide_viewport", frame=frame)
    assert frames(read()) == [35.0]
