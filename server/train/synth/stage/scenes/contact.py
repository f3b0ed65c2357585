# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that roll, scrape, swing, flap, slam and saw."""

from __future__ import annotations

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, reshape, rest_on, stretch
from .impacts import body, hand


def _table(stage: Stage, ground: str) -> None:
    """A table top of the ground's material in a room, or the floor itself."""
    sets.floor(stage, ground)
    sets.wall(stage, stage.between(2.2, 3.5))
    sets.distract(stage, 1.5)
    sets.daylight(stage)


def roll(stage: Stage) -> None:
    """Something round rolls along a straight track, turning as far as it travels."""
    name, material = stage.word("object", "ball"), stage.word("material", "wood")
    shape = body(stage, name, material)
    upright = {"cylinder": shape.turned(x=np.pi / 2), "ring": shape.turned(x=np.pi / 2)}.get(name, shape)
    size = 0.55 + 0.4 * stage.number("size")
    marked = paint.by_name(material, stage.rng)
    heading = stage.pick(0.0, np.pi) + stage.between(-0.5, 0.5)
    carrier = stage.group(turn=(0, 0, heading))
    thing = stage.put(upright, marked, size=size, parent=carrier)
    stripe = paint.plain(paint.hsv(stage.between(0, 1), 0.8, 0.6), 0.4)
    if name == "ball":
        stage.put(shapes.torus(0.485, 0.03, 24, 6).turned(x=1.2), stripe, parent=thing)
    radius = float(np.abs(upright.points[:, 2]).max()) * size
    speed = 0.5 + 1.3 * stage.number("speed")

    def move(t: float) -> None:
        way = speed * (t - motion.middle())
        thing.location = (way, 0, radius)
        thing.rotation_euler = (0, way / radius, 0)

    stage.every(move)
    _rails(stage, heading)
    _table(stage, stage.word("ground", "wood"))
    forward = np.array((np.cos(heading), np.sin(heading), 0.0))
    stage.look(
        (0, 0, 0.35), 0.9, elevation=(18, 45), follow=lambda t: 0.75 * speed * (t - motion.middle()) * forward
    )


def _rails(stage: Stage, heading: float) -> None:
    """Two low strips that guide what rolls: the sign of a roll."""
    rail = paint.plain(paint.hsv(stage.between(0, 1), stage.between(0.2, 0.9), stage.between(0.3, 0.8)), 0.5)
    across = np.array((-np.sin(heading), np.cos(heading)))
    for side in (-1, 1):
        stage.put(shapes.box(30, 0.07, 0.13), rail, (*(across * 0.72 * side), 0.065), turn=(0, 0, heading))


def scrape(stage: Stage) -> None:
    """A hand drags something heavy over the ground, to and fro; it leaves scratches."""
    name, material = stage.word("object", "block"), stage.word("material", "wood")
    shape = body(stage, name, material)
    flat = (0.0, np.pi / 2, 0.0) if name == "rod" else (0.0, 0.0, 0.0)
    size = 0.7 + 0.4 * stage.number("size")
    thing = stage.put(shape, paint.by_name(material, stage.rng), size=size)
    rest_on(thing, shape.points, flat, (0, 0, 0), 0.0)
    low, top = float(thing.location[2]), 2 * float(thing.location[2])
    arm, _ = hand(stage)
    heading, reach = stage.between(-0.6, 0.6), 0.25 + 0.35 * stage.number("intensity")
    along = np.array((np.cos(heading), np.sin(heading), 0.0))
    mark = paint.plain(stage.pick((0.02, 0.02, 0.02), (0.8, 0.8, 0.78)), 1.0)
    for _ in range(9):
        aside = stage.between(-0.3, 0.3)
        at = (-np.sin(heading) * aside, np.cos(heading) * aside, 0.004)
        stage.put(shapes.box(stage.between(1.6, 2.6), 0.022, 0.004), mark, at, turn=(0, 0, heading))

    def move(t: float) -> None:
        place = along * reach * motion.there_and_back(stage.shot, t)
        thing.location = (place[0], place[1], low)
        thing.rotation_euler = (*flat[:2], heading)
        arm.location = (place[0], place[1], top + 0.08)

    stage.every(move)
    _table(stage, stage.word("ground", "wood"))
    stage.look((0, 0, 0.5), 1.1, elevation=(18, 44))


def whoosh(stage: Stage) -> None:
    """A stick, a blade or a ball on a rope is swung in an arc; streaks show how fast."""
    name = stage.word("object", "stick")
    arm, _ = hand(stage)
    arm.location, arm.rotation_euler = (0, 0, 0.3), (np.pi, 0, 0)
    swinger = stage.group(at=(0, -0.12, 0.3))
    _swung(stage, name, swinger)
    wide = 0.7 + 0.6 * stage.number("intensity")
    trail = stage.put(_arc(0.06), paint.haze((0.85, 0.92, 1.0), 0.55, 1.0), at=(0, -0.1, 0.3))
    inner = stage.put(_arc(0.2), paint.haze((0.85, 0.92, 1.0), 0.3, 1.0), at=(0, -0.08, 0.3), size=0.8)

    def move(t: float) -> None:
        angle = wide * motion.there_and_back(stage.shot, t)
        back = wide * motion.there_and_back(stage.shot, max(t - 0.1, 0.0))
        swinger.rotation_euler = (0, angle, 0)
        for veil in (trail, inner):
            veil.rotation_euler = (0, back, 0)
            veil.scale[0] = float(np.clip((angle - back) / 0.6, -1, 1)) or 0.01

    stage.every(move)
    if stage.chance(0.5):
        sets.outdoors(stage)
    else:
        sets.indoors(stage, behind=stage.between(2, 4))
    sets.distract(stage, 1.8, 3.5, 0.5)
    stage.look((0, 0, 1.05), 1.15, elevation=(0, 14), azimuth=(0, 30))
    for thing in (arm, swinger, trail, inner):
        thing.location[2] += 0.25


def _swung(stage: Stage, name: str, swinger: object) -> None:
    if name == "ball":
        rope = paint.plain((0.4, 0.3, 0.18), 0.9)
        stage.put(shapes.rod(0.02, 6), rope, size=(1, 1, 1.0), parent=swinger)
        stage.put(shapes.sphere(0.2), paint.plastic(stage.rng), at=(0, 0, 1.1), parent=swinger)
    elif name == "blade":
        steel = paint.plain(paint.hsv(0.58, 0.05, stage.between(0.5, 0.8)), 0.6)
        stage.put(shapes.box(0.12, 0.03, 1.2), steel, at=(0, 0, 0.75), parent=swinger)
        stage.put(shapes.box(0.36, 0.08, 0.06), paint.metal(stage.rng), at=(0, 0, 0.14), parent=swinger)
    else:
        stage.put(shapes.rod(0.05, 10, top=0.035), paint.wood(stage.rng), size=(1, 1, 1.35), parent=swinger)


def _arc(inner: float) -> shapes.Shape:
    """A thin fan in x and z behind what swings, one unit from the pivot."""
    angles = np.linspace(0, -0.6, 8)
    rims = [
        np.column_stack([np.sin(angles) * r, 0 * angles, np.cos(angles) * r])
        for r in (1.3, 1.3 - inner - 0.3)
    ]
    points = np.concatenate(rims)
    return shapes.Shape(points, tuple((i, i + 1, i + 9, i + 8) for i in range(7)))


def cloth(stage: Stage) -> None:
    """A flag at its pole, a curtain at its rail or a coat on its hook beats with each stroke."""
    name = stage.word("object", "flag")
    wide, high = {"flag": (1.7, 1.1), "curtain": (1.9, 1.8)}.get(name, (1.0, 1.5))
    stuff = paint.cloth(stage.rng, stripes=stage.chance(0.5))
    columns, rows = 26, 14
    sheet = shapes.sheet(wide, high, columns, rows, lambda x, y: 0 * x).turned(x=np.pi / 2)
    thing = stage.put(sheet, stuff, at=(0, 0, 1.1))
    x, z = sheet.points[:, 0], sheet.points[:, 2]
    free = (x + wide / 2) / wide if name == "flag" else (high / 2 - z) / high
    waves, phase = stage.between(5, 9), stage.between(0, 6)
    push = 0.1 + 0.25 * stage.number("intensity")

    def move(t: float) -> None:
        stroke, part = motion.swing(stage.shot, t)
        gust = np.exp(-3 * part) if stroke >= 0 else 0.15
        if name == "flag":
            bend = np.sin(waves * x - 9 * t + phase)
            sag = -0.25 * free * (1 - gust)
        else:
            bend, sag = np.sin(waves * 2 * x + phase + 2 * np.sin(3 * t)), np.zeros_like(free)
        points = sheet.points.copy()
        points[:, 1] = bend * push * (0.25 + free) * (0.5 + gust) + gust * free * push * 1.5
        points[:, 0] *= 1 - (0.35 * free if name == "coat" else 0) * (1 - gust)
        points[:, 2] += sag * free
        reshape(thing, points)

    stage.every(move)
    _hung(stage, name, wide, high, stuff)
    stage.look((0, 0, 1.1), 1.2, elevation=(-4, 12), azimuth=(0, 40))


def _hung(stage: Stage, name: str, wide: float, high: float, stuff: paint.Material) -> None:
    """What the cloth hangs from, and the place."""
    wood = paint.wood(stage.rng)
    if name == "flag":
        pole = stage.put(shapes.rod(0.05), paint.metal(stage.rng))
        stretch(pole, (-wide / 2 - 0.03, 0, -1), (-wide / 2 - 0.03, 0, 1.9))
        sets.outdoors(stage)
        return
    rail = stage.put(shapes.rod(0.05), wood)
    stretch(rail, (-wide * 0.65, 0, 1.1 + high / 2), (wide * 0.65, 0, 1.1 + high / 2))
    if name == "coat":
        for side in (-1, 1):
            sleeve = stage.put(shapes.rod(0.13, 10, top=0.1), stuff)
            stretch(sleeve, (side * 0.42, 0, 1.75), (side * 0.72, -0.05, 0.85))
    else:
        pane = paint.glow(paint.hsv(0.56, 0.25, stage.between(0.6, 1.0)), 1.0)
        stage.put(shapes.sheet(1.3, 1.5).turned(x=np.pi / 2), pane, at=(0.3, 1.4, 1.2))
    sets.indoors(stage, behind=1.5)


def door(stage: Stage) -> None:
    """A door or a cupboard stands open and falls shut at its hit."""
    hit = motion.times(stage.shot)[0]
    small = stage.word("object", "door") == "cupboard"
    made = paint.by_name(stage.word("material", "wood"), stage.rng)
    wide, high = (1.0, 1.1) if small else (1.0, 2.1)
    hinge = stage.group(at=(-wide / 2, 0, 0))
    stage.put(shapes.box(wide, 0.08, high), made, at=(wide / 2, 0, high / 2), parent=hinge)
    panel = paint.by_name(stage.word("material", "wood"), stage.rng)
    for part in (0.28, 0.72):
        stage.put(
            shapes.box(wide * 0.66, 0.03, high * 0.33), panel, at=(wide / 2, -0.04, high * part), parent=hinge
        )
    brass = paint.metal(stage.rng, (0.75, 0.55, 0.2))
    stage.put(shapes.sphere(0.06, 10, 7), brass, at=(wide * 0.88, -0.1, high * 0.5), parent=hinge)
    _doorway(stage, wide, high, small)
    open_by, quick = stage.between(0.9, 1.7), stage.between(0.25, 0.5)
    rebound = 0.06 * stage.number("intensity")

    def move(t: float) -> None:
        if t < hit:
            hinge.rotation_euler = (0, 0, -open_by * min((hit - t) / quick, 1.0) ** 1.5)
        else:
            hinge.rotation_euler = (0, 0, -rebound * abs(np.sin(9 * (t - hit))) * np.exp(-6 * (t - hit)))

    stage.every(move)
    stage.look((0, 0, high / 2), 1.0 if small else 1.25, elevation=(2, 22), azimuth=(0, 36))


def _doorway(stage: Stage, wide: float, high: float, small: bool) -> None:
    """The frame, the dark behind and the wall with its hole."""
    frame = paint.plain(stage.backdrop_colour(0.2, 0.8), 0.6)
    for x in (-wide / 2 - 0.09, wide / 2 + 0.09):
        stage.put(shapes.box(0.16, 0.2, high + 0.1), frame, at=(x, 0.05, high / 2))
    stage.put(shapes.box(wide + 0.34, 0.2, 0.16), frame, at=(0, 0.05, high + 0.08))
    stage.put(
        shapes.sheet(wide + 0.1, high).turned(x=np.pi / 2),
        paint.glow((0.01, 0.01, 0.015), 1.0),
        at=(0, 0.1, high / 2),
    )
    sets.floor(stage, stage.pick("wood", "stone", "carpet"), clutter=False)
    stage.put(
        shapes.sheet(80, 40).turned(x=np.pi / 2),
        paint.plain(stage.backdrop_colour(0.3, 0.6), 0.9),
        at=(0, 0.16, 0),
    )
    if small:
        stage.put(shapes.box(wide + 0.3, 0.6, 0.1), frame, at=(0, 0.1, -0.02))
    sets.distract(stage, 1.3, 2.2, 0.4)
    sets.daylight(stage)


def saw(stage: Stage) -> None:
    """A hand saw goes to and fro in a plank; dust falls, the cut deepens."""
    plank = paint.wood(stage.rng)
    turn = stage.between(-0.3, 0.3)
    stage.put(shapes.box(2.8, 0.7, 0.22), plank, at=(0.3, 0, 0.8), turn=(0, 0, turn))
    for x in (-0.5, 1.0):
        stage.put(shapes.box(0.25, 0.6, 0.7), paint.wood(stage.rng), at=(x, 0, 0.35))
    rider = stage.group()
    steel = paint.plain(paint.hsv(0.58, 0.05, stage.between(0.6, 0.9)), 0.6, ambient=1.0)
    stage.put(_saw_blade(), steel, parent=rider)
    grip = paint.pick_bright(stage.rng)
    stage.put(shapes.torus(0.16, 0.06, 14, 6).turned(y=np.pi / 2), grip, at=(0, -1.0, 0.28), parent=rider)
    arm, _ = hand(stage)
    arm.parent, arm.location = rider, (0, -1.05, 0.34)
    reach = 0.28 + 0.2 * stage.number("intensity")
    dust = stage.put(
        shapes.swarm(
            shapes.box(), stage.rng.normal(0, 0.1, (60, 3)) * (1, 2, 3), stage.rng.uniform(0.012, 0.03, 60)
        ),
        paint.plain((0.75, 0.55, 0.3), 1.0),
    )
    heap = stage.put(shapes.sphere(0.5, 12, 7), paint.plain((0.7, 0.5, 0.27), 1.0), size=(0.5, 0.5, 0.12))
    heap.location = (-0.75, 0, 0.0)

    def move(t: float) -> None:
        way = motion.there_and_back(stage.shot, t)
        rider.location = (-0.75, 0.1 + reach * way, 0.93 - 0.03 * t)
        rider.rotation_euler = (-0.25, 0, turn)
        dust.location = (-0.75, 0, 0.45 - 0.2 * ((1.7 * t) % 1))

    stage.every(move)
    sets.indoors(stage)
    sets.distract(stage, 1.8)
    stage.look((-0.55, -0.2, 0.8), 1.1, elevation=(10, 32), azimuth=(48, 80), sides=(-1.0,))


def _saw_blade() -> shapes.Shape:
    """A long triangle with teeth, along y, its teeth at z = 0."""
    count = 22
    y = np.linspace(-0.9, 0.9, 2 * count + 1)
    teeth = np.column_stack([0 * y, y, np.where(np.arange(len(y)) % 2 == 0, 0.0, 0.055)])
    back = np.column_stack([0 * y, y, np.linspace(0.42, 0.16, len(y))])
    faces = tuple((i, i + 1, len(y) + i + 1, len(y) + i) for i in range(len(y) - 1))
    return shapes.Shape(np.concatenate([teeth, back]), faces)


SCENES = {
    "roll": roll,
    "scrape": scrape,
    "whoosh": whoosh,
    "cloth": cloth,
    "door": door,
    "saw": saw,
}
