# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of things: their outermost corners, and surfaces to measure distances from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

_WAYS = 240  # directions in which the outermost corners are kept
_MOST_CORNERS = 200_000
_LOOKED_AT = 4_000  # corners that are compared; of more, some
_BOX = ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (4, 0, 3, 7))


@dataclass(slots=True, eq=False)
class Shape:
    """outer: (V, 3) outermost corners, and ``tree`` a surface, both in the thing's own space."""

    outer: np.ndarray
    tree: Any


def _directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors, evenly over the sphere."""
    number = np.arange(count) + 0.5
    height = 1.0 - 2.0 * number / count
    around = np.pi * (1.0 + 5.0**0.5) * number
    flat = np.sqrt(1.0 - height**2)
    return np.stack((flat * np.cos(around), flat * np.sin(around), height), axis=1)


_DIRECTIONS = _directions(_WAYS)


def outermost(corners: np.ndarray, ways: np.ndarray = _DIRECTIONS) -> np.ndarray:
    """Numbers of the few of (V, 3) corners that lie farthest out; few corners all stay."""
    if len(corners) <= len(ways):
        return np.arange(len(corners))
    some = np.arange(0, len(corners), -(-len(corners) // _LOOKED_AT))
    ends = np.concatenate((corners.argmin(axis=0), corners.argmax(axis=0)))
    return np.unique(np.concatenate((some[np.argmax(corners[some] @ ways.T, axis=0)], ends)))


def corners_of(one: bpy.types.Object) -> np.ndarray:
    """(V, 3) of an evaluated object in its own space; none where it has no mesh."""
    mesh = one.data if one.type == "MESH" else None
    flat = np.zeros(0 if mesh is None else len(mesh.vertices) * 3, np.float32)
    if mesh is not None and len(flat):
        mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def shape_of(one: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph | None) -> Shape | None:
    """The shape of an evaluated object as it is now; None where there is no surface. No mesh: its box."""
    if one is None:
        return None
    if one.type != "MESH":
        return box_shape(np.array([tuple(corner) for corner in one.bound_box], float))
    corners = corners_of(one)
    if not len(corners) or not len(one.data.polygons) or not np.isfinite(corners).all():
        return None
    if len(corners) > _MOST_CORNERS:
        return box_shape(np.array([tuple(corner) for corner in one.bound_box], float))
    return Shape(corners[outermost(corners)], BVHTree.FromObject(one, depsgraph))


def box_shape(corners: np.ndarray) -> Shape | None:
    """A box from its eight corners, in Blender's order."""
    if not np.isfinite(corners).all():
        return None
    return Shape(corners, BVHTree.FromPolygons(corners.tolist(), _BOX))


def faces_shape(corners: np.ndarray, faces: Sequence[Sequence[int]]) -> Shape | None:
    """A shape from (V, 3) corners and faces; without faces only the corners tell."""
    if not len(corners) or not np.isfinite(corners).all():
        return None
    tree = BVHTree.FromPolygons(corners.tolist(), faces) if faces else None
    return Shape(corners[outermost(corners)], tree)
