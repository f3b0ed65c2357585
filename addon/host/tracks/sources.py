# SPDX-License-Identifier: GPL-3.0-or-later
"""Where moving things are at a frame: objects, bones that carry skin, shapes that bend, instances.

A source owns some rows of one (B, 4, 4) array and fills them from the evaluated scene. Objects are looked up
by name each time; nothing of Blender's is kept from one frame to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import bpy
import numpy as np

from ..capture.state import require_scene

Key = tuple[str, str | None]  # an object's name, and the library that it is linked from
_REMAPS = 200  # how often the list of instances may change in one reading
_CHEAPER = 4  # reading one object by name costs as much as so many in a row


_NOWHERE = ((np.nan,) * 4,) * 4


class Source(Protocol):
    """``count`` rows. ``points``: (count, P, 3) of what bends, in the world, filled along with the rows."""

    count: int

    def read(self, now: Now, out: np.ndarray) -> None: ...

    def one(self, now: Now, row: int) -> np.ndarray | None: ...


def key_of(one: bpy.types.Object) -> Key:
    return one.name, None if one.library is None else one.library.filepath


class Now:
    """The evaluated scene within one tick. Looking an object up by name takes Blender long, so each is only
    looked up once; nothing is kept beyond the tick.
    """

    def __init__(self, uid: int, name: str) -> None:
        self._uid, self._name = uid, name
        self._scene: bpy.types.Scene | None = None
        self._depsgraph: bpy.types.Depsgraph | None = None
        self._known: dict[Key, bpy.types.Object] = {}
        self._numbers: dict[Key, int] = {}  # kept from tick to tick: they are no more than numbers
        self._places: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def scene(self) -> bpy.types.Scene:
        """Raises BadInput when it is gone."""
        if self._scene is None:
            self._scene = require_scene(self._uid, self._name)
        return self._scene

    @property
    def depsgraph(self) -> bpy.types.Depsgraph:
        if self._depsgraph is None:
            self._depsgraph = self.scene.view_layers[0].depsgraph
        return self._depsgraph

    def show(self, frame: int, fraction: float = 0.0) -> Now:
        """Evaluate the scene there, unless it stands there already."""
        scene = self.scene
        there = scene.frame_current == frame and scene.frame_subframe == fraction
        if not there or scene.view_layers[0].depsgraph is None:
            scene.frame_set(frame, subframe=fraction)
            self._depsgraph = None  # a handler of the user's may have made another
        return self

    def forget(self) -> None:
        """The tick is over."""
        self._scene = self._depsgraph = self._places = None
        self._known.clear()

    def find(self, key: Key) -> bpy.types.Object | None:
        """The evaluated object of that key, if it is there now."""
        one = self._known.get(key)
        if one is not None:
            try:
                return one.evaluated_get(self.depsgraph)
            except ReferenceError:  # a handler of the user's has removed it
                del self._known[key]
        one = self._by_number(key)
        if one is None:
            one = bpy.data.objects.get(key)
        if one is None:
            return None
        self._known[key], self._numbers[key] = one, one.session_uid
        return one.evaluated_get(self.depsgraph)

    def _by_number(self, key: Key) -> bpy.types.Object | None:
        """By its ``session_uid``, where that is known: many are found much quicker so than by their names."""
        number = self._numbers.get(key)
        if number is None:
            return None
        if self._places is None:
            numbers = np.zeros(len(bpy.data.objects), np.int32)
            bpy.data.objects.foreach_get("session_uid", numbers)
            order = np.argsort(numbers)
            self._places = numbers[order], order
        numbers, order = self._places
        row = int(np.searchsorted(numbers, number))
        if row == len(numbers) or numbers[row] != number:
            return None
        one = bpy.data.objects[int(order[row])]
        return one if one.session_uid == number else None


class Objects:
    """Moving objects. ``blinks``: numbers of those that may be hidden now and then."""

    def __init__(self, keys: Sequence[Key], blinks: Sequence[int], *, hidden: bool) -> None:
        self._keys, self._blinks, self._hidden = list(keys), list(blinks), hidden
        self.count = len(self._keys)
        self._rows: np.ndarray | None = None
        self._flat = np.zeros(0, np.float32)

    def expect(self, keys: Sequence[Key]) -> None:
        """``keys`` of all objects of the evaluated scene, in order: often all are read quicker than a few."""
        places = {key: number for number, key in enumerate(keys)}
        rows = [places.get(key, -1) for key in self._keys]
        if len(keys) <= _CHEAPER * self.count and min(rows, default=-1) >= 0:
            self._rows = np.array(rows, int)
            self._flat = np.zeros(len(keys) * 16, np.float32)

    def read(self, now: Now, out: np.ndarray) -> None:
        if self._rows is not None and len(now.depsgraph.objects) * 16 == len(self._flat):
            now.depsgraph.objects.foreach_get("matrix_world", self._flat)
            out[:] = self._flat.reshape(-1, 4, 4)[self._rows].swapaxes(1, 2)
        else:
            self._rows = None
            found = [now.find(key) for key in self._keys]
            if found:
                out[:] = [_NOWHERE if one is None else one.matrix_world for one in found]
        for row in self._blinks:
            one = now.find(self._keys[row])
            if one is None or one.hide_viewport or (one.hide_render and not self._hidden):
                out[row] = np.nan

    def one(self, now: Now, row: int) -> np.ndarray | None:
        found = now.find(self._keys[row])
        return None if found is None else np.array(found.matrix_world, np.float64)


class Bones:
    """Bones of one armature, by their numbers among its pose's."""

    def __init__(self, key: Key, bones: Sequence[int], total: int) -> None:
        self._key, self._bones = key, np.array(bones, int)
        self.count = len(self._bones)
        self._flat = np.zeros(total * 16, np.float32)

    def read(self, now: Now, out: np.ndarray) -> None:
        out[:] = np.nan
        rig = now.find(self._key)
        if rig is None or rig.pose is None or len(rig.pose.bones) * 16 != len(self._flat):
            return
        rig.pose.bones.foreach_get("matrix", self._flat)
        poses = self._flat.reshape(-1, 4, 4)[self._bones].swapaxes(1, 2)
        out[:] = np.array(rig.matrix_world) @ poses

    def one(self, now: Now, row: int) -> np.ndarray | None:
        everything = np.zeros((self.count, 4, 4))
        self.read(now, everything)
        return everything[row]


class Bending:
    """One mesh that changes its shape: some of its corners, and a row that lies in their middle."""

    count = 1

    def __init__(self, key: Key, corners: np.ndarray, total: int) -> None:
        self._key, self._corners = key, corners
        self._flat = np.zeros(total * 3, np.float32)
        self.points = np.full((len(corners), 3), np.nan, np.float32)

    def read(self, now: Now, out: np.ndarray) -> None:
        self.points[:] = np.nan
        found = now.find(self._key)
        mesh = found.data if found is not None and found.type == "MESH" else None
        if found is not None and mesh is not None and len(mesh.vertices) * 3 == len(self._flat):
            mesh.vertices.foreach_get("co", self._flat)
            matrix = np.array(found.matrix_world, np.float64)
            self.points[:] = self._flat.reshape(-1, 3)[self._corners] @ matrix[:3, :3].T + matrix[:3, 3]
        out[:] = np.eye(4)
        out[0, :3, 3] = self.points.mean(axis=0)

    def one(self, now: Now, row: int) -> np.ndarray | None:
        out = np.zeros((1, 4, 4))
        self.read(now, out)
        return out[0]


class Instances:
    """Copies that instancers, particles and geometry nodes make: (instancer, its number for the copy)."""

    def __init__(self, keys: Sequence[tuple[Any, ...]]) -> None:
        self._keys = {key: row for row, key in enumerate(keys)}
        self.count = len(self._keys)
        self._rows = np.zeros(0, int)
        self._flat = np.zeros(0, np.float32)
        self._left = _REMAPS

    def read(self, now: Now, out: np.ndarray) -> None:
        out[:] = np.nan
        total = len(now.depsgraph.object_instances)
        if total != len(self._rows):
            if self._left <= 0:
                return
            self._left -= 1
            rows = [self._keys.get(key, -1) for key in instance_keys(now.depsgraph)]
            self._rows, self._flat = np.array(rows, int), np.zeros(total * 16, np.float32)
        now.depsgraph.object_instances.foreach_get("matrix_world", self._flat)
        known = self._rows >= 0
        out[self._rows[known]] = self._flat.reshape(-1, 4, 4)[known].swapaxes(1, 2)

    def one(self, now: Now, row: int) -> np.ndarray | None:
        out = np.zeros((self.count, 4, 4))
        self.read(now, out)
        return out[row]


def instance_keys(depsgraph: bpy.types.Depsgraph) -> list[tuple[Any, ...]]:
    """For each copy who makes it and its number there; () for what is no copy."""
    return [
        (one.parent.name, one.object.name, *one.persistent_id) if one.is_instance and one.parent else ()
        for one in depsgraph.object_instances
    ]
