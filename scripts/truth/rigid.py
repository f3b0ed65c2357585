# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigid bodies that drop, tumble and strike each other.

Their truth is the simulation's own: it is played once more with each of its steps as a frame (ten times the
frame rate, one step a frame instead of ten, so the very same steps are computed). A step in which a body's
velocity changes by more than gravity's part is a hit; the way before that step, carried on until the surfaces
meet, gives the time within the step. At 25 frames a second the two plays may part by rounding; from
there on a body's hits are "unsure".
"""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np

from .model import GRAVITY, Hit
from .stage import FLOOR, Stage

STEPS = 10  # of the solver in a frame: Blender's own setting
TOUCHING = 0.25  # m/s: a smaller change of velocity is no hit
PUSH_S = 0.008  # that a touch takes
BEGINS = 0.3  # of ``TOUCHING``, in its first step; what lies still is held up by less
PARTED = 0.002  # metres between the two plays
APART_S = 0.02  # hits of one body in a row, as when it lies down on its edge


def drop(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that falls and bounces."""
    chance = stage.chance
    radius = chance.uniform(0.06, 0.2)
    ball = stage.ball("Steel_ball", radius, (x, 0.0, radius + chance.uniform(0.4, 1.3)), "steel")
    _body(ball, "SPHERE", chance.uniform(0.3, 0.7))


def tumble(stage: Stage, x: float, begin: float, end: float) -> None:
    """A box that falls askew on its corner and comes to rest."""
    chance = stage.chance
    half = chance.uniform(0.08, 0.18)
    box = stage.box("Wooden_box", (x, 0.0, half * 1.7 + chance.uniform(0.3, 1.0)), (2 * half,) * 3, "wood")
    box.rotation_euler = [chance.uniform(-0.7, 0.7) for _ in range(3)]
    _body(box, "CONVEX_HULL", chance.uniform(0.0, 0.3))


def stack(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that falls on a block which lies there."""
    chance = stage.chance
    half, radius = chance.uniform(0.12, 0.2), chance.uniform(0.06, 0.1)
    block = stage.box("Stone_block", (x, 0.0, half), (2 * half,) * 3, "block")
    _body(block, "BOX", 0.2)
    block["truth_mass"] = 5.0
    ball = stage.ball("Glass_ball", radius, (x, 0.0, 2 * half + radius + chance.uniform(0.4, 0.9)), "glass")
    _body(ball, "SPHERE", chance.uniform(0.3, 0.6))


ACTS = (drop, drop, tumble, stack)


def _body(thing: bpy.types.Object, shape: str, spring: float) -> None:
    thing["truth_shape"], thing["truth_spring"] = shape, spring


def simulate(stage: Stage) -> list[Hit]:
    """Give the world its bodies, and find their hits by the simulation's own steps."""
    scene = stage.scene
    bpy.ops.rigidbody.world_add()
    for thing in list(scene.objects):
        shape = "BOX" if thing.name == FLOOR else thing.get("truth_shape", "")
        if not shape:
            continue
        bpy.context.view_layer.objects.active = thing
        bpy.ops.rigidbody.object_add(type="PASSIVE" if thing.name == FLOOR else "ACTIVE")
        body = thing.rigid_body
        body.collision_shape, body.restitution = shape, thing.get("truth_spring", 0.8)
        body.mass = thing.get("truth_mass", 1.0)
        body.linear_damping, body.angular_damping = 0.0, 0.1
        body.use_margin, body.collision_margin = True, 0.0
    world = scene.rigidbody_world
    world.substeps_per_frame = STEPS
    movers = [thing for thing in scene.objects if thing.get("truth_shape")]
    count = int(stage.duration_s * stage.rate) + 2
    start = scene.frame_start
    world.point_cache.frame_start, world.point_cache.frame_end = start, start + count + 10
    coarse = _play(scene, movers, start, count)
    hits, fine = _steps(stage, movers, count)
    scene.frame_set(start)
    apart = np.abs(fine[::STEPS] - coarse).max(axis=2) > PARTED
    parted = {
        thing.name: float(np.argmax(column)) / stage.rate if column.any() else np.inf
        for thing, column in zip(movers, apart.T, strict=True)
    }
    return [replace(hit, kind="unsure") if hit.time_s > parted[hit.who] else hit for hit in hits]


def _play(scene: bpy.types.Scene, movers: list[bpy.types.Object], start: int, count: int) -> np.ndarray:
    """(count, movers, 3) places at each frame from ``start`` on."""
    places = np.zeros((count, len(movers), 3))
    for number in range(count):
        scene.frame_set(start + number)
        places[number] = [tuple(thing.matrix_world.translation) for thing in movers]
    return places


def _steps(stage: Stage, movers: list[bpy.types.Object], count: int) -> tuple[list[Hit], np.ndarray]:
    """The hits, and (steps, movers, 3) places at each of the solver's steps."""
    scene, world = stage.scene, stage.scene.rigidbody_world
    base, start, end = scene.render.fps_base, scene.frame_start, scene.frame_end
    steps = (count - 1) * STEPS + 1
    scene.render.fps_base = base / STEPS
    scene.frame_end = start + steps
    world.substeps_per_frame = 1
    world.point_cache.frame_end = start + steps + 10
    places = _play(scene, movers, start, steps)
    step_s = 1.0 / (stage.rate * STEPS)
    hits = [
        hit
        for body, thing in enumerate(movers)
        for step, push in pushes(places[:, body], step_s)
        if (hit := _hit(stage, thing, movers, step, push, step_s)) is not None
    ]
    scene.render.fps_base, scene.frame_end = base, end
    world.substeps_per_frame = STEPS
    world.point_cache.frame_end = start + count + 10
    return _once(hits), places


def pushes(places: np.ndarray, step_s: float) -> list[tuple[int, float]]:
    """(steps, 3) -> the steps after which the velocity changes by more than gravity's part, and by how much.

    A soft touch pushes in several steps: what comes within ``PUSH_S`` counts together. Changes that follow
    each other within ``APART_S`` are one: the first tells when, the largest how hard.
    """
    speeds = np.diff(places, axis=0) / step_s
    changes = np.diff(speeds, axis=0) + np.array((0.0, 0.0, GRAVITY * step_s))
    sums = np.concatenate((np.zeros((1, 3)), np.cumsum(changes, axis=0)))
    ends = np.minimum(np.arange(len(changes)) + max(1, round(PUSH_S / step_s)), len(changes))
    pushed = np.linalg.norm(sums[ends] - sums[:-1], axis=1)
    begins = np.linalg.norm(changes, axis=1) > BEGINS * TOUCHING
    found: list[tuple[int, float]] = []
    last = -np.inf
    for step in np.flatnonzero((pushed > TOUCHING) & begins) + 1:
        size = float(pushed[step - 1])
        if (step - last) * step_s < APART_S:
            found[-1] = found[-1][0], max(found[-1][1], size)
        else:
            found.append((int(step), size))
        last = step
    return found


def _hit(
    stage: Stage,
    thing: bpy.types.Object,
    movers: list[bpy.types.Object],
    step: int,
    speed: float,
    step_s: float,
) -> Hit | None:
    """The hit whose push comes after step ``step``, on whatever is nearest then. ``speed``: of the push."""
    scene = stage.scene
    others = [FLOOR, *(other.name for other in movers if other is not thing)]
    gaps = []
    for number in (step - 1, step):
        scene.frame_set(scene.frame_start + number)
        depsgraph = scene.view_layers[0].depsgraph
        gaps.append({other: stage.gap(thing.name, other, depsgraph) for other in others})
    against = min(others, key=lambda other: abs(gaps[1][other][0]))
    (before, _), (gap, place) = gaps[0][against], gaps[1][against]
    closing = before - gap  # in one step
    if abs(gap) > 0.03:
        return None
    share = min(max(gap / closing, -1.0), 1.0) if closing > 1e-6 else 0.0
    return Hit(
        time_s=(step + share) * step_s,
        who=thing.name,
        against=against,
        speed=speed / (1.0 + thing.rigid_body.restitution),
        place=tuple(place),
        gap=abs(gap),
    )


def _once(hits: list[Hit]) -> list[Hit]:
    """Of two bodies that meet, both are pushed: the harder push tells."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.speed):
        pair = {hit.who, hit.against}
        if not any({one.who, one.against} == pair and abs(one.time_s - hit.time_s) < APART_S for one in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.time_s)
