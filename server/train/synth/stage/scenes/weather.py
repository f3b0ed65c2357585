# SPDX-License-Identifier: GPL-3.0-or-later
"""What burns, flashes and bursts: fire, thunder, explosions and sparks. Mostly by night."""

from __future__ import annotations

import itertools

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, reshape, stretch
from .impacts import hand


def _night_floor(stage: Stage, kind: str, dark: float = 0.25) -> Thing:
    ground = sets.floor(stage, kind, clutter=False)
    sets.dim(ground.data.materials[0], dark)
    return ground


def _flames(stage: Stage, at: tuple[float, float, float], wide: float, high: float) -> Thing:
    """Tongues of flame that lick and waver; a warm light with them."""
    tongues = []
    tongue = [(0, 0), (0.5, 0.12), (0.62, 0.35), (0.4, 0.65), (0.15, 0.9), (0, 1.0)]
    for shade, count, tall in ((0.025, 7, 1.0), (0.07, 6, 0.75), (0.125, 5, 0.5)):
        colour = paint.glow(paint.hsv(shade, 0.95, 1.0), stage.between(1.0, 1.6))
        for _ in range(count):
            place = (at[0] + stage.rng.normal(0, 0.3) * wide, at[1] + stage.rng.normal(0, 0.15) * wide, at[2])
            thick = stage.between(0.16, 0.3) * wide
            thing = stage.put(shapes.lathe(tongue, 9), colour, place)
            tongues.append((thing, thick, tall * high * stage.between(0.5, 1.05), stage.between(0, 6)))
    lamp = stage.lamp("POINT", 60 * wide, (at[0], at[1] - 0.4, at[2] + 0.5 * high), (1, 0.5, 0.18))
    flicker = 6 + 6 * stage.number("speed")

    def move(t: float) -> None:
        for thing, thick, tall, phase in tongues:
            beat = 0.75 + 0.3 * np.sin(flicker * t + phase) + 0.15 * np.sin(2.7 * flicker * t + 2 * phase)
            thing.scale = (thick, thick, tall * beat)
            thing.rotation_euler = (0.15 * np.sin(5 * t + phase), 0.25 * np.sin(flicker * 0.7 * t + phase), 0)
        lamp.data.energy = 60 * wide * (0.8 + 0.3 * np.sin(flicker * t) * np.sin(3.1 * t))

    stage.every(move)
    return lamp


def fire(stage: Stage) -> None:
    """A camp fire, a fireplace or a torch."""
    name, power = stage.word("object", "campfire"), stage.number("intensity")
    high = 0.8 + 0.7 * power
    char = paint.wood(stage.rng, (0.12, 0.06, 0.03))
    if name == "torch":
        stretch(stage.put(shapes.rod(0.09, 10, top=0.14), char), (0.1, 0, -0.9), (0, 0, 0.6))
        _flames(stage, (0, 0, 0.55), 0.55, high)
        _embers(stage, (0, 0, 0.9))
        sets.dusk(stage, stage.between(0.05, 0.4))
        _night_floor(stage, "earth").location[2] = -2.0
        sets.dim(sets.wall(stage, 3.0).data.materials[0], 0.25)
        stage.look((0, 0, 0.6), 1.3, elevation=(0, 20))
        return
    for n in range(6):
        angle = n * 1.05 + stage.between(-0.3, 0.3)
        log = stage.put(shapes.rod(0.09, 9), char)
        foot = (0.6 * np.cos(angle), 0.35 * np.sin(angle), 0.06)
        stretch(log, foot, (-0.12 * np.cos(angle), -0.1 * np.sin(angle), 0.35))
    _flames(stage, (0, 0, 0.08), 0.8, high)
    _embers(stage, (0, 0, 0.7))
    sets.dusk(stage, stage.between(0.05, 0.5))
    _night_floor(stage, "stone" if name == "fireplace" else stage.pick("earth", "grass"))
    if name == "fireplace":
        _chimney(stage)
    else:
        _fire_ring(stage)
    stage.look((0, 0, 0.6), 1.15 if name == "campfire" else 1.4, elevation=(6, 28), azimuth=(0, 28))


def _embers(stage: Stage, at: tuple[float, float, float]) -> None:
    count = 26
    starts, phases = stage.rng.normal(0, 0.25, (count, 2)), stage.rng.uniform(0, 1, count)
    cloud = shapes.swarm(shapes.box(), np.zeros((count, 3)), stage.rng.uniform(0.014, 0.03, count))
    thing = stage.put(cloud, paint.glow((1, 0.45, 0.1), 2.0), at=at)

    def move(t: float) -> None:
        age = (phases + 0.6 * t) % 1.0
        drift = starts * (1 + age[:, None]) + 0.15 * np.sin(6 * age + phases * 9)[:, None]
        reshape(thing, cloud.points + np.repeat(np.column_stack([drift, 1.4 * age]), 8, axis=0))

    stage.every(move)


def _chimney(stage: Stage) -> None:
    red = paint.vary(stage.rng, 0.03, 0.55, 0.25)
    brick = paint.bricks(red, paint.shaded(red, 0.6), (0.25, 0.23, 0.2), 2.0, 0.5, 0.22)
    sets.dim(brick, 0.4)
    for x in (-1.25, 1.25):
        stage.put(shapes.box(0.5, 1.0, 1.8), brick, at=(x, 0.3, 0.9))
    stage.put(shapes.box(3.0, 1.0, 0.6), brick, at=(0, 0.3, 1.9))
    stage.put(
        shapes.sheet(2.2, 2.0).turned(x=np.pi / 2), paint.plain((0.03, 0.025, 0.02), 1.0), at=(0, 0.7, 0.9)
    )
    stage.put(shapes.box(3.4, 1.2, 0.12), paint.wood(stage.rng), at=(0, 0.25, 2.2))
    sets.dim(sets.wall(stage, 0.9).data.materials[0], 0.4)


def _fire_ring(stage: Stage) -> None:
    rock = sets.dim(paint.stone(stage.rng), 0.3)
    count = int(stage.rng.integers(7, 12))
    for angle in np.linspace(0, 6.28, count, endpoint=False):
        at = (0.85 * np.cos(angle), 0.75 * np.sin(angle), 0.08)
        stage.put(shapes.lump(stage.rng), rock, at, size=stage.between(0.25, 0.4))


# Thunder ------------------------------------------------------------------------------------------------


def thunder(stage: Stage) -> None:
    """Dark clouds over land; a jagged flash of lightning that flickers, from the hit on."""
    hit = motion.times(stage.shot)[0]
    near = 1.0 - stage.number("distance")
    violet = stage.between(0.58, 0.72)
    dark = paint.hsv(violet, 0.45, stage.between(0.05, 0.14))
    stage.world(paint.hsv(violet, 0.4, 0.2), dark)
    cloud = paint.blotched(paint.hsv(violet, 0.25, 0.22), paint.hsv(violet, 0.35, 0.06), 0.5, detail=4)
    puffs = [
        stage.put(
            shapes.sphere(1.0, 14, 9),
            cloud,
            at=(stage.between(-6, 6), stage.between(7, 10), stage.between(4.6, 6.2)),
            size=(stage.between(1.5, 3), 1, stage.between(0.6, 1.1)),
        )
        for _ in range(12)
    ]
    bolts = [_bolt(stage, x) for x in stage.rng.uniform(-2.2, 2.2, 1 + int(stage.chance(0.4)))]
    sky = stage.scene.world.node_tree.nodes
    light = next(node for node in sky if node.type == "BACKGROUND")
    drift = stage.between(-0.3, 0.3)

    def move(t: float) -> None:
        age = t - hit
        lit = float(np.exp(-1.1 * age) * (0.75 + 0.25 * np.sin(40 * age))) if age >= 0 else 0.0
        light.inputs["Strength"].default_value = 1.0 + 5.0 * lit * (0.5 + 0.5 * near)
        for bolt in bolts:
            bolt.hide_render = lit < 0.12
        for puff in puffs:
            puff.location[0] += drift * 0.1

    stage.every(move)
    _night_floor(stage, stage.pick("grass", "earth", "water"), 0.3)
    shade = paint.plain((0.015, 0.015, 0.02), 1.0)
    for _ in range(int(stage.rng.integers(4, 10))):
        high = stage.between(0.4, 1.5)
        shape = stage.pick(
            shapes.cylinder(0.35, 1, 8, top=0.02), shapes.box(0.8, 0.8, 1), shapes.sphere(0.5, 10, 7)
        )
        stage.put(shape, shade, (stage.between(-5, 5), stage.between(6, 9), high / 2), size=high)
    stage.lamp("SUN", 0.35, (0.3, -0.4, 1), (0.7, 0.75, 1), size=1.0)
    stage.look((0, 7.5, 2.7), 3.2, elevation=(-8, 1), azimuth=(0, 8))


def _bolt(stage: Stage, x: float) -> Thing:
    """A jagged line of light from the clouds to the ground, with branches."""
    parts = []

    def line(start: np.ndarray, end: np.ndarray, thick: float, bends: int) -> None:
        points = np.linspace(start, end, bends)
        points[1:-1] += stage.rng.normal(0, 0.28, (bends - 2, 3)) * (1, 0.1, 0.2)
        for a, b in itertools.pairwise(points):
            across = np.array((thick, 0, 0))
            parts.append(
                shapes.Shape(np.array([a - across, a + across, b + across, b - across]), ((0, 1, 2, 3),))
            )
        if thick > 0.03:
            for _ in range(3):
                fork = points[int(stage.rng.integers(1, bends - 1))]
                reach = (stage.rng.normal(0, 1.1), 0, -stage.between(0.6, 1.6))
                line(fork, fork + reach, thick * 0.5, 4)

    line(np.array((x, 7.2, 5.2)), np.array((x + stage.between(-1, 1), 7.2, 0.0)), 0.06, 9)
    return stage.put(shapes.join(*parts), paint.glow((0.85, 0.88, 1.0), 6.0))


# Bursting -----------------------------------------------------------------------------------------------


def explosion(stage: Stage) -> None:
    """A bomb or a firework: before the hit it waits or climbs, after it a ball of fire and flying bits."""
    if stage.word("object", "bomb") == "firework":
        _firework(stage)
        return
    hit, power = motion.times(stage.shot)[0], 0.8 + 0.5 * stage.number("intensity")
    case = stage.put(shapes.sphere(0.3), paint.plain((0.02, 0.02, 0.025), 0.3), at=(0, 0, 0.3))
    fuse = stage.put(shapes.rod(0.025), paint.plain((0.6, 0.5, 0.3), 0.9))
    stretch(fuse, (0, 0, 0.55), (0.12, 0, 0.85))
    spark = stage.put(shapes.star(8), paint.glow((1, 0.8, 0.3), 4.0), at=(0.12, -0.02, 0.88), size=0.14)
    balls = []
    for n in range(22):
        away = stage.rng.normal(0, 1, 3) * (0.55, 0.45, 0.4) + (0, 0, 0.35)
        hot = n % 3
        shade = (paint.hsv(0.13, 0.75, 1), paint.hsv(0.06, 0.95, 1), paint.hsv(0.02, 0.95, 0.8))[hot]
        thing = stage.put(shapes.lump(stage.rng, 0.3, 12, smooth=True), paint.glow(shade, 1.4))
        balls.append((thing, away, stage.between(0.4, 0.75)))
    smoke = []
    for _ in range(12):
        grey = paint.plain(paint.hsv(0.07, 0.15, stage.between(0.03, 0.15)), 1.0)
        thing = stage.put(shapes.lump(stage.rng, 0.25, 12, smooth=True), grey)
        smoke.append(
            (thing, stage.rng.normal(0, 1, 3) * (0.7, 0.6, 0.35) + (0, 0.2, 0.8), stage.between(0.6, 1))
        )
    lamp = stage.lamp("POINT", 0.0, (0, -0.8, 1.0), (1, 0.6, 0.25))
    _debris(stage, hit, power)

    def move(t: float) -> None:
        age = t - hit
        for thing in (case, fuse, spark):
            thing.hide_render = age >= 0
        spark.scale = (0.12 + 0.05 * np.sin(50 * t),) * 3
        lamp.data.energy = 500 * power * float(np.exp(-3 * age)) if age >= 0 else 0.0
        grown = 1 - float(np.exp(-5 * age)) if age >= 0 else 0.0
        cool = float(np.exp(-0.75 * max(age, 0)))
        for thing, away, size in balls:
            thing.hide_render = age < 0 or cool < 0.25
            thing.location = away * grown * power + (0, 0, 0.4 + 0.5 * max(age, 0))
            thing.scale = (max(size * power * (0.35 + grown) * cool, 0.01),) * 3
        for thing, away, size in smoke:
            thing.hide_render = age < 0.15
            thing.location = away * grown * power * 1.1 + (0, 0, 0.3 + 0.25 * max(age, 0))
            thing.scale = (size * power * (0.3 + 0.8 * (1 - np.exp(-1.5 * max(age, 0)))) + 0.01,) * 3

    stage.every(move)
    sets.outdoors(stage, stage.pick("sand", "earth", "road", "grass"), stage.between(0.3, 1.0))
    sets.distract(stage, 1.8, 3.0, 0.6)
    stage.look((0, 0, 0.85), 1.7, elevation=(4, 24))


def _debris(stage: Stage, hit: float, power: float) -> None:
    count = 40
    speeds = stage.rng.normal(0, 1, (count, 3)) * (2.2, 2.2, 1.2) + (0, 0, 3.2)
    bits = shapes.swarm(shapes.box(), np.zeros((count, 3)), stage.rng.uniform(0.03, 0.1, (count, 3)))
    thing = stage.put(bits, paint.plain((0.05, 0.04, 0.03), 1.0))

    def move(t: float) -> None:
        age = max(t - hit, 0.0)
        thing.hide_render = t < hit
        places = speeds * power * age + (0, 0, 0.3)
        places[:, 2] = np.maximum(places[:, 2] - 4.9 * age**2, 0.02)
        reshape(thing, bits.points + np.repeat(places, 8, axis=0))

    stage.every(move)


def _firework(stage: Stage) -> None:
    hit = motion.times(stage.shot)[0]
    centre = np.array((stage.between(-0.4, 0.4), 6.0, 4.0))
    rays = []
    for hue in (stage.between(0, 1), stage.between(0, 1)):
        count = 70
        ways = stage.rng.normal(0, 1, (count, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        shape = shapes.swarm(shapes.box(), np.zeros((count, 3)), np.ones(count))
        thing = stage.put(shape, paint.glow(paint.hsv(hue, 0.75, 1.0), 1.4))
        rays.append((thing, ways * stage.rng.uniform(0.75, 1.05, (count, 1)), stage.between(1.3, 2.4)))
    rocket = stage.put(shapes.box(0.06, 0.06, 0.5), paint.glow((1, 0.75, 0.35), 3.0))

    def move(t: float) -> None:
        age = t - hit
        rocket.hide_render = age >= 0
        rocket.location = np.add(centre, (0, 0, 3.2 * min(age, 0)))
        for thing, ways, reach in rays:
            thing.hide_render = age < 0
            if age >= 0:
                reshape(thing, _trails(ways, reach, age) + centre)

    stage.every(move)
    sets.dusk(stage, 0.08)
    _night_floor(stage, stage.pick("water", "grass"), 0.15)
    dark = paint.plain((0.01, 0.01, 0.02), 1.0)
    for _ in range(8):
        high = stage.between(0.5, 1.6)
        stage.put(shapes.box(0.9, 0.9, high), dark, at=(stage.between(-5, 5), 8, high / 2))
    stage.look((0, 6, 3.3), 2.7, elevation=(-12, 0), azimuth=(0, 15))


def _trails(ways: np.ndarray, reach: float, age: float) -> np.ndarray:
    """Corners (n * 8, 3) of thin streaks that fly out, slow down and sink."""

    def place(at: float) -> np.ndarray:
        return ways * reach * (1 - np.exp(-3 * at)) - (0, 0, 0.35 * at * at)

    head, tail = place(age), place(max(age - 0.25, 0.0))
    thick = 0.035 * float(np.exp(-0.5 * age))
    corner = shapes.box().points  # x < 0 is the tail
    ends = np.where(corner[None, :, :1] > 0, head[:, None], tail[:, None])
    return (ends + corner[None] * thick * (0.2, 1, 2)).reshape(-1, 3)


def sparks(stage: Stage) -> None:
    """A fountain of sparks: from a torn cable, a sparkler held in a hand, a welder's torch on steel."""
    name = stage.word("object", "sparkler")
    count = int(90 + 110 * stage.number("intensity"))
    ball = name == "sparkler"
    spread = (1.6, 1.6, 1.6) if ball else (1.3, 0.9, 0.9)
    speeds = stage.rng.normal(0, 1, (count, 3)) * spread + ((0, 0, 0.2) if ball else (0.3, -0.4, 1.8))
    phases, life = stage.rng.uniform(0, 1, count), stage.rng.uniform(0.25, 0.6, count)
    shape = shapes.swarm(shapes.box(), np.zeros((count, 3)), np.ones(count))
    gold = paint.hsv(stage.pick(0.1, 0.13, 0.58), stage.between(0.25, 0.75), 1.0)
    flying = stage.put(shape, paint.glow(gold, 1.3))
    core = stage.put(shapes.star(9, 0.4), paint.glow((1, 0.97, 0.9), 6.0))
    tip = np.array((0.0, -0.05, 0.75))
    corner = shapes.box().points
    lamp = stage.lamp("POINT", 30, np.add(tip, (0, -0.3, 0.2)), gold)
    turn = np.random.default_rng(stage.shot.seed)

    def move(t: float) -> None:
        age = ((phases + t / life) % 1.0)[:, None] * life[:, None]
        head = speeds * age - (0, 0, 4.0) * age**2
        tail = speeds * (age - 0.05) - (0, 0, 4.0) * (age - 0.05) ** 2
        ends = np.where(corner[None, :, :1] > 0, head[:, None], np.where(age > 0.05, tail, 0)[:, None])
        reshape(flying, (ends + corner[None] * (0, 0.018, 0.018)).reshape(-1, 3) + tip)
        core.location, core.rotation_euler = tip, (0, 13 * t, 0)
        core.scale = (0.16 + 0.06 * np.sin(31 * t),) * 3
        lamp.data.energy = 30 * (0.8 + 0.3 * np.sin(27 * t + turn.uniform(0, 1)))

    stage.every(move)
    _spark_source(stage, name, tip)
    sets.dusk(stage, stage.between(0.05, 0.35))
    _night_floor(stage, stage.pick("stone", "road", "metal"), 0.25)
    sets.dim(sets.wall(stage, stage.between(1.5, 4)).data.materials[0], 0.2)
    stage.look((0, 0, 0.7), 1.15, elevation=(4, 30))


def _spark_source(stage: Stage, name: str, tip: np.ndarray) -> None:
    if name == "sparkler":
        wire = stage.put(shapes.rod(0.015), paint.plain((0.3, 0.3, 0.32), 0.4))
        stretch(wire, tip, (0.25, 0, 0.05))
        arm, _ = hand(stage)
        arm.location, arm.rotation_euler = (0.26, 0, 0.0), (np.pi - 0.4, 0, 0)
    elif name == "welder":
        steel = sets.dim(paint.metal(stage.rng), 0.5)
        stage.put(shapes.box(2.0, 0.6, 0.12), steel, at=(0, 0.1, 0.66))
        stage.put(shapes.box(0.1, 0.5, 0.5), steel, at=(0.15, 0.1, 0.95))
        torch = stage.put(shapes.rod(0.06), paint.plain((0.05, 0.05, 0.06), 0.4))
        stretch(torch, np.add(tip, (-0.04, -0.02, 0.05)), (-0.7, -0.3, 1.35))
        arm, _ = hand(stage)
        arm.location, arm.rotation_euler = (-0.6, -0.25, 1.25), (0, -0.7, 0)
    else:
        black = paint.plain((0.02, 0.02, 0.02), 0.4)
        points = [(-1.4, 0.1, 0.03), (-0.7, 0, 0.05), (-0.25, 0, 0.35), tuple(tip)]
        for start, end in itertools.pairwise(points):
            stretch(stage.put(shapes.rod(0.06), black), start, end)
        for _ in range(4):
            strand = stage.put(shapes.rod(0.012), paint.plain((0.7, 0.3, 0.1), 0.3, metal=1.0))
            stretch(strand, tip - (0.05, 0, 0.1), tip + stage.rng.normal(0, 0.07, 3))


SCENES = {"fire": fire, "thunder": thunder, "explosion": explosion, "sparks": sparks}
