# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots that are drawn in no time: a camera marker and a colour each; and a batch of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from footfall.addon.host import live, sequencer
from footfall.tests.blender.host_tools import our_strips, turn

FRAMES = 12


def effect(scene: Any, name: str, first: int, frames: int, channel: int = 1, kind: str = "COLOR") -> Any:
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    length = {"length": frames} if bpy.app.version >= (5, 0) else {"frame_end": first + frames}
    return strips.new_effect(name=name, type=kind, channel=channel, frame_start=first, **length)


def shots_of_colours(count: int = 3, path: Path | None = None) -> bpy.types.Scene:
    """A scene of ``count`` shots, a camera marker and a colour each; saved if ``path`` is given."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, count * FRAMES
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    for number in range(count):
        first = 1 + number * FRAMES
        effect(scene, f"colour {number}", first, FRAMES).color = (number / count, 0.5, 0.5)
        scene.timeline_markers.new(f"sh{number}", frame=first).camera = camera
    scene.footfall.source = "sequencer"
    scene.footfall.spots = False
    if path is not None:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return scene


def begin(which: str = "all", key: str = "") -> Any:
    assert bpy.ops.footfall.shots_generate(which=which, key=key) == {"FINISHED"}
    session = live.get()
    turn(session, lambda: session.batch.over)
    return session.batch


def placed_frames(scene: bpy.types.Scene, *, heard: bool = True) -> list[int]:
    return sorted(sequencer.span(strip)[0] for strip in our_strips(scene) if not strip.mute or not heard)
