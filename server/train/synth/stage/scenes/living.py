# SPDX-License-Identifier: GPL-3.0-or-later
"""Birds: one that sings on a branch, or a flock in the air."""

from __future__ import annotations

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, reshape, stretch


def birds(stage: Stage) -> None:
    """A songbird opens its beak with each stroke; a flock beats its wings."""
    (_flock if stage.word("object", "songbird") == "flock" else _songbird)(stage)


def _songbird(stage: Stage) -> None:
    hue = stage.pick(0.02, 0.08, 0.14, 0.55, 0.6, 0.07)
    coat = paint.plain(paint.hsv(hue, stage.between(0.5, 1), stage.between(0.15, 0.7)), 0.9)
    pale = paint.plain(paint.hsv(stage.pick(0.03, 0.1, 0.14), stage.between(0.2, 0.8), 0.75), 0.9)
    bark = paint.wood(stage.rng, (0.14, 0.08, 0.045))
    side = stage.pick(1.0, -1.0)
    bird = stage.group(at=(0, 0, 0.98))
    bird.scale = (side, 1, 1)
    tilt = shapes.sphere(0.5, 16, 10).moved(size=(0.95, 0.6, 0.62)).turned(y=-0.5)
    stage.put(tilt, coat, parent=bird)
    stage.put(shapes.sphere(0.5, 14, 9), pale, at=(0.12, -0.03, -0.07), size=(0.66, 0.56, 0.52), parent=bird)
    for y in (-0.27, 0.27):
        wing = shapes.sphere(0.5, 12, 8).moved(size=(0.75, 0.12, 0.38)).turned(y=0.35)
        stage.put(wing, coat, at=(-0.12, y, 0.0), parent=bird)
    stage.put(shapes.box(0.6, 0.2, 0.06).turned(y=-0.45), coat, at=(-0.62, 0, -0.28), parent=bird)
    head = stage.group(at=(0.36, 0, 0.4))
    head.parent = bird
    stage.put(shapes.sphere(0.25, 14, 9), coat, parent=head)
    for y in (-0.19, 0.19):
        stage.put(
            shapes.sphere(0.045, 8, 6), paint.plain((0.01, 0.01, 0.01), 0.05), at=(0.13, y, 0.06), parent=head
        )
    beak = paint.plain((0.75, 0.4, 0.05), 0.5)
    halves = [
        stage.put(
            shapes.cylinder(0.07, 0.26, 8, top=0.0).turned(y=np.pi / 2), beak, at=(0.33, 0, z), parent=head
        )
        for z in (0.01, -0.03)
    ]
    for y in (-0.1, 0.1):
        stretch(stage.put(shapes.rod(0.02, 6), beak, parent=bird), (0.02, y, -0.25), (0.05, y, -0.47))

    def move(t: float) -> None:
        stroke, part = motion.swing(stage.shot, t)
        sings = float(part < 0.6) if stroke >= 0 else 0.0
        gape = sings * (0.25 + 0.15 * np.sin(40 * t))
        halves[0].rotation_euler, halves[1].rotation_euler = (0, -gape, 0), (0, gape, 0)
        head.rotation_euler = (0, -0.3 * sings, 0.25 * np.sin(1.7 * t))
        bird.location = (0, 0, 0.98 + 0.02 * sings * np.sin(20 * t))

    stage.every(move)
    _branch(stage, bark)
    _garden(stage)
    stage.look((0, 0, 0.95), 1.0, elevation=(-8, 22), azimuth=(0, 42))


def _branch(stage: Stage, bark: paint.Material) -> None:
    low, high = stage.between(0.3, 0.5), stage.between(0.4, 0.65)
    stretch(stage.put(shapes.rod(0.07, 9, top=0.09), bark), (-2.2, 0.1, low), (0.05, 0, 0.46))
    stretch(stage.put(shapes.rod(0.07, 9, top=0.05), bark), (0.02, 0, 0.46), (2.0, 0.1, high))
    green = paint.plain(paint.vary(stage.rng, 0.27, 0.85, 0.25), 0.8)
    count = 34
    places = np.column_stack(
        [
            stage.rng.uniform(-1.6, 1.6, count),
            stage.rng.normal(0.3, 0.2, count),
            stage.rng.uniform(0.1, 0.7, count),
        ]
    )
    leaves = shapes.swarm(
        shapes.leaf(), places, stage.rng.uniform(0.15, 0.3, count), stage.rng.uniform(0, 6, (count, 3))
    )
    stage.put(leaves, green)


def _garden(stage: Stage) -> None:
    green = paint.vary(stage.rng, stage.pick(0.27, 0.3, 0.5, 0.57), 0.5, 0.4)
    stage.world(green, paint.hsv(0.57, stage.between(0.1, 0.5), 0.95))
    sets.floor(stage, "grass", clutter=False).location[2] = -2.5
    blur = paint.blotched(green, paint.shaded(green, 0.6), stage.between(0.3, 0.8))
    if stage.chance(0.5):
        stage.put(shapes.sheet(60, 12).turned(x=np.pi / 2), blur, at=(0, 9, 0))
    sun = sets.daylight(stage)
    stage.world(green, paint.hsv(0.57, stage.between(0.1, 0.5), 0.95))
    sun.data.energy *= 1.0


def _wings(stage: Stage, coat: paint.Material) -> tuple[Thing, shapes.Shape]:
    """A bird from far: a spindle and two wings in one shape; the wings are its last six vertices."""
    body = shapes.sphere(0.5, 8, 5).moved(size=(0.9, 0.22, 0.2))
    tips = np.array(
        [
            (0.25, 0, 0.05),
            (-0.2, 0, 0.05),
            (-0.1, 0.95, 0.0),
            (0.25, 0, 0.05),
            (-0.2, 0, 0.05),
            (-0.1, -0.95, 0.0),
        ]
    )
    shape = shapes.join(body, shapes.Shape(tips, ((0, 1, 2), (3, 5, 4))))
    return stage.put(shape, coat), shape


def _flock(stage: Stage) -> None:
    count = int(stage.rng.integers(9, 20))
    shade = paint.plain(stage.pick((0.02, 0.02, 0.025), (0.75, 0.75, 0.75), (0.12, 0.09, 0.06)), 0.9)
    side, speed = stage.pick(1.0, -1.0), 0.4 + 1.0 * stage.number("speed")
    members = []
    for _ in range(count):
        thing, shape = _wings(stage, shade)
        size = stage.between(0.35, 0.7)
        thing.scale, thing.rotation_euler = (
            (side * size, size, size),
            (stage.between(-0.3, 0.3), 0, side * 0.3),
        )
        at = stage.rng.normal(0, 1, 3) * (1.1, 0.8, 0.6) + (0, 0, 3)
        members.append((thing, shape, at, stage.between(0, 6)))

    def move(t: float) -> None:
        for thing, shape, at, phase in members:
            flap = 0.65 * np.sin(11 * t + phase)
            points = shape.points.copy()
            points[[-4, -1], 2] = 0.9 * flap
            points[[-4, -1], 1] = np.array((0.95, -0.95)) * np.cos(flap)
            reshape(thing, points)
            thing.location = at + np.array(
                (side * speed * (t - 1.28), 0.1 * np.sin(t + phase), 0.1 * np.sin(2 * t + phase))
            )

    stage.every(move)
    sets.outdoors(stage)
    blue = paint.hsv(stage.between(0.53, 0.62), stage.between(0.2, 0.65), stage.between(0.7, 1.0))
    stage.world(paint.hsv(stage.pick(0.58, 0.06), stage.between(0.1, 0.4), 0.9), blue)
    stage.look((0, 0, 2.8), 1.7, elevation=(-24, -4), azimuth=(0, 30))


SCENES = {"birds": birds}
