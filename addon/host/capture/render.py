# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures by small renders of the scene camera: the route that needs no window."""

from __future__ import annotations

import bpy
import numpy as np

from ...shots.frames import model_size
from ...timeline import Moment
from ...wire.errors import BadInput
from .quick import make_quick, pick_engine
from .stage import Stage
from .state import require_scene


def require_camera(scene: bpy.types.Scene) -> None:
    """Raises BadInput when neither the scene nor a marker names a camera."""
    if scene.camera is None and not any(marker.camera for marker in scene.timeline_markers):
        raise BadInput(
            f"The scene “{scene.name}” has no camera; add one (Add > Camera) and make it the scene's camera, "
            "or put a movie into the sequencer."
        )


def display_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """(height, width) of the scene's picture in square pixels."""
    render = scene.render
    least = min(render.pixel_aspect_x, render.pixel_aspect_y)
    height = render.resolution_y * render.pixel_aspect_y / least
    return round(height), round(render.resolution_x * render.pixel_aspect_x / least)


class SmallRender:
    """Renders a throwaway copy of the scene at model size, by Workbench or by Cycles at a sample or two."""

    bottom_up = True

    def __init__(self, scene: bpy.types.Scene, side: int, engine: str = "auto", samples: int = 1) -> None:
        require_camera(scene)
        self.size = model_size(*display_size(scene), short=side)
        self._uid, self._name = scene.session_uid, scene.name
        self._engine = pick_engine(scene, engine)
        self._samples = samples
        self._stage = Stage(self._build)
        self.disturbed: tuple[int, ...] = (scene.session_uid,)

    def _build(self, stage: Stage) -> bpy.types.Scene:
        copy = stage.copy(require_scene(self._uid, self._name))
        make_quick(stage, copy, self._engine, self._samples)
        height, width = self.size
        values: dict[str, object] = {"use_sequencer": False, "resolution_percentage": 100}
        values |= {
            "resolution_x": width,
            "resolution_y": height,
            "pixel_aspect_x": 1.0,
            "pixel_aspect_y": 1.0,
        }
        stage.change(copy, "render", values)
        return copy

    def picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray:
        """(h, w, 3) uint8, lowest row first."""
        return self._stage.render(moment)

    def close(self) -> None:
        self._stage.close()
