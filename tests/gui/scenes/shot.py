# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot to play with: a cube that slides, and a window with a 3D view above a sequencer."""

from __future__ import annotations

from pathlib import Path

import bpy
import driver

LAST_FRAME = 120


def animate(frames: int = LAST_FRAME) -> None:
    """Let the factory file's cube slide past its camera, with a hit marked halfway."""
    scene = bpy.context.scene
    scene.frame_end = frames
    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, -3.0), (frames, 3.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    scene.timeline_markers.new("hit wooden box", frame=frames // 2)
    bpy.ops.ed.undo_push(message="Animate")


def arrange(factor: float = 0.22) -> None:
    """A sequencer below the 3D view."""
    window, area = driver.find_area("VIEW_3D")
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.area_split(direction="HORIZONTAL", factor=factor)
    lower = min((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.y)
    lower.type = "SEQUENCE_EDITOR"


def save(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)
