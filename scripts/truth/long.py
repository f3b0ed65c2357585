# SPDX-License-Identifier: GPL-3.0-or-later
"""A long shot: 500 hits in ten minutes, of eight balls that hop as if somebody juggled them."""

from __future__ import annotations

import random

import bmesh
import bpy

from .model import GRAVITY, Key, Truth
from .rigs import armature, bend
from .stage import FLOOR, Stage

BALLS = 8
NAMES = ("Steel_ball", "Wooden_ball", "Glass_marble", "Tin_can")
MATERIALS = ("steel", "wood", "glass", "tin")


def make_long(
    seed: int, *, hits: int = 500, seconds: float = 600.0, rate: str = "29.97", heavy: bool = False
) -> tuple[bpy.types.Scene, Truth]:
    """The scene and its truth. ``heavy``: with 200 things around and bodies that bend, as shots have."""
    chance = random.Random(f"long {seed}")
    stage = Stage(chance, rate, seconds)
    names: list[str] = []
    for number in range(BALLS):
        kind = number % len(NAMES)
        radius = chance.uniform(0.06, 0.12)
        ball = stage.ball(NAMES[kind], radius, (0.45 * number - 1.6, 0.0, radius), MATERIALS[kind])
        names.append(ball.name)
        share = hits // BALLS + (number < hits % BALLS)
        keys = hops(chance, share, seconds)
        stage.animate(ball, "location", 2, keys, base=radius)
        for key in keys:
            if key.arrives < 0.0:
                stage.hit(key.time_s, ball, FLOOR, -key.arrives)
    if heavy:
        _crowd(stage)
    stage.camera((-1.9, -0.3, 0.0), (1.9, 0.3, 1.0))
    stage.light()
    seen = stage.look(stage.hits)
    stage.scene.frame_set(stage.scene.frame_start)
    truth = Truth(
        kind="long",
        seed=seed,
        rate=rate,
        start=stage.scene.frame_start,
        end=stage.scene.frame_end,
        acts=("heavy",) if heavy else (),
        hits=tuple(seen),
    )
    return stage.scene, truth


def hops(chance: random.Random, count: int, seconds: float) -> list[Key]:
    """``count`` hops from the floor and back to it over the whole length, at least 0.1 s apart."""
    flights = [chance.uniform(0.3, 0.8) for _ in range(count)]
    spare = seconds - 1.0 - sum(flights) - 0.1 * count
    rests = sorted(chance.uniform(0.0, spare) for _ in range(count))
    keys: list[Key] = []
    passed = 0.3
    for rest, flight in zip(rests, flights, strict=True):
        begin, speed = rest + passed, GRAVITY * flight / 2
        top = speed * flight / 4
        keys += [
            Key(begin, 0.0, 0.0, speed),
            Key(begin + flight / 2, top),
            Key(begin + flight, 0.0, -speed, 0.0),
        ]
        passed += flight + 0.1
    return keys


def _crowd(stage: Stage) -> None:
    """Two hundred things, and four dense bodies that armatures bend all the time."""
    chance = stage.chance
    for number in range(200):
        half = chance.uniform(0.03, 0.1)
        place = (0.3 * (number % 20) - 3.0, 1.5 + 0.3 * (number // 20), half)
        stage.box("Clutter", place, (2 * half, 2 * half, 2 * half))
    for x in (-1.5, -0.5, 0.5, 1.5):
        _dancer(stage, x, by_modifier=x > 0.0)


def _dancer(stage: Stage, x: float, *, by_modifier: bool) -> None:
    """A body of 25,000 corners, its own or a modifier's."""
    chance = stage.chance
    rig = armature(stage, "Dancer", {"spine": ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), "")})
    rig.location = (x, 1.1, 0.0)
    body = stage.box("Dancer_body", (0.0, 0.0, 0.9), (0.3, 0.3, 1.6), "wood")
    if not by_modifier:
        shape = bmesh.new()
        shape.from_mesh(body.data)
        bmesh.ops.subdivide_edges(shape, edges=shape.edges[:], cuts=15, use_grid_fill=True)
        shape.to_mesh(body.data)
        shape.free()
    bend(body, rig, {"spine": range(len(body.data.vertices))})
    if by_modifier:
        body.modifiers.new("Fine", "SUBSURF").levels = 4
    keys = [Key(0.9 * n, chance.uniform(-0.4, 0.4)) for n in range(int(stage.duration_s / 0.9) + 2)]
    rig.pose.bones["spine"].rotation_mode = "XYZ"
    stage.animate(rig, 'pose.bones["spine"].rotation_euler', 0, keys)
