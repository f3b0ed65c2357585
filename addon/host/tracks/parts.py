# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that do not move as one: the pieces of a skin that each bone carries, and shapes that bend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ...hits.words import is_foot
from .shapes import Shape, corners_of, faces_shape, outermost
from .sources import Bending, Bones, Key, Source, key_of

_MOST_SKIN = 60_000  # corners of one skin
_MOST_BENDING = 200_000
_WHOLE = 1_500  # a bending mesh of so few corners is kept whole, surface and all
_SOME = 160  # corners all over a larger one
_MOST_SHAPES = 48  # that bend and are followed
_SIMULATED = {"CLOTH", "SOFT_BODY", "PARTICLE_SYSTEM", "DYNAMIC_PAINT", "FLUID"}


@dataclass(slots=True, eq=False)
class Piece:
    """A part of the object ``key``: what one bone carries, or a bending shape as a whole.

    faces: of a bending shape that is kept whole, in numbers of its points.
    """

    key: Key
    name: str
    shape: Shape
    simulated: bool = False
    bends: bool = False
    faces: tuple[tuple[int, ...], ...] = ()


@dataclass(slots=True, eq=False)
class Group:
    """Pieces whose places one source tells, in its order. ``rig``: the armature they hang on, if any."""

    source: Source
    pieces: list[Piece]
    rig: Key | None = None


def simulated(one: bpy.types.Object | None) -> bool:
    """Whether its place is only known at whole frames; its parents' counts as well."""
    for _ in range(16):
        if one is None:
            return False
        body = one.rigid_body
        if body is not None and body.type == "ACTIVE" and not body.kinematic:
            return True
        if any(modifier.type in _SIMULATED for modifier in one.modifiers):
            return True
        one = one.parent
    return False


# Bones ----------------------------------------------------------------------------------------------------


def rigs(listed: Sequence[bpy.types.Object], updated: dict[Key, bool]) -> Iterator[tuple[Group, set[Key]]]:
    """For each moving armature the pieces that its bones carry, and the meshes whose skin that is."""
    skins: dict[Key, list[bpy.types.Object]] = {}
    for one in listed:
        rig = _rig_of(one) if one.type == "MESH" else None
        if rig is not None and key_of(rig) in updated:
            skins.setdefault(key_of(rig), []).append(one)
    for rig in listed:
        if rig.type != "ARMATURE" or rig.pose is None or key_of(rig) not in updated:
            continue
        carried: list[tuple[int, Piece]] = []
        taken = set()
        for skin in skins.get(key_of(rig), ()):
            found = _carried(rig, skin)
            if found:
                taken.add(key_of(skin))
                carried += found
        if not carried:
            carried = _bare_feet(rig)
        if carried:
            source = Bones(key_of(rig), [number for number, _ in carried], len(rig.pose.bones))
            yield Group(source, [piece for _, piece in carried], key_of(rig)), taken


def _rig_of(one: bpy.types.Object) -> bpy.types.Object | None:
    for modifier in one.modifiers:
        if modifier.type == "ARMATURE" and modifier.object is not None and modifier.show_viewport:
            return modifier.object
    return one.parent if one.parent_type == "ARMATURE" else None


def _carried(rig: bpy.types.Object, skin: bpy.types.Object) -> list[tuple[int, Piece]]:
    """(number of the bone, what it carries) of one mesh, each in its bone's own space."""
    mesh = skin.original.data
    count = len(mesh.vertices)
    names = [group.name for group in skin.original.vertex_groups]
    places = {bone.name: number for number, bone in enumerate(rig.pose.bones)}
    bones = np.array([places.get(name, -1) for name in names] + [-1], int)
    if not names or not 0 < count <= _MOST_SKIN or bones.max() < 0:
        return []
    owners = np.full(count, -1)
    for number, vertex in enumerate(mesh.vertices):
        groups = [(one.weight, one.group) for one in vertex.groups if one.group < len(names)]
        owners[number] = bones[max(groups)[1]] if groups else -1
    flat = np.zeros(count * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    matrix = np.linalg.pinv(np.array(rig.matrix_world)) @ np.array(skin.matrix_world)
    corners = flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    faces = _faces(mesh)
    found = []
    for bone in np.unique(owners[owners >= 0]).tolist():
        members = np.flatnonzero(owners == bone)
        back = np.linalg.pinv(np.array(rig.pose.bones[bone].bone.matrix_local))
        own = corners[members] @ back[:3, :3].T + back[:3, 3]
        shape = faces_shape(own, _own_faces(faces, owners == bone))
        if shape is not None:
            found.append((bone, Piece(key_of(skin), rig.pose.bones[bone].name, shape)))
    return found


def _faces(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners of all faces in a row, where each face begins, and how many it has."""
    corners = np.zeros(len(mesh.loops), np.int32)
    starts, counts = np.zeros((2, len(mesh.polygons)), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    mesh.polygons.foreach_get("loop_start", starts)
    mesh.polygons.foreach_get("loop_total", counts)
    return corners, starts, counts


def _own_faces(
    faces: tuple[np.ndarray, np.ndarray, np.ndarray], mine: np.ndarray
) -> tuple[tuple[int, ...], ...]:
    """The faces all of whose corners are ``mine``, in numbers among those."""
    corners, starts, counts = faces
    if not len(starts):
        return ()
    numbers = np.cumsum(mine) - 1
    whole = np.logical_and.reduceat(mine[corners], starts)
    return tuple(
        tuple(numbers[corners[start : start + count]].tolist())
        for start, count in zip(starts[whole].tolist(), counts[whole].tolist(), strict=True)
    )


def _bare_feet(rig: bpy.types.Object) -> list[tuple[int, Piece]]:
    """Feet of an armature without a skin: a bone's two ends."""
    found = []
    for number, pose in enumerate(rig.pose.bones):
        if is_foot(pose.name) and pose.bone.use_deform:
            ends = np.array(((0.0, 0.0, 0.0), (0.0, pose.bone.length, 0.0)))
            found.append((number, Piece(key_of(rig), pose.name, Shape(ends, None))))
    return found


# Shapes that bend -----------------------------------------------------------------------------------------


def bending(listed: Sequence[bpy.types.Object], updated: dict[Key, bool], skins: set[Key]) -> Iterator[Group]:
    """The meshes whose shape is evaluated with every frame, each a piece by itself."""
    left = _MOST_SHAPES
    for one in listed:
        key = key_of(one)
        if one.type != "MESH" or key in skins or not updated.get(key) or left <= 0:
            continue
        corners = corners_of(one)
        if not 0 < len(corners) <= _MOST_BENDING or not np.isfinite(corners).all():
            continue
        left -= 1
        faces: tuple[tuple[int, ...], ...] = ()
        if len(corners) <= _WHOLE:
            kept = np.arange(len(corners))
            faces = _own_faces(_faces(one.data), np.ones(len(corners), bool))
        else:
            kept = np.union1d(outermost(corners), np.linspace(0, len(corners) - 1, _SOME).astype(int))
        matrix = np.array(one.matrix_world)
        own = corners[kept] @ matrix[:3, :3].T
        shape = Shape(own - own.mean(axis=0), None)
        piece = Piece(key, "", shape, simulated=simulated(one), bends=True, faces=faces)
        yield Group(Bending(key, kept, len(corners)), [piece])
