# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway scenes take along what render engines keep of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import bpy
import pytest
from footfall.addon.host.capture.stage import BORROWS, Stage
from footfall.addon.timeline import Moment


class Keeping(bpy.types.RenderEngine):
    """Renders nothing; counts how many of its kind have been let go."""

    bl_idname = "FOOTFALL_TEST_KEEPING"
    bl_label = "Keeping"
    gone = 0

    def __del__(self) -> None:
        Keeping.gone += 1

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[str]:
    Keeping.gone = 0
    bpy.utils.register_class(Keeping)
    yield Keeping.bl_idname
    bpy.utils.unregister_class(Keeping)


@pytest.mark.skipif(BORROWS, reason="the scene is borrowed there, and keeps what is its own")
@pytest.mark.parametrize("keep", [False, True])
def test_an_engine_goes_with_its_scene(engine: str, keep: bool) -> None:
    """What it kept pointed to the scene that was gone: Blender crashed, one picture in hundreds."""
    scene = bpy.context.scene
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)

    def build(stage: Stage) -> bpy.types.Scene:
        copy = stage.copy(scene)
        values = {"engine": engine, "use_persistent_data": True, "resolution_x": 16, "resolution_y": 16}
        stage.change(copy, "render", values)
        return copy

    stage = Stage(build, keep=keep)
    for frame in (1, 2):
        stage.render(Moment(frame, Fraction(frame - 1, 24)))
        assert Keeping.gone == (0 if keep else frame)
    stage.close()
    assert Keeping.gone == (1 if keep else 2)
