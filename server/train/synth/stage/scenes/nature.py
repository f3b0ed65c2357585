# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving air: wind in a field or through a gap, leaves that rustle, things that spray."""

from __future__ import annotations

import itertools

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, reshape, stretch
from .impacts import hand


def wind(stage: Stage) -> None:
    """Tall grass bows in waves under a wide sky, or dust and paper blow through a gap between walls."""
    power = 0.35 + 0.65 * stage.number("intensity")
    if stage.word("ground", "field") == "gap":
        _gap(stage, power)
        return
    sets.outdoors(stage, "grass")
    gold = stage.pick((0.13, 0.65, 0.55), (0.2, 0.6, 0.4), (0.11, 0.5, 0.65))
    count, side = 900, stage.pick(-1.0, 1.0)
    places = np.zeros((count, 3))
    places[:, :2] = stage.rng.uniform((-3, -1.6), (3, 4), (count, 2))
    high = stage.rng.uniform(0.8, 1.3, count)
    rise = np.array([[-0.03, 0, 0], [0.03, 0, 0], [-0.03, 0, 0.55], [0.03, 0, 0.55], [0.0, 0, 1.0]])
    stalk = shapes.Shape(rise, ((0, 1, 3, 2), (2, 3, 4)))
    field = shapes.swarm(stalk, np.zeros((count, 3)), high)
    bend = (field.points[:, 2] / np.repeat(high, 5)) ** 2 * np.repeat(high, 5)
    root = np.repeat(places, 5, axis=0)
    half = count // 2 * 5
    light, shade = (
        paint.plain(paint.vary(stage.rng, *gold), 0.9),
        paint.plain(paint.vary(stage.rng, gold[0], gold[1], gold[2] * 0.6), 0.9),
    )
    sheaves = [
        stage.put(shapes.Shape(field.points[part], stalks), made)
        for part, made, stalks in _halves(field, half, light, shade)
    ]
    speed = 3 + 4 * stage.number("speed")

    def move(t: float) -> None:
        gust = 0.55 + 0.3 * np.sin(1.8 * (side * root[:, 0]) + 0.6 * root[:, 1] - speed * t)
        points = field.points + root
        points[:, 0] += side * power * gust * bend
        points[:, 2] -= 0.3 * power * gust * bend
        reshape(sheaves[0], points[:half])
        reshape(sheaves[1], points[half:])

    stage.every(move)
    _bent_tree(stage, side, power)
    stage.look((0, 0.3, 0.85), 1.7, elevation=(2, 16), azimuth=(0, 20))


def _halves(
    field: shapes.Shape, half: int, first: object, second: object
) -> list[tuple[slice, object, tuple]]:
    low = tuple(f for f in field.faces if f[0] < half)
    high = tuple(tuple(i - half for i in f) for f in field.faces if f[0] >= half)
    return [(slice(0, half), first, low), (slice(half, None), second, high)]


def _bent_tree(stage: Stage, side: float, power: float) -> None:
    if stage.chance(0.4):
        return
    x = -side * stage.between(0.3, 1.2)
    bark = paint.wood(stage.rng, (0.1, 0.06, 0.03))
    top = (x + side * power * 1.1, 3.0, 2.4)
    stretch(stage.put(shapes.rod(0.12, 8, top=0.05), bark), (x, 3.0, 0), top)
    green = paint.plain(paint.vary(stage.rng, 0.27, 0.7, 0.2), 1.0)
    for n in range(5):
        at = (top[0] + side * 0.35 * n * power, 3.0, top[2] + stage.rng.normal(0, 0.15))
        stage.put(shapes.lump(stage.rng), green, at, size=(1.1 - 0.12 * n, 0.6, 0.55 - 0.05 * n))


def _gap(stage: Stage, power: float) -> None:
    """Two walls, a bright slit, scraps that fly through it."""
    grey = stage.backdrop_colour(0.25, 0.4)
    made = paint.bricks(grey, paint.shaded(grey, 0.7), paint.shaded(grey, 0.3), 1.3, 0.5, 0.22)
    for side in (-1, 1):
        high = stage.between(3, 7)
        stage.put(shapes.box(3, 8, high), made, at=(side * stage.between(2.1, 2.5), 3.4, high / 2))
    sets.floor(stage, stage.pick("stone", "road"))
    sets.daylight(stage)
    stage.world((0.75, 0.8, 0.85), (0.6, 0.72, 0.9))
    count, speed = 46, 2.5 + 3 * stage.number("speed")
    starts = stage.rng.uniform((-0.9, 0, 0.1), (0.9, 6, 2.0), (count, 3))
    scraps = shapes.swarm(shapes.leaf(), np.zeros((count, 3)), stage.rng.uniform(0.1, 0.24, count))
    colours = paint.plain(stage.pick((0.8, 0.78, 0.7), (0.45, 0.2, 0.05), (0.55, 0.45, 0.1)), 0.9)
    flying = stage.put(scraps, colours)
    dust = stage.put(
        shapes.swarm(
            shapes.box(),
            stage.rng.uniform((-1, -1.5, 0.1), (1, 3, 2.2), (40, 3)),
            np.ones((40, 3)) * (0.008, 0.5, 0.008),
        ),
        paint.haze((0.9, 0.9, 0.85), 0.8, 0.9),
    )
    angles = stage.rng.uniform(0, 6, count)

    def move(t: float) -> None:
        at = starts.copy()
        at[:, 1] = 4.5 - (starts[:, 1] + speed * power * t) % 6
        at[:, 2] += 0.3 * np.sin(4 * t + angles)
        turn = np.array([shapes.rotation(a + 5 * t, 2 * a, a + 3 * t) for a in angles])
        tips = scraps.points.reshape(count, 4, 3) @ turn.transpose(0, 2, 1)
        reshape(flying, (tips + at[:, None]).reshape(-1, 3))
        dust.location = (0, -((speed * t) % 1.5), 0)

    stage.every(move)
    stage.look((0, 0.2, 1.0), 1.45, elevation=(2, 14), azimuth=(0, 12))


def leaves(stage: Stage) -> None:
    """A tree, a bush or dry leaves on the ground: they shake with every stroke."""
    name = stage.word("object", "tree")
    dry = name == "dry leaves"
    count = 420 if dry else 520
    hues = (stage.between(0.02, 0.13), stage.between(0.02, 0.13)) if dry or stage.chance(0.2) else (0.25, 0.3)
    if dry:
        centres = np.zeros((count, 3))
        centres[:, :2] = stage.rng.normal(0, 0.8, (count, 2))
        centres[:, 2] = stage.rng.uniform(0.02, 0.3, count)
    else:
        ball = stage.rng.normal(0, 1, (count, 3))
        ball *= (stage.rng.uniform(0.6, 1, count) / np.linalg.norm(ball, axis=1))[:, None]
        middle, wide = (
            ((0, 0, 1.75), (1.1, 0.9, 0.85)) if name == "tree" else ((0, 0, 0.75), (1.2, 1.0, 0.75))
        )
        centres = ball * wide + middle
    turns = stage.rng.uniform(0, 6.28, (count, 3))
    groups = []
    for n, hue in enumerate((*hues, sum(hues) / 2)):
        part = slice(n, None, 3)
        sizes = stage.rng.uniform(0.22, 0.4, len(centres[part]))
        cloud = shapes.swarm(shapes.leaf(), np.zeros((len(sizes), 3)), sizes, turns[part])
        colour = paint.vary(stage.rng, hue, 0.85, (0.2, 0.35, 0.1)[n] * (1.6 if dry else 1.0))
        groups.append((stage.put(cloud, paint.plain(colour, 0.9)), cloud, centres[part], turns[part, 0]))
    power = 0.05 + 0.12 * stage.number("intensity")

    def move(t: float) -> None:
        stroke, part = motion.swing(stage.shot, t)
        gust = float(np.exp(-2.5 * part)) if stroke >= 0 else 0.1
        sway = 0.12 * gust * np.sin(6 * t) * (0 if dry else 1)
        for thing, cloud, middle, phase in groups:
            shake = np.column_stack(
                [np.sin(23 * t + phase), np.sin(19 * t + 2 * phase), np.abs(np.sin(17 * t + phase))]
            )
            place = middle + shake * power * gust * (1, 1, 3.0 if dry else 0.7) + (sway, 0, 0)
            reshape(thing, cloud.points + np.repeat(place, 4, axis=0))

    stage.every(move)
    sets.outdoors(stage, "earth" if dry else None)
    if dry:
        _shoe_in_leaves(stage)
    elif name == "tree":
        bark = paint.wood(stage.rng, (0.12, 0.07, 0.035))
        stretch(stage.put(shapes.rod(0.16, 9, top=0.1), bark), (0, 0, 0), (0.05, 0, 1.5))
    else:
        core = paint.plain(paint.vary(stage.rng, 0.27, 0.8, 0.06), 1.0)
        stage.put(shapes.lump(stage.rng), core, at=(0, 0, 0.6), size=(1.8, 1.5, 1.3))
    sets.distract(stage, 1.9, 3.2, 0.4)
    height = {"tree": 1.3, "bush": 0.7}.get(name, 0.2)
    stage.look((0, 0, height), 1.45 if name == "tree" else 1.25, elevation=(30, 50) if dry else (2, 18))


def _shoe_in_leaves(stage: Stage) -> None:
    """A rake that stirs them."""
    made = paint.wood(stage.rng)
    rake = stage.group(at=(0.3, 0, 0))
    stretch(stage.put(shapes.rod(0.035), made, parent=rake), (0, 0, 0.1), (0.9, 0.4, 1.8))
    for n in range(-3, 4):
        stage.put(shapes.box(0.03, 0.06, 0.3), made, at=(-0.04, n * 0.1, 0.1), parent=rake)
    stage.put(shapes.box(0.06, 0.75, 0.06), made, at=(-0.03, 0, 0.25), parent=rake)

    def move(t: float) -> None:
        _, part = motion.swing(stage.shot, t)
        rake.location = (0.45 - 0.7 * np.sin(np.pi * part), 0, 0.02)

    stage.every(move)


def spray(stage: Stage) -> None:
    """A cone of fine mist: out of a spray can, a steam pipe or a garden hose."""
    name = stage.word("object", "spray can")
    count = 240
    life = 0.55 if name == "hose" else 0.4
    speed = 2.3 + 1.6 * stage.number("speed")
    wide = {"steam": 0.28, "hose": 0.1}.get(name, 0.2)
    ways = np.column_stack([np.ones(count), stage.rng.normal(0, wide, (count, 2))])
    phases = stage.rng.uniform(0, 1, count)
    sizes = stage.rng.uniform(0.02, 0.05, count)
    shape = shapes.swarm(shapes.sphere(1.0, 6, 4), np.zeros((count, 3)), np.ones(count))
    each = len(shape.points) // count
    paint_hue = paint.hsv(stage.between(0, 1), 0.9, 0.9)
    colour = {"spray can": paint_hue, "hose": (0.65, 0.8, 0.95)}.get(name, (0.95, 0.95, 0.95))
    mist = stage.put(shape, paint.haze(colour, 0.5, 0.9))
    tip, fall = np.array((-0.55, 0.0, 0.95)), {"hose": 3.5, "steam": -1.2}.get(name, 0.4)
    side = stage.pick(1.0, -1.0)

    def move(t: float) -> None:
        age = (phases + t / life) % 1.0 * life
        places = ways * (speed * age)[:, None] - np.outer(0.5 * fall * age**2 * 2, (0, 0, 1))
        grown = sizes * (0.4 + (5 if name == "steam" else 2.2) * age / life)
        points = np.repeat(places, each, axis=0) + shape.points * np.repeat(grown, each)[:, None]
        reshape(mist, (points + tip) * (side, 1, 1))

    stage.every(move)
    _nozzle(stage, name, tip, paint_hue, side)
    if name == "hose":
        sets.outdoors(stage, "grass")
    else:
        sets.indoors(stage, behind=stage.between(0.8, 2.5))
    sets.distract(stage, 1.6, 3.0)
    stage.look((0.05 * side, 0, 0.85), 1.15, elevation=(2, 24), azimuth=(0, 30))


def _nozzle(stage: Stage, name: str, tip: np.ndarray, hue: paint.Colour, side: float) -> None:
    """What the mist comes from, mirrored if ``side`` is -1."""
    holder = stage.group()
    holder.scale = (side, 1, 1)
    if name == "spray can":
        can = [
            (0, -0.75),
            (0.19, -0.75),
            (0.19, 0.0),
            (0.1, 0.09),
            None,
            (0.07, 0.09),
            (0.07, 0.18),
            None,
            (0, 0.18),
        ]
        stage.put(shapes.lathe(can), paint.plain(hue, 0.2), tip - (0.08, 0, 0.1), parent=holder)
        arm, _ = hand(stage)
        arm.parent, arm.location, arm.rotation_euler = holder, tuple(tip - (0.2, 0.05, 0.4)), (0, -1.9, 0)
    elif name == "hose":
        green = paint.plain(stage.pick((0.05, 0.3, 0.08), (0.6, 0.35, 0.02), (0.05, 0.1, 0.4)), 0.4)
        points = [tip, tip - (0.4, 0, 0.05), tip - (0.7, 0, 0.4), tip - (1.1, 0.1, 0.9)]
        for start, end in itertools.pairwise(points):
            stretch(stage.put(shapes.rod(0.07), green, parent=holder), start, end)
        nozzle = stage.put(shapes.rod(0.09, top=0.06), paint.metal(stage.rng, (0.8, 0.6, 0.2)), parent=holder)
        stretch(nozzle, tip - (0.3, 0, 0.02), tip)
    else:
        steel = paint.metal(stage.rng)
        pipe = stage.put(shapes.rod(0.16), steel, parent=holder)
        stretch(pipe, tip - (0.4, 0, 2), np.add(tip, (-0.4, 0, 1.6)))
        stretch(stage.put(shapes.rod(0.1), steel, parent=holder), tip - (0.4, 0, 0), tip)
        wheel = shapes.torus(0.2, 0.035, 16, 6).turned(x=np.pi / 2)
        stage.put(wheel, paint.plain((0.6, 0.03, 0.02), 0.4), np.add(tip, (-0.4, -0.22, 0.45)), parent=holder)


SCENES = {"wind": wind, "leaves": leaves, "spray": spray}
