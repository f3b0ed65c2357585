# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple geometry as plain arrays: vertices (n, 3) and faces. Knows nothing of Blender.

Units are the stage's own (the main thing of a shot is about one unit large); z is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Array = np.ndarray
Point: TypeAlias = Sequence[float] | np.ndarray


@dataclass(frozen=True, slots=True)
class Shape:
    """``points`` (n, 3) float; ``faces`` tuples of indices; ``smooth``: shaded as if curved."""

    points: Array
    faces: tuple[tuple[int, ...], ...]
    smooth: bool = False

    def moved(self, by: Point = (0, 0, 0), size: float | Point = 1.0) -> Shape:
        """Scaled about the origin, then shifted."""
        return Shape(self.points * np.asarray(size, float) + np.asarray(by, float), self.faces, self.smooth)

    def turned(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """Rotated about the axes in the order x, y, z (radians)."""
        return Shape(self.points @ rotation(x, y, z).T, self.faces, self.smooth)


def rotation(x: float, y: float, z: float) -> Array:
    """Matrix (3, 3) of Blender's XYZ Euler angles."""
    (cx, cy, cz), (sx, sy, sz) = np.cos((x, y, z)), np.sin((x, y, z))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def join(*shapes: Shape) -> Shape:
    """One shape of several."""
    faces: list[tuple[int, ...]] = []
    first = 0
    for shape in shapes:
        faces += [tuple(i + first for i in face) for face in shape.faces]
        first += len(shape.points)
    return Shape(np.concatenate([s.points for s in shapes]), tuple(faces), shapes[0].smooth)


def box(x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Shape:
    """A box about the origin with these edge lengths."""
    signs = np.array([(i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8)], float) - 0.5
    faces = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
    return Shape(signs * (x, y, z), faces)


def lathe(profile: Sequence[Point | None], sides: int = 20) -> Shape:
    """A profile of (radius, z) turned about z. ``None`` breaks the shading: what follows is a new strip."""
    strips: list[list[Point]] = [[]]
    for point in profile:
        if point is None:
            strips.append([strips[-1][-1]])
        else:
            strips[-1].append(point)
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(sides)], axis=1)
    points: list[Array] = []
    faces: list[tuple[int, ...]] = []
    first = 0
    for strip in strips:
        points += [ring * radius + (0.0, 0.0, z) for radius, z in strip]
        faces += _quads(len(strip), sides, first, wrap=True)
        first += len(strip) * sides
    return Shape(np.concatenate(points), tuple(faces), smooth=True)


def _quads(rows: int, columns: int, first: int = 0, *, wrap: bool = False) -> list[tuple[int, ...]]:
    across = columns if wrap else columns - 1
    return [
        (
            first + r * columns + c,
            first + r * columns + (c + 1) % columns,
            first + (r + 1) * columns + (c + 1) % columns,
            first + (r + 1) * columns + c,
        )
        for r in range(rows - 1)
        for c in range(across)
    ]


def sphere(radius: float = 0.5, sides: int = 20, rings: int = 11) -> Shape:
    bow = np.linspace(-np.pi / 2, np.pi / 2, rings)
    return lathe([(radius * float(np.cos(a)), radius * float(np.sin(a))) for a in bow], sides)


def cylinder(radius: float = 0.5, height: float = 1.0, sides: int = 20, top: float | None = None) -> Shape:
    """About the origin; ``top``: another radius at the upper end."""
    half, upper = height / 2, radius if top is None else top
    return lathe([(0, -half), (radius, -half), None, (upper, half), None, (0, half)], sides)


def rod(radius: float = 0.5, sides: int = 10, top: float | None = None) -> Shape:
    """A cylinder from the origin one unit up: what ``build.stretch`` lays between two points."""
    return cylinder(radius, 1.0, sides, top).moved((0, 0, 0.5))


def torus(radius: float = 0.4, thick: float = 0.12, sides: int = 24, around: int = 10) -> Shape:
    bow = np.linspace(0.0, 2.0 * np.pi, around + 1)
    return lathe([(radius + thick * float(np.cos(a)), thick * float(np.sin(a))) for a in bow], sides)


def sheet(
    width: float, depth: float, columns: int = 2, rows: int = 2, height: Callable[..., Array] | None = None
) -> Shape:
    """A flat grid in x and y about the origin; ``height(x, y)`` lifts it."""
    x, y = np.meshgrid(np.linspace(-width / 2, width / 2, columns), np.linspace(-depth / 2, depth / 2, rows))
    z = np.zeros_like(x) if height is None else height(x, y)
    points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    return Shape(points, tuple(_quads(rows, columns)), smooth=height is not None)


def lump(rng: np.random.Generator, rough: float = 0.25, sides: int = 12, *, smooth: bool = False) -> Shape:
    """A stone: a sphere of diameter one with dents, faceted unless ``smooth``."""
    ball = sphere(0.5, sides, sides // 2 + 2)
    waves = rng.normal(0.0, 3.0, (4, 3))
    phases = rng.uniform(0, 6.28, 4)
    swell = 1.0 + rough * np.sin(ball.points @ waves.T * 1.7 + phases).mean(axis=1) * 1.6
    return Shape(ball.points * swell[:, None] * rng.uniform(0.75, 1.1, 3), ball.faces, smooth)


def shard(rng: np.random.Generator, size: float = 1.0) -> Shape:
    """A thin splinter: an irregular triangle or quadrangle with a little thickness."""
    count = int(rng.integers(3, 5))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.3, 0.6, (count, 1)) * size
    low = np.column_stack([rim, np.full(count, -0.02)])
    high = np.column_stack([rim, np.full(count, 0.02)])
    sides = [(i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count)]
    faces = (tuple(range(count))[::-1], tuple(range(count, 2 * count)), *sides)
    return Shape(np.concatenate([low, high]), faces)


def swarm(base: Shape, places: Array, sizes: Array, turns: Array | None = None) -> Shape:
    """``base`` at each of ``places`` (n, 3), scaled by ``sizes`` (n,) or (n, 3), turned by ``turns``."""
    sizes = np.asarray(sizes, float)
    sizes = np.repeat(sizes[:, None], 3, axis=1) if sizes.ndim == 1 else sizes
    points = base.points[None] * sizes[:, None]
    if turns is not None:
        points = np.stack([p @ rotation(*turn).T for p, turn in zip(points, turns, strict=True)])
    points = points + np.asarray(places)[:, None]
    count = len(base.points)
    index = [np.asarray(f) for f in base.faces]
    faces = tuple(tuple((f + i * count).tolist()) for i in range(len(places)) for f in index)
    return Shape(points.reshape(-1, 3), faces, base.smooth)


def blade(width: float = 0.06, height: float = 1.0) -> Shape:
    """A leaf of grass: a thin upright triangle, seen from all sides."""
    half = width / 2
    points = np.array(
        [[-half, 0, 0], [half, 0, 0], [0.25 * height, 0, height], [0, -half, 0], [0, half, 0]], float
    )
    return Shape(points, ((0, 1, 2), (3, 4, 2)))


def leaf(length: float = 1.0, width: float = 0.5) -> Shape:
    """A flat leaf, folded a little along the middle, in x."""
    points = [(0, 0, 0), (0.5, width / 2, 0.08), (1, 0, 0), (0.5, -width / 2, 0.08)]
    return Shape((np.array(points, float) - (0.5, 0, 0)) * length, ((0, 1, 2), (0, 2, 3)))


def drop(radius: float = 0.5) -> Shape:
    """A hanging drop, its tip up."""
    profile = [
        (0.0, -1.0),
        (0.5, -0.86),
        (0.85, -0.5),
        (1.0, 0.0),
        (0.8, 0.5),
        (0.4, 1.1),
        (0.1, 1.7),
        (0, 2.0),
    ]
    return lathe([(r * radius, z * radius) for r, z in profile], 12)


def star(points: int = 10, inner: float = 0.45) -> Shape:
    """A flat jagged star of radius one in x and z, as a flash is drawn."""
    angles = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    reach = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    rim = np.column_stack([np.cos(angles) * reach, np.zeros(2 * points), np.sin(angles) * reach])
    faces = tuple((0, 1 + i, 1 + (i + 1) % (2 * points)) for i in range(2 * points))
    return Shape(np.concatenate([np.zeros((1, 3)), rim]), faces)
