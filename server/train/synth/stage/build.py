# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of one shot: puts things into Blender's scene, moves them by time and looks at them.

Nothing outlives the shot: ``clear`` removes every data-block that was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from ..shot import Shot
from . import shapes
from .materials import Colour, hsv
from .shapes import Shape

Item = TypeVar("Item")
Point: TypeAlias = Sequence[float] | np.ndarray
Thing: TypeAlias = bpy.types.Object
_MADE = ("objects", "meshes", "materials", "lights", "cameras", "worlds", "images", "node_groups")


@dataclass(frozen=True, slots=True)
class Layout:
    """Ranges of everything around the main thing; those of ``scene`` are never trained on.

    ``far``: distance of the camera in units of what just fits. Angles in degrees.
    """

    far: tuple[float, float]
    elevation: tuple[float, float]
    azimuth: tuple[float, float]
    lens: tuple[float, float]
    sun_height: tuple[float, float]
    sun_strength: tuple[float, float]
    hues: tuple[float, float]
    distractors: tuple[int, int]
    unfamiliar: bool


TRAINED = Layout(
    (0.85, 1.12), (10, 36), (-48, 48), (32, 52), (35, 70), (1.6, 3.3), (0.0, 0.78), (0, 5), False
)
HELD_OUT = Layout(
    (1.12, 1.25), (36, 44), (48, 66), (53, 64), (22, 34), (1.3, 1.7), (0.79, 0.99), (4, 8), True
)


def layout(split: str) -> Layout:
    """What a split may use."""
    return HELD_OUT if split == "scene" else TRAINED


class Stage:
    """One shot being set up. ``rng`` decides all that the shot leaves open; the same seed, the same scene."""

    def __init__(self, shot: Shot, scene: bpy.types.Scene) -> None:
        self.shot, self.scene = shot, scene
        self.rng = np.random.default_rng([shot.seed, 112])
        self.layout = layout(shot.split)
        self.movers: list[Callable[[float], None]] = []
        self.focus, self.reach = np.array((0.0, 0.0, 0.5)), 1.0
        self.camera: Thing | None = None
        self._follow: Callable[[float], np.ndarray] | None = None

    # Chance ------------------------------------------------------------------------------------------

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, *options: Item) -> Item:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def number(self, name: str, default: float = 0.5) -> float:
        """A parameter of the shot between 0 and 1."""
        return float(self.shot.parameters.get(name, default))

    def word(self, name: str, default: str = "") -> str:
        return str(self.shot.parameters.get(name, default))

    def backdrop_colour(self, saturation: float = 0.35, value: float = 0.6) -> Colour:
        """A colour for what is not the main thing, from the layout's hues."""
        return hsv(
            self.between(*self.layout.hues),
            saturation * self.between(0.2, 1.4),
            value * self.between(0.5, 1.3),
        )

    # Things ------------------------------------------------------------------------------------------

    def put(
        self,
        shape: Shape,
        material: bpy.types.Material,
        at: Point = (0, 0, 0),
        turn: Point = (0, 0, 0),
        size: float | Point = 1.0,
        parent: Thing | None = None,
    ) -> Thing:
        """A thing of this shape; place, Euler angles and size are relative to ``parent``."""
        mesh = bpy.data.meshes.new("thing")
        mesh.from_pydata(shape.points.tolist(), [], shape.faces, shade_flat=not shape.smooth)
        mesh.materials.append(material)
        thing = bpy.data.objects.new("thing", mesh)
        thing.location, thing.rotation_euler = at, turn
        thing.scale = (size, size, size) if isinstance(size, int | float) else size
        thing.parent = parent
        self.scene.collection.objects.link(thing)
        return thing

    def group(self, at: Point = (0, 0, 0), turn: Point = (0, 0, 0), size: float = 1.0) -> Thing:
        """An empty that carries others."""
        carrier = bpy.data.objects.new("group", None)
        carrier.location, carrier.rotation_euler, carrier.scale = at, turn, (size, size, size)
        self.scene.collection.objects.link(carrier)
        return carrier

    def every(self, mover: Callable[[float], None]) -> None:
        """``mover(t)`` is called before the picture of each time ``t`` (seconds)."""
        self.movers.append(mover)

    def lamp(
        self, kind: str, energy: float, at: Point, colour: Colour = (1, 1, 1), size: float = 0.0
    ) -> Thing:
        """A light; ``size`` in degrees for a SUN, in units for a POINT."""
        light = bpy.data.lights.new("lamp", kind)
        light.energy, light.color = energy, colour
        if kind == "SUN":
            light.angle = float(np.radians(size))
        else:
            light.shadow_soft_size = size
        thing = bpy.data.objects.new("lamp", light)
        thing.location = at
        if kind == "SUN":
            thing.rotation_euler = Vector(at).to_track_quat("Z", "Y").to_euler()
        self.scene.collection.objects.link(thing)
        return thing

    def world(self, low: Colour, high: Colour) -> None:
        """The sky: what is seen where nothing is, and mirrored by what shines. Lights nothing by itself."""
        world = bpy.data.worlds.new("sky")
        if world.node_tree is None:  # before 5.0
            world.use_nodes = True
        self.scene.world = world
        world.cycles.sampling_method = "NONE"
        world.cycles_visibility.diffuse = False  # it would come as noise; surfaces have an ambient light
        tree = world.node_tree
        tree.nodes.clear()
        new, join = tree.nodes.new, tree.links.new
        where, split, ramp = (
            new("ShaderNodeTexCoord"),
            new("ShaderNodeSeparateXYZ"),
            new("ShaderNodeMapRange"),
        )
        blend, light, out = new("ShaderNodeMixRGB"), new("ShaderNodeBackground"), new("ShaderNodeOutputWorld")
        join(where.outputs["Generated"], split.inputs[0])
        join(split.outputs[2], ramp.inputs[0])
        ramp.inputs[1].default_value, ramp.inputs[2].default_value = -0.15, 0.5
        join(ramp.outputs[0], blend.inputs[0])
        blend.inputs[1].default_value, blend.inputs[2].default_value = (*low, 1.0), (*high, 1.0)
        join(blend.outputs[0], light.inputs[0])
        join(light.outputs[0], out.inputs[0])

    # The camera --------------------------------------------------------------------------------------

    def look(
        self,
        at: Point,
        reach: float,
        *,
        elevation: tuple[float, float] | None = None,
        azimuth: tuple[float, float] | None = None,
        sides: tuple[float, ...] = (-1.0, 1.0),
        follow: Callable[[float], np.ndarray] | None = None,
    ) -> None:
        """See a ball of radius ``reach`` about ``at`` whole. Angles in degrees, from the front (-y).

        ``follow(t)``: where the middle has moved to by then. Without ranges of its own, the layout's hold;
        given ranges are moved towards their end in a held-out layout. ``sides``: -1 left, 1 right.
        """
        self.focus, self.reach, self._follow = np.asarray(at, float), reach, follow
        data = bpy.data.cameras.new("camera")
        data.lens_unit, data.angle = "FOV", float(np.radians(self.between(*self.layout.lens)))
        data.clip_start, data.clip_end = 0.02, 400.0
        self.camera = bpy.data.objects.new("camera", data)
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        up = np.radians(self._angle(elevation, self.layout.elevation))
        side = np.radians(self._angle(azimuth, self.layout.azimuth) * self.pick(*sides))
        far = reach / np.sin(data.angle / 2) * self.between(*self.layout.far)
        far *= 1.0 + 0.15 * self.number("distance", 0.0)
        away = np.array((np.sin(side) * np.cos(up), -np.cos(side) * np.cos(up), np.sin(up)))
        wobble = self.rng.normal(0.0, 0.05 * reach, 3)
        drift = self.rng.normal(0.0, 0.05 * reach, 3)
        roll = float(self.rng.normal(0.0, 0.025))
        camera = self.camera

        def stand(t: float) -> None:
            middle = self.middle(t)
            eye = middle + away * far + drift * (t - 1.28)
            eye[2] = max(eye[2], 0.06)
            aim = Vector(middle + wobble - eye).to_track_quat("-Z", "Y").to_matrix()
            camera.matrix_world = Matrix.Translation(eye) @ (aim @ Matrix.Rotation(roll, 3, "Z")).to_4x4()

        self.every(stand)

    def middle(self, t: float) -> np.ndarray:
        """The point (3,) that the camera is there to show at ``t``."""
        return self.focus + (self._follow(t) if self._follow else 0.0)

    def _angle(self, wanted: tuple[float, float] | None, usual: tuple[float, float]) -> float:
        if wanted is None:
            return self.between(*usual)
        low, high = wanted
        edge = low + 0.8 * (high - low)
        return self.between(edge, high) if self.layout.unfamiliar else self.between(low, edge)

    # Time --------------------------------------------------------------------------------------------

    def pose(self, t: float) -> None:
        """Move everything to where it is at ``t`` seconds."""
        for mover in self.movers:
            mover(t)


def stretch(thing: Thing, start: Point, end: Point, thick: float = 1.0) -> None:
    """Lay a thing that stands on the origin and is one unit high from ``start`` to ``end``."""
    way = Vector(end) - Vector(start)
    turn = way.to_track_quat("Z", "Y").to_matrix().to_4x4()
    size = Matrix.Diagonal((thick, thick, way.length, 1.0))
    thing.matrix_basis = Matrix.Translation(start) @ turn @ size


def rest_on(thing: Thing, points: np.ndarray, turn: Point, at: Point, height: float) -> None:
    """Turn ``thing`` so that its lowest point (of ``points``, unturned) is ``height`` above ``at``."""
    rotated = points * np.asarray(thing.scale) @ shapes.rotation(*turn).T
    thing.rotation_euler = Euler(turn)
    thing.location = (at[0], at[1], at[2] + height - float(rotated[:, 2].min()))


def reshape(thing: Thing, points: np.ndarray) -> None:
    """New places (n, 3) for the vertices of a thing."""
    mesh = thing.data
    mesh.attributes["position"].data.foreach_set("vector", np.ascontiguousarray(points, np.float32).ravel())
    mesh.update()


def clear() -> None:
    """Remove all that shots have made."""
    for kind in _MADE:
        blocks = getattr(bpy.data, kind)
        bpy.data.batch_remove(list(blocks))
