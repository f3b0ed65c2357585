# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures by drawing the scene camera into a texture: the fastest route, and it needs a 3D view in a window.

The view is only borrowed for the length of one draw; its shading and overlays are put back before the tick
ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import bpy
import gpu
import numpy as np

from ...shots.frames import model_size
from ...timeline import Moment
from ...wire.errors import BadInput
from ..override import NotNow
from .render import display_size, require_camera
from .state import set_frame

_SOLID = {
    "type": "SOLID",
    "light": "STUDIO",
    "color_type": "TEXTURE",
    "background_type": "WORLD",
    "show_xray": False,
    "show_shadows": False,
    "show_cavity": False,
    "show_object_outline": False,
    "show_specular_highlight": True,
}
_EEVEE_SAMPLES = 4
MOST_TRIES = 100  # ticks without anything to draw with; they are a hundredth of a second apart
_MATERIAL = {"type": "MATERIAL", "use_scene_lights": True, "use_scene_world": True}


class NoView(BadInput):
    """No 3D viewport is open to draw with."""


class View(NamedTuple):
    """A 3D view that is on screen; never kept beyond a tick."""

    window: bpy.types.Window
    space: bpy.types.SpaceView3D
    region: bpy.types.Region


def find_view(scene: bpy.types.Scene) -> View | None:
    """A 3D view to draw with, best one of a window that shows ``scene``; None if there is none.

    Views in local view are left out: they hide what is not in it.
    """
    views = [view for window in bpy.context.window_manager.windows for view in _views(window)]
    views.sort(key=lambda view: view.window.scene != scene)
    return views[0] if views else None


def _views(window: bpy.types.Window) -> Iterator[View]:
    for area in window.screen.areas:
        if area.type == "VIEW_3D" and area.spaces.active.local_view is None:
            for region in area.regions:
                if region.type == "WINDOW" and region.width > 1 and region.height > 1:
                    yield View(window, area.spaces.active, region)
                    break


def pick_shading(wanted: str = "auto") -> str:
    """``solid`` or ``material``; material takes minutes without a graphics card, so it is no guess there."""
    if wanted != "auto":
        return wanted
    return "solid" if gpu.platform.device_type_get() in {"SOFTWARE", "UNKNOWN"} else "material"


class OffscreenDraw:
    """Draws the scene camera at model size."""

    bottom_up = True

    def __init__(self, scene: bpy.types.Scene, side: int, shading: str = "auto") -> None:
        require_camera(scene)
        _require_view(scene)
        self.size = model_size(*display_size(scene), short=side)
        self._shading = _MATERIAL if pick_shading(shading) == "material" else _SOLID
        self.disturbed: tuple[int, ...] = (scene.session_uid,)
        self._tries = 0  # in a row that found nothing to draw with

    def picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray:
        """(h, w, 4) uint8, lowest row first. Leaves the scene at ``moment``."""
        view = _require_view(scene)
        layer = view.window.view_layer if view.window.scene == scene else scene.view_layers[0]
        height, width = self.size
        with self._texture(view) as texture, _borrowed(scene, view.space, self._shading):
            set_frame(scene, moment.frame, float(moment.subframe))
            layer.update()  # takes the borrowed settings along; makes an evaluated scene where there is none
            require_camera(scene)
            camera = scene.camera.evaluated_get(layer.depsgraph)
            texture.draw_view3d(
                scene,
                layer,
                view.space,
                view.region,
                camera.matrix_world.normalized().inverted(),
                camera.calc_matrix_camera(layer.depsgraph, x=width, y=height),
                do_color_management=True,
                draw_background=True,
            )
            return np.asarray(texture.texture_color.read()).reshape(height, width, 4)

    @contextlib.contextmanager
    def _texture(self, view: View) -> Iterator[gpu.types.GPUOffScreen]:
        """What to draw into, for the length of one tick: a window that is closed takes it along.

        After that Blender has nothing to draw with until it has drawn another window, and would crash. Raises
        NotNow for a while, then BadInput.
        """
        height, width = self.size
        try:
            texture = gpu.types.GPUOffScreen(width, height)
        except (SystemError, RuntimeError) as error:
            self._tries += 1
            if self._tries < MOST_TRIES:
                view.region.tag_redraw()
                raise NotNow from error
            raise BadInput(
                "Blender cannot draw into memory here; choose Small Render as the picture's source.",
                str(error),
            ) from error
        self._tries = 0
        try:
            yield texture
        finally:
            texture.free()

    def close(self) -> None:
        """Nothing is kept."""


def _require_view(scene: bpy.types.Scene) -> View:
    view = find_view(scene)
    if view is None:
        raise NoView(
            "No 3D viewport is open to draw the scene camera with; open one (and leave local view), "
            "or choose Small Render as the picture's source."
        )
    return view


@contextlib.contextmanager
def _borrowed(
    scene: bpy.types.Scene, space: bpy.types.SpaceView3D, shading: dict[str, Any]
) -> Iterator[None]:
    """Change how ``space`` draws for the body. Less smoothing is four times as fast."""
    preferences = bpy.context.preferences
    changes = [(space.shading, name, value) for name, value in shading.items()]
    changes += [(space.overlay, "show_overlays", False), (space, "show_gizmo", False)]
    changes += [(space, "use_render_border", False), (space, "use_local_collections", False)]
    if shading is _MATERIAL:
        changes.append((scene.eevee, "taa_samples", _EEVEE_SAMPLES))
    else:
        changes.append((preferences.system, "viewport_aa", "FXAA"))
    changes = [(owner, name, value) for owner, name, value in changes if hasattr(owner, name)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    unsaved = preferences.is_dirty
    try:
        _assign(changes)
        yield
    finally:
        _assign(reversed(before))
        if preferences.is_dirty != unsaved:
            preferences.is_dirty = unsaved


def _assign(values: Iterable[tuple[Any, str, Any]]) -> None:
    for owner, name, value in values:
        if getattr(owner, name) != value:
            setattr(owner, name, value)
