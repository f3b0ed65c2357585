# SPDX-License-Identifier: GPL-3.0-or-later
"""Vehicles and motors: cars, trucks, motorcycles, trains, fans, drills and robots."""

from __future__ import annotations

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, stretch
from ..shapes import Shape
from .impacts import hand


def _wheel(
    stage: Stage, parent: Thing, at: tuple[float, float, float], radius: float, wide: float = 0.16
) -> Thing:
    """A tyre with a spoked rim, upright, its axle along y."""
    hub = stage.group(at=at)
    hub.parent = parent
    tyre = shapes.cylinder(radius, wide, 18).turned(x=np.pi / 2)
    stage.put(tyre, paint.plain((0.015, 0.015, 0.016), 0.9), parent=hub)
    rim = paint.plain((0.6, 0.6, 0.62), 0.3)
    stage.put(shapes.cylinder(radius * 0.6, wide * 1.06, 14).turned(x=np.pi / 2), rim, parent=hub)
    for angle in (0.0, np.pi / 2):
        spoke = shapes.box(radius * 1.1, wide * 1.12, 0.05).turned(y=angle)
        stage.put(spoke, paint.plain((0.1, 0.1, 0.1), 0.5), parent=hub)
    return hub


def _side_profile(outline: list[tuple[float, float]], wide: float) -> Shape:
    """An outline in x and z pulled out to ``wide`` along y."""
    flat = np.array(outline)
    count = len(flat)
    left = np.column_stack([flat[:, 0], np.full(count, -wide / 2), flat[:, 1]])
    right = left * (1, -1, 1)
    walls = tuple((i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count))
    return Shape(
        np.concatenate([left, right]), (tuple(range(count))[::-1], tuple(range(count, 2 * count)), *walls)
    )


def engine(stage: Stage) -> None:
    """A car, a truck or a motorcycle runs along a road, shaking, with smoke behind."""
    name, side = stage.word("object", "car"), stage.pick(1.0, -1.0)
    vehicle = stage.group()
    vehicle.scale = (side, 1, 1)
    body_paint = paint.plain(
        paint.hsv(stage.between(0, 1), stage.between(0.3, 1), stage.between(0.1, 0.8)), 0.2
    )
    make = {"car": _car, "truck": _truck}.get(name, _motorcycle)
    wheels, tail, high = make(stage, vehicle, body_paint)
    puffs = _exhaust(stage)
    speed = (0.2 + 1.6 * stage.number("speed")) * side
    shake = 0.008 + 0.012 * stage.number("intensity")

    def middle(t: float) -> np.ndarray:
        return np.array((speed * (t - motion.middle()), 0, 0))

    def move(t: float) -> None:
        vehicle.location = np.add(middle(t), (0, 0, shake * np.sin(47 * t)))
        for wheel, radius in wheels:
            wheel.rotation_euler = (0, abs(speed) * t / radius, 0)
        for n, (puff, lift) in enumerate(puffs):
            age = (t * 1.3 + n / len(puffs)) % 1.0
            behind = -side * (tail + 0.8 * age + abs(speed) * 0.3 * age)
            puff.location = np.add(middle(t), (behind, 0, 0.2 + lift * age))
            puff.scale = (0.05 + 0.2 * age,) * 3

    stage.every(move)
    sets.floor(stage, "road")
    for n in range(-6, 7):
        stage.put(shapes.box(0.6, 0.08, 0.01), paint.plain((0.8, 0.8, 0.75), 0.8), at=(n * 1.3, -0.85, 0.004))
    sets.horizon(stage, 16)
    sets.daylight(stage)
    stage.world(
        paint.hsv(0.58, 0.1, stage.between(0.6, 0.95)), paint.hsv(0.57, stage.between(0.15, 0.6), 0.9)
    )
    sets.distract(stage, 2.4, 4.5, 0.9)
    stage.look((0, 0, high), 1.25, elevation=(4, 26), azimuth=(0, 55), follow=lambda t: 0.8 * middle(t))


Vehicle = tuple[list[tuple[Thing, float]], float, float]


def _car(stage: Stage, parent: Thing, coat: paint.Material) -> Vehicle:
    roof = stage.between(0.72, 0.95)
    low = [(-1.05, 0.2), (-1.08, 0.52), (-0.75, 0.56), (0.45, 0.56), (1.0, 0.46), (1.06, 0.2)]
    cabin = [(-0.8, 0.55), (-0.5, roof), (0.15, roof), (0.5, 0.55)]
    stage.put(_side_profile(low, 0.9), coat, parent=parent)
    stage.put(_side_profile(cabin, 0.8), paint.plain((0.05, 0.07, 0.09), 0.05), parent=parent)
    stage.put(shapes.box(0.75, 0.82, 0.05), coat, at=(-0.17, 0, roof), parent=parent)
    for y in (-0.3, 0.3):
        stage.put(
            shapes.sphere(0.09, 10, 7), paint.glow((1, 0.95, 0.75), 2.0), at=(1.02, y, 0.4), parent=parent
        )
        stage.put(
            shapes.box(0.04, 0.2, 0.1), paint.glow((0.8, 0.02, 0.01), 1.0), at=(-1.08, y, 0.42), parent=parent
        )
    wheels = [(_wheel(stage, parent, (x, y, 0.23), 0.23), 0.23) for x in (-0.65, 0.65) for y in (-0.42, 0.42)]
    return wheels, 1.1, 0.42


def _truck(stage: Stage, parent: Thing, coat: paint.Material) -> Vehicle:
    stage.put(shapes.box(0.6, 0.9, 0.85), coat, at=(0.85, 0, 0.72), parent=parent)
    stage.put(
        shapes.box(0.1, 0.8, 0.3), paint.plain((0.05, 0.07, 0.09), 0.05), at=(1.13, 0, 0.92), parent=parent
    )
    stage.put(
        shapes.box(0.25, 0.92, 0.28), paint.plain((0.05, 0.07, 0.09), 0.05), at=(0.9, 0, 0.92), parent=parent
    )
    load = stage.pick(paint.plain(stage.backdrop_colour(0.5, 0.7), 0.6), paint.wood(stage.rng))
    stage.put(shapes.box(1.6, 0.95, stage.between(0.75, 1.1)), load, at=(-0.35, 0, 0.85), parent=parent)
    stage.put(
        shapes.box(2.3, 0.7, 0.14), paint.plain((0.05, 0.05, 0.05), 0.6), at=(0, 0, 0.33), parent=parent
    )
    for y in (-0.3, 0.3):
        stage.put(
            shapes.sphere(0.08, 10, 7), paint.glow((1, 0.95, 0.75), 2.0), at=(1.16, y, 0.45), parent=parent
        )
    wheels = [
        (_wheel(stage, parent, (x, y, 0.24), 0.24), 0.24) for x in (-0.85, -0.4, 0.85) for y in (-0.44, 0.44)
    ]
    return wheels, 1.2, 0.6


def _motorcycle(stage: Stage, parent: Thing, coat: paint.Material) -> Vehicle:
    steel, dark = paint.metal(stage.rng), paint.plain((0.02, 0.02, 0.02), 0.6)
    for start, end in (
        ((-0.7, 0, 0.36), (0.1, 0, 0.45)),
        ((0.75, 0, 0.36), (0.45, 0, 1.0)),
        ((0.1, 0, 0.45), (0.5, 0, 0.85)),
    ):
        stretch(stage.put(shapes.rod(0.05), steel, parent=parent), start, end)
    stage.put(shapes.sphere(0.5, 14, 9), coat, at=(0.15, 0, 0.78), size=(0.62, 0.32, 0.34), parent=parent)
    stage.put(shapes.sphere(0.5, 14, 9), dark, at=(-0.35, 0, 0.74), size=(0.75, 0.3, 0.18), parent=parent)
    stage.put(shapes.box(0.4, 0.28, 0.34), steel, at=(0.0, 0, 0.45), parent=parent)
    stretch(stage.put(shapes.rod(0.06), steel, parent=parent), (0, -0.16, 0.3), (-0.95, -0.16, 0.32))
    stretch(stage.put(shapes.rod(0.03), steel, parent=parent), (0.42, -0.4, 1.02), (0.42, 0.4, 1.02))
    stage.put(shapes.sphere(0.13, 12, 8), paint.glow((1, 0.95, 0.8), 2.0), at=(0.58, 0, 0.88), parent=parent)
    if stage.chance(0.6):
        rider = paint.cloth(stage.rng)
        stretch(
            stage.put(shapes.rod(0.2, 12, top=0.24), rider, parent=parent), (-0.3, 0, 0.8), (-0.05, 0, 1.4)
        )
        stage.put(shapes.sphere(0.2, 14, 9), paint.pick_bright(stage.rng), at=(0, 0, 1.58), parent=parent)
        stretch(stage.put(shapes.rod(0.07), rider, parent=parent), (-0.05, -0.18, 1.3), (0.42, -0.35, 1.02))
    wheels = [(_wheel(stage, parent, (x, 0, 0.36), 0.36, 0.12), 0.36) for x in (-0.72, 0.77)]
    return wheels, 1.0, 0.68


def _exhaust(stage: Stage) -> list[tuple[Thing, float]]:
    grey = paint.haze(paint.hsv(0.6, 0.03, stage.between(0.3, 0.6)), 0.45, 1.0)
    count = 3 + int(4 * stage.number("intensity"))
    return [(stage.put(shapes.sphere(1.0, 10, 7), grey), stage.between(0.1, 0.4)) for _ in range(count)]


# Electric motors -----------------------------------------------------------------------------------------


def motor(stage: Stage) -> None:
    """A fan turns, a drill bores or a robot moves its arm."""
    {"fan": _fan, "drill": _drill}.get(stage.word("object", "fan"), _robot)(stage)


def _fan(stage: Stage) -> None:
    coat, steel = paint.pick_bright(stage.rng), paint.metal(stage.rng)
    stage.put(shapes.cylinder(0.45, 0.08), coat, at=(0, 0.1, 0.04))
    stretch(stage.put(shapes.rod(0.06), coat), (0, 0.1, 0), (0, 0.1, 1.0))
    head = stage.group(at=(0, 0, 1.1))
    blades = stage.group()
    blades.parent = head
    count = int(stage.rng.integers(3, 6))
    made = paint.plain(stage.backdrop_colour(0.8, 0.8), 0.3)
    for n in range(count):
        blade = (
            shapes.sphere(0.5, 10, 6)
            .moved((0.36, 0, 0), (0.62, 0.06, 0.3))
            .turned(x=0.5)
            .turned(y=n * 2 * np.pi / count)
        )
        stage.put(blade, made, at=(0, -0.18, 0), parent=blades)
    for radius in (0.68, 0.45, 0.2):
        for y in (-0.26, -0.06):
            ring = shapes.torus(radius, 0.014, 26, 4).turned(x=np.pi / 2)
            stage.put(ring, steel, at=(0, y, 0), parent=head)
    for angle in np.linspace(0, np.pi, 6, endpoint=False):
        stage.put(shapes.box(1.36, 0.012, 0.014).turned(y=angle), steel, at=(0, -0.27, 0), parent=head)
    stage.put(shapes.sphere(0.14, 12, 8), coat, at=(0, -0.26, 0), parent=head)
    speed, wide = 14 + 25 * stage.number("speed"), stage.between(0, 0.5)

    def move(t: float) -> None:
        blades.rotation_euler = (0, speed * t, 0)
        head.rotation_euler = (0, 0, wide * np.sin(1.1 * t))

    stage.every(move)
    sets.indoors(stage)
    sets.distract(stage, 1.4)
    stage.look((0, 0, 0.85), 1.05, elevation=(0, 18), azimuth=(0, 40))


def _drill(stage: Stage) -> None:
    coat, dark = paint.pick_bright(stage.rng), paint.plain((0.02, 0.02, 0.02), 0.8)
    drill = stage.group()
    stage.put(shapes.cylinder(0.2, 0.75).turned(y=np.pi / 2), coat, at=(0.55, 0, 0), parent=drill)
    stage.put(shapes.box(0.22, 0.18, 0.65).turned(y=-0.2), coat, at=(0.75, 0, -0.42), parent=drill)
    stage.put(shapes.box(0.4, 0.3, 0.18), dark, at=(0.8, 0, -0.78), parent=drill)
    stage.put(shapes.cylinder(0.15, 0.2, top=0.08).turned(y=-np.pi / 2), dark, at=(0.1, 0, 0), parent=drill)
    bit = stage.put(_bit(), paint.metal(stage.rng, (0.7, 0.7, 0.72)), parent=drill)
    arm, _ = hand(stage)
    arm.parent, arm.location, arm.rotation_euler = drill, (0.78, 0, -0.35), (0, 2.1, 0)
    wood = stage.pick(paint.wood, paint.stone, paint.metal)(stage.rng)
    stage.put(shapes.box(0.3, 2.4, 2.0), wood, at=(-0.75, 0, 0.7))
    speed = 20 + 30 * stage.number("speed")

    def move(t: float) -> None:
        drill.location = (-0.02 - 0.07 * t, 0.006 * np.sin(60 * t), 1.1 + 0.006 * np.sin(71 * t))
        bit.rotation_euler = (speed * t, 0, 0)

    stage.every(move)
    sets.indoors(stage)
    sets.distract(stage, 1.6)
    stage.look((0.2, 0, 0.9), 1.05, elevation=(2, 26), azimuth=(0, 30))


def _bit() -> Shape:
    """A twisted bit along x, its tip at -0.6."""
    steps = np.linspace(0, 1, 22)
    edges = [
        np.column_stack([-0.6 * steps, 0.05 * np.cos(14 * steps + a), 0.05 * np.sin(14 * steps + a)])
        for a in (0, np.pi)
    ]
    faces = tuple((i, i + 1, 23 + i, 22 + i) for i in range(21))
    return Shape(np.concatenate(edges), faces)


def _robot(stage: Stage) -> None:
    coat, dark = paint.pick_bright(stage.rng), paint.plain((0.03, 0.03, 0.035), 0.5)
    stage.put(shapes.cylinder(0.45, 0.3, top=0.35), dark, at=(0, 0, 0.15))
    turntable = stage.group(at=(0, 0, 0.3))
    stage.put(shapes.sphere(0.25), coat, at=(0, 0, 0.1), parent=turntable)
    upper, lower = (
        stage.put(shapes.rod(0.17, 12, top=0.12), coat),
        stage.put(shapes.rod(0.13, 12, top=0.08), coat),
    )
    elbow, wrist = stage.put(shapes.sphere(0.2), dark), stage.put(shapes.sphere(0.12), dark)
    claws = [stage.put(shapes.box(0.08, 0.05, 0.3), paint.metal(stage.rng)) for _ in range(2)]
    phases, speed = stage.rng.uniform(0, 6, 3), 1.2 + 2.5 * stage.number("speed")

    def move(t: float) -> None:
        a, b, c = 0.5 * np.sin(speed * t + phases)
        out = np.array((np.cos(a * 1.4), np.sin(a * 1.4) * 0.6, 0))
        joint = np.array((0, 0, 0.4)) + out * -0.35 * (1 + b) + (0, 0, 0.85)
        tip = joint + out * 0.85 + (0, 0, -0.1 + 0.7 * c)
        stretch(upper, (0, 0, 0.4), joint)
        stretch(lower, joint, tip)
        elbow.location, wrist.location = joint, tip
        for side, claw in zip((-1, 1), claws, strict=True):
            claw.location = tip + np.array((0.05, side * (0.08 + 0.05 * c), -0.18))
        turntable.rotation_euler = (0, 0, a)

    stage.every(move)
    sets.floor(stage, stage.pick("metal", "stone", "plain"))
    sets.wall(stage, stage.between(2, 3.5))
    sets.daylight(stage)
    sets.distract(stage, 1.3)
    stage.look((0.1, 0, 0.8), 1.15, elevation=(4, 28))


# Rails --------------------------------------------------------------------------------------------------


def train(stage: Stage) -> None:
    """A train or a tram runs past on its rails; a joint of the rail passes with each stroke."""
    tram = stage.word("object", "train") == "tram"
    side = stage.pick(1.0, -1.0)
    every, at = stage.number("every", 0.8), stage.number("at", 0.2)
    speed = side * 1.1 / every  # one length of rail a stroke
    consist = stage.group()
    coat = paint.plain(paint.hsv(stage.between(0, 1), stage.between(0.5, 1), stage.between(0.15, 0.7)), 0.3)
    cars = 3 if tram else 5
    for n in range(-cars // 2 - 1, cars // 2 + 3):
        _carriage(stage, consist, n * 2.5, coat, tram, engine=not tram and n == 1)
    rider = stage.group()
    steel = paint.plain((0.35, 0.33, 0.32), 0.3)
    for y in (-0.3, 0.3):
        stage.put(shapes.box(40, 0.06, 0.1), steel, at=(0, y, 0.08))
    sleepers = np.column_stack([np.arange(-30, 31) * 0.55, np.zeros(61), np.full(61, 0.02)])
    stage.put(
        shapes.swarm(shapes.box(0.2, 1.1, 0.06), sleepers, np.ones(61)),
        paint.plain((0.07, 0.045, 0.03), 0.95),
    )
    start = stage.between(-0.6, 0.6)

    def move(t: float) -> None:
        consist.location = (
            start + speed * (t - at) % (2.5 * side),
            0,
            0.012 * abs(np.sin(np.pi * (t - at) / every)),
        )
        rider.location = (0, 0, 0)

    stage.every(move)
    sets.floor(stage, "road" if tram else stage.pick("gravel", "grass", "earth"), clutter=False)
    sets.horizon(stage, 14)
    _wires(stage, tram)
    sets.daylight(stage)
    stage.world(
        paint.hsv(0.58, 0.12, stage.between(0.6, 0.95)), paint.hsv(0.57, stage.between(0.2, 0.6), 0.9)
    )
    stage.look((0, 0, 0.65), 1.7, elevation=(3, 24), azimuth=(10, 62))


def _carriage(
    stage: Stage, parent: Thing, x: float, coat: paint.Material, tram: bool, *, engine: bool
) -> None:
    pane = paint.plain((0.06, 0.09, 0.12), 0.05) if stage.chance(0.6) else paint.glow((0.9, 0.8, 0.5), 0.9)
    if engine:
        stage.put(
            shapes.cylinder(0.36, 1.5).turned(y=np.pi / 2),
            paint.plain((0.03, 0.03, 0.035), 0.3),
            (x + 0.4, 0, 0.7),
            parent=parent,
        )
        stage.put(shapes.box(0.7, 0.85, 1.1), coat, (x - 0.75, 0, 0.8), parent=parent)
        stage.put(
            shapes.cylinder(0.1, 0.5, top=0.15),
            paint.plain((0.02, 0.02, 0.02), 0.5),
            (x + 0.9, 0, 1.2),
            parent=parent,
        )
    else:
        high = 1.15 if tram else 0.95
        stage.put(shapes.box(2.38, 0.9, high), coat, (x, 0, 0.3 + high / 2), parent=parent)
        stage.put(shapes.box(2.4, 0.92, 0.14), paint.plain((0.7, 0.7, 0.68), 0.5), (x, 0, 0.5), parent=parent)
        stage.put(
            shapes.box(2.3, 0.8, 0.1),
            paint.plain((0.25, 0.26, 0.28), 0.6),
            (x, 0, 0.34 + high),
            parent=parent,
        )
        for n in range(6):
            stage.put(
                shapes.box(0.28, 0.93, 0.32), pane, (x - 1.0 + 0.4 * n, 0, 0.3 + high * 0.66), parent=parent
            )
    for dx in (-0.8, -0.4, 0.4, 0.8):
        wheel = shapes.cylinder(0.18, 0.72, 14).turned(x=np.pi / 2)
        stage.put(wheel, paint.plain((0.05, 0.05, 0.055), 0.5), (x + dx, 0, 0.28), parent=parent)


def _wires(stage: Stage, tram: bool) -> None:
    black = paint.plain((0.02, 0.02, 0.02), 0.8)
    if tram or stage.chance(0.5):
        stage.put(shapes.box(60, 0.015, 0.015), black, at=(0, 0, 1.95))
    for x in (-3.0, 1.5):
        stretch(stage.put(shapes.rod(0.05), black), (x, 1.0, 0), (x, 1.0, 2.3))


SCENES = {"engine": engine, "motor": motor, "train": train}
