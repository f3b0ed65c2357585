# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots found where the user keeps them: camera markers, strips, scenes."""

from __future__ import annotations

import bpy
import pytest
from footfall.addon.host.shots import find as shot_find
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender.shots.coloured import shots_of_colours

pytestmark = pytest.mark.usefixtures("audio")


def found(kind: str) -> list[tuple[str, int, int]]:
    shots = shot_find.find(bpy.context.scene, kind)
    return [(shot.name, shot.span.start, shot.span.end) for shot in shots]


class TestFind:
    def test_camera_markers(self) -> None:
        shots_of_colours()
        bpy.context.scene.timeline_markers.new("hit glass", frame=5)  # no camera, no shot
        assert found("markers") == [("sh0", 1, 12), ("sh1", 13, 24), ("sh2", 25, 36)]
        assert found("auto") == found("markers")

    def test_scene_strips_but_muted_ones(self) -> None:
        scene = bpy.context.scene
        other = bpy.data.scenes.new("Other")
        other.frame_end = 20
        editor = scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips.new_scene("a", other, 1, 10)
        strips.new_scene("b", other, 1, 40).mute = True
        assert found("scene_strips") == [("a", 10, 29)]
        assert found("auto") == [("a", 10, 29)]
        assert shot_find.find(scene, "scene_strips")[0].sequencer

    def test_meta_strips_that_show_something(self) -> None:
        scene = bpy.context.scene
        editor = scene.sequence_editor_create()
        metas = []
        for name, first in (("picture", 1), ("none", 50)):
            meta = (editor.strips if hasattr(editor, "strips") else editor.sequences).new_meta(name, 2, first)
            metas.append(meta)
        inside = metas[0].strips if hasattr(metas[0], "strips") else metas[0].sequences
        other = bpy.data.scenes.new("Other")
        other.frame_end = 10
        inside.new_scene("in", other, 1, 1)
        assert [name for name, _, _ in found("meta_strips")] == ["picture"]

    def test_scenes(self) -> None:
        bpy.context.scene.frame_end = 10
        bpy.data.scenes.new("Zoo").frame_end = 5
        assert found("scenes") == [("Scene", 1, 10), ("Zoo", 1, 5)]

    def test_nothing_found_is_told(self) -> None:
        with pytest.raises(BadInput, match="no camera markers"):
            found("markers")
        assert found("auto") == [("Scene", 1, bpy.context.scene.frame_end)]
