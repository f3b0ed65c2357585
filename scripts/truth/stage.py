# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that acts are put into: solids, keys at times in seconds, the camera, and what is asked of it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from footfall.addon.host.demo import parts
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

from .model import RATES, Hit, Key, value_at

Point = tuple[float, float, float]
FLOOR = "Stone_floor"
MATERIALS = ("wood", "toy wood", "steel", "block", "glass", "tin")
INSIDE = 0.05  # metres; a corner deeper inside another thing is told as outside
EDGE = 0.1  # of the picture's width: so near to its edge it is open whether something is seen


class Stage:
    """A scene being made. ``chance`` decides all that is left open; ``hits`` grows as acts are put in."""

    def __init__(self, chance: random.Random, rate: str, duration_s: float) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.chance, self.duration_s = chance, duration_s
        fps, base = RATES[rate]
        self.scene.render.fps, self.scene.render.fps_base = fps, base
        self.rate = fps / base
        self.scene.frame_start = chance.choice((1, 1, 0, 101, 1001, -20))
        self.scene.frame_end = self.scene.frame_start + math.ceil(duration_s * self.rate) - 1
        self.hits: list[Hit] = []
        self.acts: list[str] = []
        self.box(FLOOR, (0.0, 0.0, -0.05), (40.0, 40.0, 0.1), "slab", exact=True)

    # Things ------------------------------------------------------------------------------------------

    def box(
        self, name: str, place: Point, size: Point, material: str = "", *, exact: bool = False
    ) -> bpy.types.Object:
        """A box; ``exact``: to be known by exactly this name."""
        look = parts.material(material or self.chance.choice(MATERIALS))
        made = parts.box(self.scene, name if exact else self.name(name), place, size, look)
        return made

    def ball(self, name: str, radius: float, place: Point, material: str = "") -> bpy.types.Object:
        look = parts.material(material or self.chance.choice(MATERIALS))
        made = parts.ball(self.scene, self.name(name), radius, look, rings=12)
        made.location = place
        return made

    def empty(self, name: str, place: Point = (0.0, 0.0, 0.0)) -> bpy.types.Object:
        made = bpy.data.objects.new(self.name(name), None)
        made.location = place
        self.scene.collection.objects.link(made)
        return made

    def name(self, name: str) -> str:
        """``name``, or with a number behind it where that is taken."""
        number, found = 0, name
        while found in bpy.data.objects:
            number += 1
            found = f"{name}.{number:03d}"
        return found

    @staticmethod
    def shift(thing: bpy.types.Object, by: Point) -> bpy.types.Object:
        """Move the shape and not the origin, so that it turns about another place."""
        thing.data.transform(Matrix.Translation(by))
        return thing

    # Time --------------------------------------------------------------------------------------------

    def frame(self, time_s: float) -> float:
        return self.scene.frame_start + time_s * self.rate

    def animate(
        self,
        thing: bpy.types.Object,
        path: str,
        index: int,
        keys: Sequence[Key],
        *,
        base: float = 0.0,
        baked: bool = False,
    ) -> None:
        """Key the path of cubic pieces exactly; ``baked``: one straight key on each whole frame instead.

        ``index`` -1: ``path`` is a single number.
        """
        if index < 0:
            thing.keyframe_insert(path, frame=0)
        curve = parts.curve(thing, path, max(index, 0))
        curve.keyframe_points.clear()
        if baked:
            first, last = math.floor(self.frame(keys[0].time_s)), math.ceil(self.frame(keys[-1].time_s))
            frames = range(first, last + 1)
            curve.keyframe_points.add(len(frames))
            for point, frame in zip(curve.keyframe_points, frames, strict=True):
                time_s = (frame - self.scene.frame_start) / self.rate
                point.co, point.interpolation = (frame, base + value_at(keys, time_s)), "LINEAR"
            curve.update()
            return
        curve.keyframe_points.add(len(keys))
        for point, key in zip(curve.keyframe_points, keys, strict=True):
            point.co, point.interpolation = (self.frame(key.time_s), base + key.value), "BEZIER"
            point.handle_left_type = point.handle_right_type = "FREE"
        for number, (point, key) in enumerate(zip(curve.keyframe_points, keys, strict=True)):
            before = (key.time_s - keys[number - 1].time_s) / 3 if number else 0.1
            after = (keys[number + 1].time_s - key.time_s) / 3 if number + 1 < len(keys) else 0.1
            frame, value = point.co
            point.handle_left = (frame - before * self.rate, value - key.arrives * before)
            point.handle_right = (frame + after * self.rate, value + key.leaves * after)
        curve.update()

    def go(self, time_s: float) -> bpy.types.Depsgraph:
        """Show the scene at a time between frames."""
        frame = self.frame(time_s)
        self.scene.frame_set(math.floor(frame), subframe=frame - math.floor(frame))
        return self.scene.view_layers[0].depsgraph

    def hit(
        self,
        time_s: float,
        who: bpy.types.Object,
        against: str,
        speed: float,
        kind: str = "hit",
        *,
        baked: bool = False,
    ) -> None:
        """Something hits; where, and whether that is seen, is asked of the scene when it is whole."""
        hit = Hit(time_s=time_s, who=who.name, against=against, speed=speed, kind=kind, baked=baked)
        self.hits.append(hit)

    # What is seen ------------------------------------------------------------------------------------

    def camera(self, low: Point, high: Point) -> None:
        """A camera that sees the box between two corners, standing, panning, or on its way."""
        chance = self.chance
        data = bpy.data.cameras.new("Camera")
        data.lens = chance.choice((28.0, 35.0, 50.0))
        camera = bpy.data.objects.new("Camera", data)
        self.scene.collection.objects.link(camera)
        self.scene.camera = camera
        render = self.scene.render
        render.resolution_x, render.resolution_y = 160, 112
        middle = (Vector(low) + Vector(high)) / 2
        across = max(high[0] - low[0], 1.4 * (high[2] - low[2]))
        away = (0.58 * across + 0.4) / math.tan(data.angle_x / 2) + (high[1] - low[1]) / 2
        side, up = math.radians(chance.uniform(-25, 25)), math.radians(chance.uniform(8, 28))
        way = Vector((math.sin(side) * math.cos(up), -math.cos(side) * math.cos(up), math.sin(up)))
        camera.location = middle + way * away
        camera.rotation_euler = (-way).to_track_quat("-Z", "Y").to_euler()
        moves = chance.choice(("stands", "stands", "dolly", "pan", "hand", "cut"))
        end = self.duration_s
        if moves == "dolly":
            step, here = chance.uniform(-0.12, 0.12) * across / end, camera.location.x
            self.animate(
                camera, "location", 0,
                [Key(0.0, here, step, step), Key(end, here + step * end, step, step)],
            )  # fmt: skip
        elif moves == "pan":
            turn = chance.uniform(-0.08, 0.08)
            self.animate(
                camera, "rotation_euler", 2,
                [Key(0.0, camera.rotation_euler.z - turn / 2), Key(end, camera.rotation_euler.z + turn / 2)],
            )  # fmt: skip
        elif moves == "hand":
            for index in (0, 2):
                base = camera.rotation_euler[index]
                shakes = [Key(0.25 * n, base + chance.gauss(0.0, 0.006)) for n in range(int(end * 4) + 2)]
                self.animate(camera, "rotation_euler", index, shakes)
        elif moves == "cut":
            self._cut(camera, middle, way * away)
        self.acts.append(f"camera {moves}")

    def _cut(self, first: bpy.types.Object, middle: Vector, away: Vector) -> None:
        """Another camera takes over on the way, as a marker says."""
        away = Matrix.Rotation(self.chance.choice((-0.6, 0.6)), 3, "Z") @ away
        second = bpy.data.objects.new("Camera 2", first.data)
        second.location = middle + away
        second.rotation_euler = (-away).to_track_quat("-Z", "Y").to_euler()
        self.scene.collection.objects.link(second)
        for camera, time_s in ((first, 0.0), (second, self.chance.uniform(0.3, 0.7) * self.duration_s)):
            marker = self.scene.timeline_markers.new(camera.name, frame=round(self.frame(time_s)))
            marker.camera = camera

    def light(self) -> None:
        """A sun and an even sky, so that one sample a pixel shows everything."""
        world = bpy.data.worlds.new("Sky")
        if world.node_tree is None:  # before 5.0
            world.use_nodes = True
        back = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
        back.inputs["Color"].default_value = (0.5, 0.55, 0.6, 1.0)
        self.scene.world = world
        sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
        sun.data.energy, sun.rotation_euler = 3.0, (0.5, 0.3, 0.2)
        self.scene.collection.objects.link(sun)

    def look(self, hits: Iterable[Hit]) -> list[Hit]:
        """The hits with where the two touch, how far apart they are then, and whether that is seen."""
        found = []
        for hit in hits:
            if not 0.0 <= hit.time_s < self.duration_s:
                continue
            depsgraph = self.go(hit.time_s)
            gap, place = hit.gap, Vector(hit.place)
            if gap == -1.0:
                gap, place = self.gap(hit.who, hit.against, depsgraph)
            found.append(replace(hit, gap=gap, place=tuple(place), seen=self._seen(hit, place, depsgraph)))
        return sorted(found, key=lambda hit: hit.time_s)

    def _seen(self, hit: Hit, place: Vector, depsgraph: bpy.types.Depsgraph) -> str:
        if bpy.data.objects[hit.who].hide_render:
            return "no"
        x, y, away = world_to_camera_view(self.scene, self.scene.camera, place)
        out = max(-x, x - 1.0, -y, y - 1.0)
        if away <= 0.0 or out > EDGE:
            return "no"
        if out > -0.01:
            return "edge"
        eye = self.scene.camera.evaluated_get(depsgraph).matrix_world.translation
        way = place - eye
        struck, _, _, _, thing, _ = self.scene.ray_cast(
            depsgraph, eye, way.normalized(), distance=way.length * 0.995
        )
        return "edge" if struck and thing.name not in (hit.who, hit.against) else "yes"

    @classmethod
    def gap(cls, one: str, other: str, depsgraph: bpy.types.Depsgraph) -> tuple[float, Vector]:
        """Metres between two things' surfaces now, below 0 where one is a little inside the other, and where.

        From the corners of each to the surface of the other, so two edges that cross are told too far apart.
        """
        (first, tree), (second, other_tree) = cls.shape(one, depsgraph), cls.shape(other, depsgraph)
        found: list[tuple[float, Vector]] = []
        for corners, surface in ((first, other_tree), (second, tree)):
            near = surface.find_nearest(corners.mean(axis=0))[0]
            order = np.argsort(((corners - np.array(near)) ** 2).sum(axis=1))[:400]
            for corner in corners[order]:
                point, normal, _, distance = surface.find_nearest(corner)
                if distance is not None:
                    inside = distance < INSIDE and (Vector(corner) - point).dot(normal) < 0.0
                    found.append((-distance if inside else distance, point))
        return min(found, key=lambda one: one[0], default=(math.inf, Vector()))

    @staticmethod
    def shape(name: str, depsgraph: bpy.types.Depsgraph) -> tuple[np.ndarray, BVHTree]:
        thing = bpy.data.objects[name].evaluated_get(depsgraph)
        mesh = thing.to_mesh()
        corners = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", corners)
        matrix = np.array(thing.matrix_world)
        world = corners.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        tree = BVHTree.FromPolygons(world.tolist(), [tuple(face.vertices) for face in mesh.polygons])
        thing.to_mesh_clear()
        return world, tree
