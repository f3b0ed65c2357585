# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scene's camera sees: whether a hit lies in the picture, where, and how far away."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ...timeline import FrameRange

MARGIN = 1.02  # how far out of the picture a hit may lie, in half pictures


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """picture: (4, 4) from the world into the picture; eye: where the camera is; name: which camera it is."""

    picture: np.ndarray
    eye: np.ndarray
    name: str

    def see(self, point: np.ndarray, radius: float) -> Seen:
        """Where a place is seen, and a thing of that half size."""
        x, y, _, w = (self.picture @ (*point, 1.0)).tolist()
        away = point - self.eye
        distance = float(away @ away) ** 0.5
        if not w > 0.0:
            return Seen(False, 0.0, distance, ())
        x, y = x / w, y / w
        # The second row holds the lens's height, turned: its length is the height itself.
        size = radius * float(np.sqrt((self.picture[1, :3] ** 2).sum())) / w
        inside = max(abs(x), abs(y)) <= MARGIN
        place = tuple(min(max(number, 0.0), 1.0) for number in ((1.0 + x) / 2.0, (1.0 - y) / 2.0, size))
        return Seen(inside, min(max(x, -1.0), 1.0), distance, place if inside else ())


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether it is in the picture; -1 left to 1 right; metres away; (across, down, size) as in ``Event``."""

    inside: bool
    pan: float
    distance: float
    place: tuple[float, ...]


NOWHERE = Seen(True, 0.0, 0.0, ())  # without a camera all is seen


class Eyes:
    """The camera of each frame that is kept: noted quickly, made into a view only where one is asked for."""

    def __init__(self) -> None:
        self._lens, self._known = np.eye(4), tuple[object, ...]()
        self._frames: dict[int, tuple[np.ndarray, np.ndarray, str]] = {}

    def note(self, frame: int, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        """Remember the camera of the frame that the scene shows."""
        if scene.camera is None or scene.camera.type != "CAMERA":
            self._frames.pop(frame, None)
            return
        camera = scene.camera.evaluated_get(depsgraph)
        data, render = camera.data, scene.render
        size = render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y
        known = (camera.name, data.lens, data.ortho_scale, data.shift_x, data.shift_y, data.type, *size)
        if known != self._known:
            lens = camera.calc_matrix_camera(
                depsgraph, x=size[0], y=size[1], scale_x=size[2], scale_y=size[3]
            )
            self._lens, self._known = np.array(lens, float), known
        self._frames[frame] = np.array(camera.matrix_world), self._lens, camera.name

    def forget(self, before: int) -> None:
        """Only frames from ``before`` on are still asked for."""
        self._frames = {frame: kept for frame, kept in self._frames.items() if frame >= before}

    def view(self, frame: int) -> View | None:
        """What the camera sees at a frame; None without a camera, or where its matrix is no place."""
        matrix, lens, name = self._frames.get(frame, (None, None, ""))
        if matrix is None or lens is None or not np.isfinite(matrix).all():
            return None
        turn = matrix[:3, :3] / np.maximum(np.linalg.norm(matrix[:3, :3], axis=0), 1e-12)
        back = np.eye(4)
        back[:3, :3], back[:3, 3] = turn.T, -turn.T @ matrix[:3, 3]
        return View(lens @ back, matrix[:3, 3], name)

    def places(self, first: int, count: int) -> np.ndarray:
        """(count, 3) where the camera was; NaN where there was none, or where another one took over."""
        found = np.full((count, 3), np.nan)
        last = None
        for number in range(count):
            matrix, _, name = self._frames.get(first + number, (None, None, ""))
            if matrix is not None and last in (None, name):
                found[number] = matrix[:3, 3]
            last = name if matrix is not None else None
        return found


def cut_frames(scene: bpy.types.Scene, span: FrameRange) -> tuple[int, ...]:
    """The frames of ``span`` at which markers switch to another camera."""
    marked = sorted((one.frame, one.camera.name) for one in scene.timeline_markers if one.camera is not None)
    cuts, last = [], ""
    for frame, name in marked:
        if name != last and last and span.start < frame <= span.end:
            cuts.append(frame)
        last = name
    return tuple(cuts)
