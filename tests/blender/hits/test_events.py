# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers become events: which names, at what time, how hard, in which words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import bpy
import pytest
from footfall.addon.host.hits import events
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire import limits


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hit", ("hit", 1.0, "")),
        ("Hit wooden box", ("hit", 1.0, "wooden box")),
        ("hit.001", ("hit", 1.0, "")),
        ("hit .5 glass", ("hit", 0.5, "glass")),
        ("hit 0.4 wooden box", ("hit", 0.4, "wooden box")),
        ("hit 40% wooden box", ("hit", 0.4, "wooden box")),
        ("step L", ("step", 1.0, "L")),
        ("steps_12", ("step", 1.0, "")),
        ("step 12 on gravel", ("step", 1.0, "on gravel")),
        ("LAND: cat", ("land", 1.0, "cat")),
        ("hit 3d printer", ("hit", 1.0, "3d printer")),
        ("roll-marble", ("roll", 1.0, "marble")),
        ("hit glas größer 🥁", ("hit", 1.0, "glas größer 🥁")),
        ("stepmother", None),
        ("hitting", None),
        ("landscape", None),
        ("F_23", None),
        ("", None),
    ],
)
def test_names(name: str, expected: tuple[str, float, str] | None) -> None:
    found = events.parse(name)
    if expected is None or found is None:
        assert found == expected
    else:
        assert (found[0], found[2]) == (expected[0], expected[2])
        assert found[1] == pytest.approx(expected[1])


def test_times_are_exact_and_in_order() -> None:
    scene = bpy.context.scene
    for name, frame in (("hit b", 150), ("hit a", 101), ("hit late", 201), ("hit early", 100), ("note", 120)):
        scene.timeline_markers.new(name, frame=frame)
    found = events.read(scene, FrameRange(101, 200), Rate(24, 1.001))
    assert [(event.words, event.time_s) for event in found] == [
        ("a", Fraction(0)),
        ("b", Fraction(49 * 1001, 24000)),
    ]


def test_camera_markers_are_cuts_and_no_events() -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.timeline_markers.new("hit the wide shot", frame=10).camera = camera
    assert events.read(scene, FrameRange(1, 20), Rate(24)) == ()


def test_long_names_fit_the_wire() -> None:
    scene = bpy.context.scene
    scene.timeline_markers.new("hit " + "x" * 500, frame=5)
    words = events.read(scene, FrameRange(1, 20), Rate(24))[0].words
    assert len(words) <= limits.WORDS


def test_keys_of_a_tagged_property_are_events() -> None:
    """At each key's own time, between frames too, as hard as its value; zero says nothing."""
    scene = bpy.context.scene
    thing = bpy.data.objects.new("Tin bucket.001", None)
    scene.collection.objects.link(thing)
    thing["hit"], thing["other"] = 0.0, 1.0
    for frame, value in ((5, 0.5), (7.25, 2.0), (9, 0.0), (99, 1.0)):
        thing["hit"] = value
        thing.keyframe_insert('["hit"]', frame=frame)
    thing.keyframe_insert('["other"]', frame=6)
    thing.animation_data.action.pose_markers.new("step gravel").frame = 12
    scene.timeline_markers.new("land cat", frame=6)
    found = events.read(scene, FrameRange(1, 20), Rate(24))
    assert [(float(one.time_s) * 24 + 1, one.kind, one.strength, one.words) for one in found] == [
        (5.0, "hit", 0.5, "tin bucket"),
        (6.0, "land", 1.0, "cat"),
        (7.25, "hit", 1.0, "tin bucket"),
        (12.0, "step", 1.0, "gravel"),
    ]


def _in_a_strip(**settings: Any) -> tuple[bpy.types.Object, list[float]]:
    """A thing tagged at frames 1, 3 and 5 of an action, in a strip that begins at frame 11; where its hits
    are then.
    """
    scene = bpy.context.scene
    thing = bpy.data.objects.new("Gong", None)
    scene.collection.objects.link(thing)
    for frame in (1, 3, 5):
        thing["hit"] = 1.0
        thing.keyframe_insert('["hit"]', frame=frame)
    data = thing.animation_data
    action, slot = data.action, getattr(data, "action_slot", None)
    track = data.nla_tracks.new()
    strip = track.strips.new("Gong", 11, action)
    if slot is not None:
        strip.action_slot = slot
    data.action = None
    for name, value in settings.items():
        setattr(track if name == "is_solo" else strip, name, value)
    return thing, _frames()


def _frames() -> list[float]:
    found = events.read(bpy.context.scene, FrameRange(1, 60), Rate(24))
    return [round(float(one.time_s) * 24 + 1, 3) for one in found]


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({}, [11.0, 13.0, 15.0]),
        ({"scale": 2.0}, [11.0, 15.0, 19.0]),
        ({"repeat": 2.5}, [11.0, 13.0, 15.0, 17.0, 19.0, 21.0]),
        ({"action_frame_start": 2.0, "use_reverse": True}, [11.0, 13.0]),
        ({"mute": True}, []),
    ],
)
def test_tags_are_heard_where_their_strips_are_played(settings: dict[str, Any], frames: list[float]) -> None:
    assert _in_a_strip(**settings)[1] == frames


def test_tags_of_layers_that_are_off_are_not_heard() -> None:
    thing, _ = _in_a_strip()
    data = thing.animation_data
    data.nla_tracks.new().is_solo = True
    assert _frames() == []
    data.nla_tracks[1].is_solo = False
    assert len(_frames()) == 3
    data.nla_tracks[0].mute = True
    assert _frames() == []
    data.nla_tracks[0].mute, data.use_nla = False, False
    assert _frames() == []


def test_bones_are_tagged_as_objects_are() -> None:
    scene = bpy.context.scene
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", data)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    data.edit_bones.new("foot.L").tail = (0.0, 0.0, 1.0)
    bpy.ops.object.mode_set(mode="OBJECT")
    bone = rig.pose.bones["foot.L"]
    bone["step on gravel"] = 1.0
    bone.keyframe_insert('["step on gravel"]', frame=8)
    bone["step"] = 0.25
    bone.keyframe_insert('["step"]', frame=10)
    found = events.read(scene, FrameRange(1, 20), Rate(24))
    assert [(one.kind, one.strength, one.words) for one in found] == [
        ("step", 1.0, "on gravel"),
        ("step", 0.25, "foot"),
    ]
