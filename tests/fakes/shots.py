# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a .blend of many short shots, for batches: ``python shots.py OUT.blend SHOTS FRAMES``. Tests only.

A colour strip and a camera marker for each shot, so that its picture is drawn in no time. A program of its
own, since bpy must not be loaded where torch may be.
"""

from __future__ import annotations

import sys

import bpy


def make(path: str, shots: int, frames: int) -> None:
    """Save a file with ``shots`` shots of ``frames`` frames as ``path``."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, shots * frames
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for number in range(shots):
        first = 1 + number * frames
        length = {"length": frames} if bpy.app.version >= (5, 0) else {"frame_end": first + frames}
        strip = strips.new_effect(
            name=f"colour {number}", type="COLOR", channel=1, frame_start=first, **length
        )
        strip.color = (number / shots, 0.5, 1.0 - number / shots)
        scene.timeline_markers.new(f"sh{number:03}", frame=first).camera = camera
    bpy.ops.wm.save_as_mainfile(filepath=path)


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
