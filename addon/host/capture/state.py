# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user had before a capture, kept as plain values and given back afterwards.

No Blender object is held between ticks, since undo and file loads free them: scenes and objects are found
again by ``session_uid``. Changing the frame throws away what the animator has posed but not keyed yet, so
those values are remembered too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ...wire.errors import BadInput

_MOST_CHANNELS = 20_000  # unkeyed values looked after; reading that many takes some 50 ms


def find_scene(uid: int) -> bpy.types.Scene | None:
    """The scene of this session with ``session_uid`` ``uid``, if it still exists."""
    return next((scene for scene in bpy.data.scenes if scene.session_uid == uid), None)


def require_scene(uid: int, name: str) -> bpy.types.Scene:
    """As ``find_scene``; raises BadInput when the scene is gone."""
    scene = find_scene(uid)
    if scene is None:
        raise BadInput(
            f"The scene “{name}” is gone: it was deleted, or another file was opened while its pictures were "
            "being taken. Open it again and start once more."
        )
    return scene


def set_frame(scene: bpy.types.Scene, frame: int, subframe: float = 0.0) -> None:
    """Go to a frame unless the scene is there already; a needless change would run every handler."""
    if (scene.frame_current, scene.frame_subframe) != (frame, subframe):
        scene.frame_set(frame, subframe=subframe)


@dataclass(frozen=True, slots=True)
class _Channel:
    """One animated property: of which object, on which of its data-blocks, where, and its value."""

    object_uid: int
    block: str
    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class UserState:
    """Frame, camera, and values on animated channels of one scene."""

    scene_uid: int
    frame: int
    subframe: float
    camera_uid: int
    channels: tuple[_Channel, ...]

    @classmethod
    def remember(cls, scene: bpy.types.Scene) -> UserState:
        return cls(
            scene_uid=scene.session_uid,
            frame=scene.frame_current,
            subframe=scene.frame_subframe,
            camera_uid=scene.camera.session_uid if scene.camera else 0,
            channels=tuple(_channels(scene)),
        )

    def restore(self) -> None:
        """Give everything back that still exists; a scene that is gone needs nothing."""
        scene = find_scene(self.scene_uid)
        if scene is None:
            return
        scene.frame_set(self.frame, subframe=self.subframe)
        objects = {one.session_uid: one for one in scene.objects}
        self._restore_camera(scene, objects)
        known = [channel for channel in self.channels if channel.object_uid in objects]
        lost = [channel for channel in known if _put_back(objects[channel.object_uid], channel)]
        if lost:
            for layer in scene.view_layers:
                layer.update()

    def _restore_camera(self, scene: bpy.types.Scene, objects: Mapping[int, bpy.types.Object]) -> None:
        """Markers switch the camera while frames are shown; any other that is there now is the user's."""
        camera = objects.get(self.camera_uid)
        switched = any(marker.camera == scene.camera for marker in scene.timeline_markers if marker.camera)
        if switched and scene.camera != camera and (camera is not None or not self.camera_uid):
            scene.camera = camera


def _blocks(one: bpy.types.Object) -> dict[str, bpy.types.ID | None]:
    """The data-blocks of an object that animators pose."""
    data = one.data
    return {"object": one, "data": data, "keys": getattr(data, "shape_keys", None)}


def _channels(scene: bpy.types.Scene) -> Iterator[_Channel]:
    left = _MOST_CHANNELS
    for one in scene.objects:
        for name, block in _blocks(one).items():
            for path in _animated_paths(block):
                value = _read(block, path)
                if value is not None:
                    yield _Channel(one.session_uid, name, path, value)
                    left -= 1
                if left <= 0:
                    return


def _animated_paths(block: bpy.types.ID | None) -> set[str]:
    animation = getattr(block, "animation_data", None)
    if animation is None or animation.action is None:
        return set()
    return {curve.data_path for curve in action_curves(animation)}


def action_curves(animation: bpy.types.AnimData | bpy.types.NlaStrip) -> list[bpy.types.FCurve]:
    """The curves that ``animation``'s action holds for its owner, in every Blender version."""
    action = animation.action
    if not hasattr(action, "layers"):  # before 4.4
        return list(action.fcurves)
    curves = []
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(animation.action_slot) if animation.action_slot else None
            curves += list(bag.fcurves) if bag else []
    return curves


def _read(block: bpy.types.ID, path: str) -> Any:
    """A number, or a tuple of numbers; None where the path leads nowhere."""
    try:
        value = block.path_resolve(path)
    except ValueError:
        return None
    if isinstance(value, (bool, int, float, str)):
        return value
    try:
        return tuple(value)
    except TypeError:
        return None


def _put_back(one: bpy.types.Object, channel: _Channel) -> bool:
    """Whether the value had been lost and is back."""
    block = _blocks(one)[channel.block]
    if block is None or _read(block, channel.path) in (None, channel.value):
        return False
    owner_path, _, name = channel.path.rpartition(".")
    owner = block.path_resolve(owner_path) if owner_path else block
    if name.endswith("]"):  # an own property: pose.bones["hand"]["grip"]
        owner_path, _, key = channel.path.rpartition("[")
        owner = block.path_resolve(owner_path) if owner_path else block
        owner[key.strip("\"']")] = channel.value
        block.update_tag()
    else:
        setattr(owner, name, channel.value)
    return True
