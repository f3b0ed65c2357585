# SPDX-License-Identifier: GPL-3.0-or-later
"""The things of a scene whose paths are followed: which they are, where they are at a frame, what they are
called, and how near two of them come.

Objects are looked up by name in the evaluated scene whenever its list changes; nothing of Blender's is kept
from one frame to the next but what the list itself vouches for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..events import name_thing

SOLID = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
_SHAPING = {
    *("ARMATURE", "CAST", "CLOTH", "CORRECTIVE_SMOOTH", "CURVE", "HOOK", "LAPLACIANDEFORM", "LATTICE"),
    *("MESH_CACHE", "MESH_DEFORM", "MESH_SEQUENCE_CACHE", "NODES", "SHRINKWRAP", "SIMPLE_DEFORM"),
    *("SOFT_BODY", "SURFACE_DEFORM", "WARP", "WAVE", "BUILD", "OCEAN"),
}
_MOST_SHAPED = 48  # objects that change their shape and are followed by their points
_MOST_POINTS = 60_000  # of one such object
_PARTS = 64  # of one such object
_PART_POINTS = 12
_CORNERS = 4_000  # of one shape, for distances
_PROBES = 48


@dataclass(slots=True)
class Part:
    """A piece of an object that changes its shape: the points that one bone moves, or all of them."""

    owner: int
    points: np.ndarray
    name: str


@dataclass(slots=True)
class Shape:
    """Corners (V, 3) in an object's own space, and its surface."""

    corners: np.ndarray
    tree: Any


@dataclass(slots=True)
class Things:
    """All solid objects of a scene, then the parts of those that change their shape.

    boxes: (N, 2, 3) half size and middle of each object in its own space. ``shaped``: numbers of the objects
    that change their shape.
    """

    names: list[str]
    words: list[str]
    boxes: np.ndarray
    shown: np.ndarray
    simulated: np.ndarray
    shaped: list[int]
    parts: list[Part]
    _order: list[int] = field(default_factory=list)
    _rows: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    _shapes: dict[int, Shape | None] = field(default_factory=dict)

    def matrices(self, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
        """(N, 4, 4) of all objects now, NaN for those that are not there or cannot be seen."""
        objects = depsgraph.objects
        order = [one.as_pointer() for one in objects]
        if order != self._order:
            numbers = {name: number for number, name in enumerate(self.names)}
            self._rows = np.array([numbers.get(_key(one), -1) for one in objects], int)
            self._order = order
        flat = np.zeros(len(order) * 16, np.float32)
        hidden = np.zeros(len(order), bool)
        if order:
            objects.foreach_get("matrix_world", flat)
            objects.foreach_get("hide_render", hidden)
        found = np.full((len(self.names), 4, 4), np.nan)
        known = self._rows >= 0
        found[self._rows[known]] = flat.reshape(-1, 4, 4).transpose(0, 2, 1)[known]
        self.shown[:] = False
        self.shown[self._rows[known]] = ~hidden[known]
        return found

    def part_points(self, depsgraph: bpy.types.Depsgraph) -> list[np.ndarray]:
        """(P, 3) of each part in the world now, NaN where its object has other points than before."""
        corners: dict[int, np.ndarray] = {}
        for number in {part.owner for part in self.parts}:
            one = find(self.names[number], depsgraph)
            corners[number] = np.zeros((0, 3)) if one is None else world_corners(one)
        return [_pick(corners[part.owner], part.points) for part in self.parts]

    def shape(self, number: int, depsgraph: bpy.types.Depsgraph) -> Shape | None:
        """Corners and surface of object ``number``; kept unless it changes its shape."""
        if number in self._shapes and number not in self.shaped:
            return self._shapes[number]
        self._shapes[number] = _shape(find(self.names[number], depsgraph), depsgraph)
        return self._shapes[number]


def gather(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> Things:
    """The solid objects of ``scene`` as they are now."""
    found = [one for one in depsgraph.objects if one.type in SOLID]
    boxes = np.zeros((len(found), 2, 3))
    for number, one in enumerate(found):
        corners = np.array([tuple(corner) for corner in one.bound_box])
        boxes[number] = np.ptp(corners, axis=0) / 2.0, (corners.max(axis=0) + corners.min(axis=0)) / 2.0
    boxes = np.where(np.isfinite(boxes), boxes, 0.0)
    shaped = [number for number, one in enumerate(found) if _changes_shape(one)][:_MOST_SHAPED]
    return Things(
        names=[_key(one) for one in found],
        words=[_words(one) for one in found],
        boxes=boxes,
        shown=np.ones(len(found), bool),
        simulated=np.array([_simulated(one) for one in found], bool),
        shaped=shaped,
        parts=[part for number in shaped for part in _parts(number, found[number])],
    )


def _key(one: bpy.types.Object) -> str:
    library = one.library
    return one.name if library is None else f"{one.name}\n{library.filepath}"


def find(key: str, depsgraph: bpy.types.Depsgraph) -> bpy.types.Object | None:
    """The evaluated object of that key, if it is there now."""
    name, _, library = key.partition("\n")
    one = bpy.data.objects.get((name, library or None))
    return None if one is None else one.evaluated_get(depsgraph)


def _words(one: bpy.types.Object) -> str:
    slots = [slot.material for slot in one.material_slots if slot.material is not None]
    groups = one.original.users_collection
    return name_thing(one.name, slots[0].name if slots else "", groups[0].name if groups else "")


def _simulated(one: bpy.types.Object | None) -> bool:
    """Whether its place is only known at whole frames; its parents' counts as well."""
    for _ in range(16):
        if one is None:
            return False
        if one.rigid_body is not None and one.rigid_body.type == "ACTIVE" and not one.rigid_body.kinematic:
            return True
        if any(modifier.type in {"CLOTH", "SOFT_BODY"} for modifier in one.modifiers):
            return True
        one = one.parent
    return False


def _changes_shape(one: bpy.types.Object) -> bool:
    if one.type != "MESH":
        return False
    keys = getattr(one.data, "shape_keys", None)
    keyed = keys is not None and keys.animation_data is not None
    return keyed or any(m.type in _SHAPING and (m.show_viewport or m.show_render) for m in one.modifiers)


def _parts(number: int, one: bpy.types.Object) -> list[Part]:
    """Where bones move it, a part for each; else one part."""
    corners = own_corners(one)
    if not len(corners) or len(corners) > _MOST_POINTS:
        return []
    owners = _bones(one, len(corners)) if any(m.type == "ARMATURE" for m in one.modifiers) else None
    if owners is None:
        return [Part(number, _outermost(corners, np.arange(len(corners))), "")]
    found = []
    for group in np.unique(owners[owners >= 0])[:_PARTS]:
        members = np.flatnonzero(owners == group)
        found.append(Part(number, _outermost(corners, members), one.vertex_groups[int(group)].name))
    return found


def _bones(one: bpy.types.Object, count: int) -> np.ndarray | None:
    """(count,) for each point the vertex group that holds it most, -1 for none; None without groups."""
    if not one.vertex_groups:
        return None
    owners = np.full(count, -1)
    for index, vertex in enumerate(one.data.vertices):
        groups = [group for group in vertex.groups if group.group < len(one.vertex_groups)]
        if groups:
            owners[index] = max(groups, key=lambda group: group.weight).group
    return owners if (owners >= 0).any() else None


def _outermost(corners: np.ndarray, members: np.ndarray) -> np.ndarray:
    """A few of ``members`` that lie outermost in all directions."""
    ways = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z])
    chosen = np.argmax(corners[members] @ ways.T, axis=0)
    return members[np.unique(chosen)][: 2 * _PART_POINTS]


def own_corners(one: bpy.types.Object) -> np.ndarray:
    """(V, 3) of an evaluated object in its own space; none where it has no mesh."""
    mesh = one.data if one.type == "MESH" else None
    if mesh is None:
        return np.zeros((0, 3))
    flat = np.zeros(len(mesh.vertices) * 3, np.float32)
    if len(flat):
        mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def world_corners(one: bpy.types.Object) -> np.ndarray:
    matrix = np.array(one.matrix_world)
    return own_corners(one) @ matrix[:3, :3].T + matrix[:3, 3]


def _pick(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    if not len(points) or points.max() >= len(corners):
        return np.full((len(points), 3), np.nan)
    return corners[points]


def _shape(one: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph) -> Shape | None:
    if one is None:
        return None
    if one.type != "MESH":
        corners = np.array([tuple(corner) for corner in one.bound_box], float)
        faces = [(0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (4, 0, 3, 7)]
        return Shape(corners, BVHTree.FromPolygons([tuple(corner) for corner in corners], faces))
    corners = own_corners(one)
    if not len(corners) or not len(one.data.polygons) or not np.isfinite(corners).all():
        return None
    tree = BVHTree.FromObject(one, depsgraph)
    return Shape(corners[:: -(-len(corners) // _CORNERS)], tree)


def nearest(points: np.ndarray, matrix: np.ndarray, tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """For each of (P, 3) world points the nearest place on a surface and its normal, both in the world."""
    places, normals = np.full((2, len(points), 3), np.nan)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        return places, normals
    back = np.linalg.inv(matrix)
    for index, point in enumerate(points @ back[:3, :3].T + back[:3, 3]):
        place, normal, _, _ = tree.find_nearest(Vector(point))
        if place is not None:
            places[index], normals[index] = place, normal
    normals = normals @ back[:3, :3]
    with np.errstate(all="ignore"):
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return places @ matrix[:3, :3].T + matrix[:3, 3], normals


def probes(corners: np.ndarray, ways: Sequence[np.ndarray]) -> np.ndarray:
    """The few of (V, 3) that lie farthest along each of ``ways``, and some of all; few corners all stay."""
    if len(corners) <= 2 * _PROBES:
        return corners
    chosen = [np.arange(0, len(corners), -(-len(corners) // _PROBES))]
    chosen += [np.argpartition(-(corners @ way), _PROBES)[:_PROBES] for way in ways]
    return corners[np.unique(np.concatenate(chosen))]
