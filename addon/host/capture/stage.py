# SPDX-License-Identifier: GPL-3.0-or-later
"""Small renders from throwaway scenes.

Every picture that has to be rendered is rendered from a copy of the scene: its settings can be turned upside
down, while the user's scene, its render settings and its Render Result stay as they are. In a window the
copies live for one tick only, so that a save or an undo step between two ticks never sees them; in background
nothing happens between two ticks and they are kept, which keeps the render engine's data.

Blender 4.2 counts the users of a copied scene's objects wrongly, so there the scene itself is borrowed for
one tick: each setting is written down before it changes and put back by ``strike``. The Render Result goes.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from ...timeline import Moment
from ...wire.errors import BadInput
from ..override import alone
from .simulation import copied_with_physics
from .state import find_scene

NAME = "Footfall capture"
BORROWS = bpy.app.version < (4, 3)
_RESULTS = {"RENDER_RESULT", "COMPOSITING"}

PLAIN = {  # a bare picture: nothing burnt in, nothing after the render
    "use_stamp": False,
    "use_border": False,
    "use_compositing": False,
    "use_freestyle": False,
    "use_multiview": False,
    "use_motion_blur": False,
    "use_file_extension": False,
    "use_overwrite": True,
    "use_placeholder": False,
    "film_transparent": False,
    "dither_intensity": 0.0,
}
_FILE = {
    "media_type": "IMAGE",  # 5.0: films and pictures are chosen first
    "file_format": "TARGA_RAW",
    "color_mode": "RGB",
    "color_depth": "8",
    "color_management": "FOLLOW_SCENE",
}


class _Change(NamedTuple):
    """A setting of a borrowed scene and what it was."""

    scene_uid: int
    path: str
    name: str
    value: Any


class Stage:
    """Makes throwaway scenes through ``build`` and renders them. ``close`` removes every trace.

    ``build(stage)`` returns the scene to render; it makes scenes by ``own`` and ``copy`` and changes their
    settings by ``change``. ``keep``: scenes live from picture to picture.
    """

    def __init__(self, build: Callable[[Stage], bpy.types.Scene], *, keep: bool | None = None) -> None:
        self._build = build
        self._keep = (bpy.app.background if keep is None else keep) and not BORROWS
        self._main = 0
        self._scenes: list[int] = []
        self._images: set[int] = set()
        self._borrowed: set[int] = set()
        self._changes: list[_Change] = []
        self._folder = ""

    def own(self, scene: bpy.types.Scene) -> bpy.types.Scene:
        """Take charge of a throwaway scene."""
        scene.name = NAME
        self._scenes.append(scene.session_uid)
        return scene

    def copy(self, scene: bpy.types.Scene) -> bpy.types.Scene:
        """A throwaway copy of ``scene`` that shares its objects and shows the same physics."""
        if BORROWS:
            self._borrowed.add(scene.session_uid)
            return scene
        with copied_with_physics(scene):
            return self.own(scene.copy())

    def change(self, scene: bpy.types.Scene, path: str, values: Mapping[str, Any]) -> None:
        """Set those ``values`` below ``path`` in a throwaway scene that this Blender version knows."""
        owner = _below(scene, path)
        for name, value in values.items():
            if not hasattr(owner, name):
                continue
            if scene.session_uid in self._borrowed:
                self._changes.append(_Change(scene.session_uid, path, name, getattr(owner, name)))
            with contextlib.suppress(TypeError):  # an enumeration without this value
                setattr(owner, name, value)

    def render(self, moment: Moment) -> np.ndarray:
        """(H, W, 3) uint8 as displayed, lowest row first. Raises BadInput."""
        try:
            scene = find_scene(self._main) or self._start()
            self.change(scene, "", {"frame_current": moment.frame, "frame_subframe": float(moment.subframe)})
            with self._noticing_images():
                return _render(scene, self._file())
        finally:
            if not self._keep:
                self.strike()

    def _start(self) -> bpy.types.Scene:
        self.strike()
        scene = self._build(self)
        self.change(scene, "render", PLAIN | {"filepath": str(self._file())})
        self.change(scene, "render.image_settings", _FILE)
        self._main = scene.session_uid
        return scene

    def _file(self) -> Path:
        if not self._folder:
            try:
                self._folder = tempfile.mkdtemp(prefix="footfall-", dir=bpy.app.tempdir or None)
            except OSError as error:
                raise BadInput(
                    "The folder for temporary files cannot be written to; make room there and try again.",
                    str(error),
                ) from error
        return Path(self._folder) / "picture.tga"

    @contextlib.contextmanager
    def _noticing_images(self) -> Iterator[None]:
        """The first render of a session makes images to show itself in; those made here are ours."""
        before = {image.session_uid for image in bpy.data.images}
        yield
        self._images |= {image.session_uid for image in bpy.data.images if image.type in _RESULTS} - before

    def strike(self) -> None:
        """Remove the throwaway scenes and what their renders brought along; give back borrowed ones."""
        for uid in self._scenes:
            scene = find_scene(uid)
            if scene is not None:
                _remove(scene)
        for image in [image for image in bpy.data.images if image.session_uid in self._images]:
            bpy.data.images.remove(image)
        self._give_back()
        self._main, self._scenes, self._images = 0, [], set()

    def _give_back(self) -> None:
        first: dict[
            tuple[int, str, str], Any
        ] = {}  # in the order of change: formats before what depends on them
        for uid, path, name, value in self._changes:
            first.setdefault((uid, path, name), value)
        for (uid, path, name), value in first.items():
            scene = find_scene(uid)
            owner = None if scene is None else _below(scene, path)
            if owner is not None:
                setattr(owner, name, value)
        self._changes, self._borrowed = [], set()

    def close(self) -> None:
        """Remove scenes, images and temporary files; nothing stays."""
        self.strike()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""


def _remove(scene: bpy.types.Scene) -> None:
    """Remove a scene, and before that what a render engine keeps of it from picture to picture.

    Blender frees that when the setting is switched off, and not with the scene. What stayed would point to
    the freed scene, and Blender follows it whenever scenes or objects come and go: a crash, seldom and later.
    """
    scene.render.use_persistent_data = False
    bpy.data.scenes.remove(scene)


def _below(scene: bpy.types.Scene, path: str) -> Any:
    """What lies at ``path`` in ``scene``; None where nothing does, as Cycles' settings without Cycles."""
    if not path:
        return scene
    try:
        return scene.path_resolve(path)
    except ValueError:
        return None


def _render(scene: bpy.types.Scene, path: Path) -> np.ndarray:
    path.unlink(missing_ok=True)
    try:
        # The operator's own ``scene`` argument would move the scene to the frame of the context's scene.
        with alone(scene=scene):
            done = bpy.ops.render.render(write_still=True)
    except RuntimeError as error:
        raise BadInput(_reason(str(error)), str(error)) from error
    if "FINISHED" not in done or not path.exists():
        raise BadInput(
            "Blender did not render a picture; see that no other render runs and that the disk has room.",
            str(done),
        )
    return read_tga(path.read_bytes())


def _reason(words: str) -> str:
    if "camera" in words.lower():
        return "The scene has no camera; add one and make it the scene's camera."
    return "Blender could not render a small picture of the shot; see whether F12 works, then try again."


def read_tga(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB, lowest row first, of an uncompressed 24-bit TGA; a view on ``data``."""
    header = data[:18]
    width, height = int.from_bytes(header[12:14], "little"), int.from_bytes(header[14:16], "little")
    start = 18 + (header[0] if header else 0)
    size = width * height * 3
    if len(header) < 18 or header[2] != 2 or header[16] != 24 or not size or len(data) < start + size:
        raise BadInput("A small picture of the shot was cut short; make room on the disk and try again.")
    pixels = np.frombuffer(data, np.uint8, size, start).reshape(height, width, 3)[:, :, ::-1]
    return pixels[::-1] if header[17] & 0x20 else pixels
