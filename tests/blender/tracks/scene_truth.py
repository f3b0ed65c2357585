# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes whose hits are known exactly, made from a seed: balls on parabolas in five ways of moving.

Seeds below ``HELD_OUT`` are for tuning; those from there on are only measured.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import bpy
from footfall.addon.host.demo import parts

HELD_OUT = 10_000
RATES = ((24, 1.0), (25, 1.0), (30, 1.001), (60, 1.001), (60, 1.0))
WAYS = ("keyed", "parented", "constraint", "bone", "rigid")
GRAVITY = 9.81


@dataclass(frozen=True, slots=True)
class Truth:
    """The scene and the frames, fractions too, at which something hits."""

    scene: bpy.types.Scene
    hits: tuple[float, ...]


def make(way: str, seed: int, fps: int, fps_base: float) -> Truth:
    """Three balls that fall at their own times and bounce on a floor; rigid ones fall once."""
    chance = random.Random(seed * 7 + len(way))
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, fps_base
    rate = fps / fps_base
    scene.frame_start, scene.frame_end = 1, int(3.2 * rate)
    floor = parts.material("slab")
    parts.box(scene, "Stone floor", (0.0, 0.0, -0.05), (12.0, 12.0, 0.1), floor)
    hits: list[float] = []
    for number in range(3):
        radius = chance.uniform(0.06, 0.3)
        ball = parts.ball(scene, f"Steel_ball.{number:03d}", radius, parts.material("steel"), rings=12)
        x = 1.6 * number - 1.6
        if way == "rigid":
            height = chance.uniform(0.5, 1.5)
            ball.location = (x, 0.0, radius + height)
            # The solver takes ten steps a frame and moves after it speeds up: half a step early.
            hits.append(1 + (2 * height / GRAVITY) ** 0.5 * rate - 0.05)
            continue
        times, heights = _flights(chance, rate, scene.frame_end)
        hits += times
        _move(scene, ball, way, x, radius, times, heights, rate)
    if way == "rigid":
        _physics(scene)
    _camera(scene)
    scene.frame_set(1)
    return Truth(scene, tuple(sorted(hits)))


def _flights(chance: random.Random, rate: float, end: int) -> tuple[list[float], float]:
    """Times of the hits in frames, anywhere between two, and the height of the fall."""
    height = chance.uniform(0.5, 1.6)
    start = chance.uniform(2.0, 0.6 * rate)
    times = [start + (2 * height / GRAVITY) ** 0.5 * rate]
    between = 2 * (2 * height / GRAVITY) ** 0.5 * rate * chance.uniform(0.5, 0.75)
    while between > max(5.0, 0.16 * rate) and times[-1] + between < end - 2:
        times.append(times[-1] + between)
        between *= chance.uniform(0.5, 0.75)
    return times, height


def _move(
    scene: bpy.types.Scene,
    ball: bpy.types.Object,
    way: str,
    x: float,
    radius: float,
    times: list[float],
    height: float,
    rate: float,
) -> None:
    mover = ball
    if way in ("parented", "constraint"):
        mover = bpy.data.objects.new("Driver", None)
        scene.collection.objects.link(mover)
        if way == "parented":
            ball.parent = mover
            mover.rotation_euler.z, mover.scale = 0.7, (0.8, 0.8, 0.8)
            ball.scale = (1.25, 1.25, 1.25)
        else:
            ball.constraints.new("COPY_LOCATION").target = mover
    if way == "bone":
        mover = _bone(scene, ball)
    mover.location.x = x
    curve = parts.curve(mover, "location", 2)
    _parabolas(curve, times, height, radius, rate)


def _bone(scene: bpy.types.Scene, ball: bpy.types.Object) -> bpy.types.Object:
    """The ball hangs on a bone of an armature that moves."""
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", data)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("hand")
    bone.head, bone.tail = (0.0, 0.0, 0.0), (0.0, 0.5, 0.0)
    bpy.ops.object.mode_set(mode="OBJECT")
    ball.parent, ball.parent_type, ball.parent_bone = rig, "BONE", "hand"
    ball.location = (0.0, -0.5, 0.0)  # back to the bone's head
    return rig


def _parabolas(
    curve: bpy.types.FCurve, times: list[float], height: float, ground: float, rate: float
) -> None:
    gravity = GRAVITY / rate**2  # per frame, per frame
    fall = (2 * height / gravity) ** 0.5
    keys = [(times[0] - fall, ground + height), *((time, ground) for time in times)]
    rise = [(after - before) / 2 * gravity for before, after in itertools.pairwise(times)]
    leave = [0.0, *rise, 0.0]
    arrive = [0.0, fall * gravity, *rise]
    curve.keyframe_points.add(len(keys))
    for point, (time, value) in zip(curve.keyframe_points, keys, strict=True):
        point.co, point.interpolation = (time, value), "BEZIER"
        point.handle_left_type = point.handle_right_type = "FREE"
    for index, (time, value) in enumerate(keys):
        point = curve.keyframe_points[index]
        before = (time - keys[index - 1][0]) / 3 if index else 1.0
        after = (keys[index + 1][0] - time) / 3 if index + 1 < len(keys) else 1.0
        point.handle_left = (time - before, value + arrive[index] * before)
        point.handle_right = (time + after, value + leave[index] * after)
    curve.update()


def _physics(scene: bpy.types.Scene) -> None:
    with bpy.context.temp_override(scene=scene):
        bpy.ops.rigidbody.world_add()
        for one in scene.objects:
            if one.type == "MESH":
                bpy.context.view_layer.objects.active = one
                bpy.ops.rigidbody.object_add(type="PASSIVE" if "floor" in one.name else "ACTIVE")
                one.rigid_body.collision_shape = "BOX" if "floor" in one.name else "SPHERE"
                one.rigid_body.restitution, one.rigid_body.linear_damping = 0.5, 0.0
                one.rigid_body.use_margin, one.rigid_body.collision_margin = True, 0.0
    scene.rigidbody_world.point_cache.frame_end = scene.frame_end + 10


def _camera(scene: bpy.types.Scene) -> None:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler.x = (0.0, -9.0, 1.0), 1.5
    scene.collection.objects.link(camera)
    scene.camera = camera
