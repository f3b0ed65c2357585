# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are already rendered to the scene's output path: numbered images, or one movie.

By itself this route is only taken when the files can be trusted to show the shot as it is now: the .blend
is saved without changes since, every frame of the range is there, and none is older than the .blend. Chosen
by the user, the files only have to be there.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...shots.frames import model_size
from ...timeline import FrameRange, Moment, simplest_fraction
from ...wire.errors import BadInput
from .. import sequencer
from .sequencer import percentage_for
from .stage import NAME, Stage

_LINEAR = {".exr", ".hdr", ".dpx", ".cin"}  # scene light; still needs the scene's view transform
_AS_STORED = {"view_transform": "Standard", "look": "None", "exposure": 0.0, "gamma": 1.0}


@dataclass(frozen=True, slots=True)
class Rendered:
    """Where the rendered frames of a range lie; frame ``first + n * step`` is the movie's picture n."""

    movie: str
    paths: dict[int, str]
    first: int
    step: int


def rendered_files(scene: bpy.types.Scene, span: FrameRange) -> Rendered:
    """The files of ``span``. Raises BadInput naming the first that is not there."""
    render, step = scene.render, scene.frame_step
    if render.is_movie_format:
        path = _absolute(scene, render.frame_path())
        _require(path)
        if span.start < scene.frame_start or span.end > scene.frame_end:
            raise BadInput(
                "The rendered movie does not cover this range; render it again or choose another source."
            )
        return Rendered(path, {}, scene.frame_start, step)
    paths = {}
    for frame in range(span.start, span.end + 1, step):
        paths[frame] = _absolute(scene, render.frame_path(frame=frame))
    folders = {folder: set(_listing(folder)) for folder in {os.path.dirname(path) for path in paths.values()}}
    for path in paths.values():
        if os.path.basename(path) not in folders[os.path.dirname(path)]:
            _require(path)
    return Rendered("", paths, span.start, step)


def _absolute(scene: bpy.types.Scene, path: str) -> str:
    return os.path.realpath(bpy.path.abspath(path, library=scene.library))


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _require(path: str) -> None:
    if not os.path.isfile(path):
        raise BadInput(
            f"{os.path.basename(path)} is not rendered yet (looked in {os.path.dirname(path)}); "
            "render the range first, or choose another source."
        )


def why_not_fresh(scene: bpy.types.Scene, span: FrameRange) -> str:
    """Empty if the rendered files may be used without asking, else the reason why not."""
    module = not bpy.app.binary_path  # there, Blender calls every file changed
    changed = bpy.data.is_dirty and not module
    if not bpy.data.filepath or changed:
        return "the file has changes that may not be rendered yet"
    try:
        found = rendered_files(scene, span)
        saved = os.path.getmtime(bpy.data.filepath)
        for path in [found.movie] if found.movie else found.paths.values():
            status = os.stat(path)
            if status.st_mtime < saved or status.st_size == 0:
                return f"{os.path.basename(path)} is older than the .blend file"
    except (BadInput, OSError) as error:
        return str(error)
    return ""


class RenderedFrames:
    """Reads rendered files through a throwaway scene whose sequencer shows one of them."""

    bottom_up = True
    disturbed: tuple[int, ...] = ()

    def __init__(self, scene: bpy.types.Scene, span: FrameRange, moments: list[Moment], side: int) -> None:
        self._files = rendered_files(scene, span)
        self._view = _view_settings(scene)
        self._side = side
        self._path = self._file(moments[0])
        # In background a movie stays open between pictures.
        self._stage = Stage(self._build, keep=None if self._files.movie else False)
        with contextlib.ExitStack() as stack:
            stack.callback(self._stage.close)
            self.size = self._measure(len(range(scene.frame_start, scene.frame_end + 1, scene.frame_step)))
            stack.pop_all()

    def _file(self, moment: Moment) -> str:
        return self._files.movie or self._files.paths[moment.frame]

    def _measure(self, rendered: int) -> tuple[int, int]:
        """Model size of the files; a movie must have as many pictures as the scene renders."""
        scene = self._build(self._stage)
        try:
            first, end = sequencer.span(sequencer.all_strips(scene)[0])
            if self._files.movie and end - first != rendered:
                raise BadInput(
                    f"{os.path.basename(self._path)} has {end - first} pictures, the scene {rendered}; "
                    "render it again or choose another source."
                )
            return model_size(scene.render.resolution_y, scene.render.resolution_x, short=self._side)
        finally:
            self._stage.strike()

    def _build(self, stage: Stage) -> bpy.types.Scene:
        scene = stage.own(bpy.data.scenes.new(NAME))
        strip = _add_strip(scene, self._path, movie=bool(self._files.movie))
        height, width = strip.elements[0].orig_height, strip.elements[0].orig_width
        values = {"use_sequencer": True, "resolution_x": width, "resolution_y": height}
        values["resolution_percentage"] = percentage_for(height, width, self._side)
        stage.change(scene, "render", values)
        linear = os.path.splitext(self._path)[1].lower() in _LINEAR
        stage.change(scene, "view_settings", self._view if linear else _AS_STORED)
        return scene

    def picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray:
        """(h, w, 3) uint8 at least as large as ``size`` unless the files are smaller, lowest row first."""
        self._path = self._file(moment)
        number = (moment.frame - self._files.first) // self._files.step if self._files.movie else 0
        return self._stage.render(Moment(1 + number, moment.time_s))

    def close(self) -> None:
        self._stage.close()


def _view_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    return {name: getattr(scene.view_settings, name) for name in _AS_STORED}


def _add_strip(scene: bpy.types.Scene, path: str, *, movie: bool) -> bpy.types.Strip:
    """A strip that shows ``path`` from frame 1, one picture a frame. Raises BadInput."""
    strips = sequencer.strips(scene.sequence_editor_create())
    make = strips.new_movie if movie else strips.new_image
    try:
        strip = make("picture", path, 1, 1, fit_method="ORIGINAL")
    except RuntimeError as error:
        raise BadInput(_unreadable(path), str(error)) from error
    if not strip.elements or not strip.elements[0].orig_width:
        raise BadInput(_unreadable(path))
    if movie and strip.fps > 0:
        rate = simplest_fraction(strip.fps)
        scene.render.fps = max(1, round(rate))
        scene.render.fps_base = float(scene.render.fps / rate)
    return strip


def _unreadable(path: str) -> str:
    return f"Blender cannot read {os.path.basename(path)}; render it again or choose another source."
