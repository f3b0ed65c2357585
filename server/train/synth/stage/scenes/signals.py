# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that tick, ring, warn and type: clocks, bells, alarms and keys, moving exactly at their hits."""

from __future__ import annotations

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, stretch
from .impacts import hand


def clock(stage: Stage) -> None:
    """A wall clock whose hand jumps, or a metronome whose arm turns around, at every hit."""
    (_metronome if stage.word("object", "wall clock") == "metronome" else _wall_clock)(stage)


def _wall_clock(stage: Stage) -> None:
    hits = motion.times(stage.shot)
    dark = stage.chance(0.2)
    face = paint.plain(
        (0.03, 0.03, 0.04) if dark else stage.pick((0.7, 0.7, 0.66), (0.7, 0.6, 0.4), (0.5, 0.65, 0.7)), 0.6
    )
    rim = stage.pick(paint.wood, paint.metal, paint.plastic)(stage.rng)
    standing = np.pi / 2
    stage.put(shapes.cylinder(0.8, 0.1, 30).turned(x=standing), face, at=(0, 0, 1))
    ring = shapes.torus(0.82, 0.08, 30, 8).turned(x=standing)
    stage.put(ring, rim, at=(0, -0.03, 1))
    black = paint.plain((0.8, 0.8, 0.75) if dark else (0.02, 0.02, 0.02), 0.6)
    for n in range(12):
        angle = n * np.pi / 6
        mark = shapes.box(0.05, 0.02, 0.16 if n % 3 == 0 else 0.09).moved((0, 0, 0.64)).turned(y=angle)
        stage.put(mark, black, at=(0, -0.06, 1))
    hands = []
    for length, thick in ((0.42, 0.07), (0.6, 0.045)):
        pointer = stage.put(
            shapes.box(thick, 0.02, length).moved((0, 0, length / 2)), black, at=(0, -0.08, 1)
        )
        pointer.rotation_euler = (0, stage.between(0, 6.28), 0)
        hands.append(pointer)
    red = paint.plain((0.7, 0.02, 0.02), 0.4)
    second = stage.put(shapes.box(0.03, 0.02, 0.8).moved((0, 0, 0.25)), red, at=(0, -0.1, 1))
    start = stage.between(0, 6.28)
    pendulum = _pendulum(stage) if stage.chance(0.4) else None

    def move(t: float) -> None:
        index = motion.last_before(hits, t)
        jump = float(np.exp(-35 * motion.since(hits, t))) * 0.06
        second.rotation_euler = (0, start + (index + 1) * np.pi / 30 * 4 + jump, 0)
        if pendulum:
            pendulum.rotation_euler = (0, 0.3 * _sway(hits, t), 0)

    stage.every(move)
    sets.floor(stage, "wood", clutter=False).location[2] = -2.0
    sets.wall(stage, 0.06, skew=0.0)
    sets.daylight(stage)
    stage.look(
        (0, 0, 0.75 if pendulum else 1.0), 1.35 if pendulum else 1.0, elevation=(-14, 14), azimuth=(0, 34)
    )


def _pendulum(stage: Stage) -> Thing:
    swinger = stage.group(at=(0, -0.1, 0.3))
    brass = paint.metal(stage.rng, (0.8, 0.6, 0.2))
    stage.put(shapes.box(0.03, 0.02, 0.7), brass, at=(0, 0, -0.35), parent=swinger)
    stage.put(shapes.cylinder(0.16, 0.04).turned(x=np.pi / 2), brass, at=(0, 0, -0.75), parent=swinger)
    return swinger


def _sway(hits: tuple[float, ...], t: float) -> float:
    """-1 to 1, at one of its ends with every hit."""
    gap = float(np.mean(np.diff(hits))) if len(hits) > 1 else 0.8
    index = motion.last_before(hits, t)
    if 0 <= index < len(hits) - 1:
        part = (t - hits[index]) / (hits[index + 1] - hits[index])
    else:
        part = ((t - hits[max(index, 0)]) / gap) % 2.0
    return float(np.cos(np.pi * part)) * (1.0 if index % 2 == 0 else -1.0)


def _metronome(stage: Stage) -> None:
    hits = motion.times(stage.shot)
    wood = paint.wood(stage.rng)
    stage.put(shapes.cylinder(0.62, 1.5, 4, top=0.2).turned(z=np.pi / 4), wood, at=(0, 0, 0.75))
    pale = paint.plain((0.6, 0.52, 0.38), 0.6)
    face = shapes.Shape(
        np.array([(-0.3, -0.44, 0.2), (0.3, -0.44, 0.2), (0.11, -0.2, 1.35), (-0.11, -0.2, 1.35)]),
        ((0, 1, 2, 3),),
    )
    stage.put(face, pale)
    arm = stage.group(at=(0, -0.5, 0.25))
    stage.put(shapes.box(0.03, 0.02, 1.3), paint.metal(stage.rng), at=(0, 0, 0.65), parent=arm)
    weight = shapes.box(0.17, 0.06, 0.13)
    stage.put(
        weight, paint.metal(stage.rng, (0.8, 0.6, 0.2)), at=(0, -0.02, stage.between(0.7, 1.15)), parent=arm
    )
    wide = stage.between(0.4, 0.6)
    stage.every(lambda t: setattr(arm, "rotation_euler", (-0.12, wide * _sway(hits, t), 0)))
    sets.indoors(stage, "wood")
    sets.distract(stage, 1.1)
    stage.look((0, 0, 0.78), 1.05, elevation=(0, 24), azimuth=(0, 36))


# Bells --------------------------------------------------------------------------------------------------

_BELL = [
    (0.02, 0.95),
    (0.16, 0.92),
    (0.28, 0.78),
    (0.33, 0.5),
    (0.42, 0.2),
    (0.6, 0.0),
    (0.56, -0.02),
    (0.36, 0.2),
]


def bell(stage: Stage) -> None:
    """A church bell swings and its clapper meets it, a hand bell is shaken, a bowl is struck."""
    {"church bell": _church_bell, "hand bell": _hand_bell}.get(stage.word("object"), _bowl)(stage)


def _bronze(stage: Stage) -> paint.Material:
    return paint.metal(stage.rng, paint.vary(stage.rng, stage.between(0.07, 0.12), 0.65, 0.6))


def _church_bell(stage: Stage) -> None:
    hits = motion.times(stage.shot)
    swinger, clapper = stage.group(at=(0, 0, 1.7)), stage.group(at=(0, 0, 1.55))
    stage.put(shapes.lathe(_BELL, 26), _bronze(stage), at=(0, 0, -1.15), size=1.2, parent=swinger)
    dark = paint.plain((0.03, 0.03, 0.03), 0.6)
    stage.put(shapes.rod(0.035), dark, size=(1, 1, -1.0), parent=clapper)
    stage.put(shapes.sphere(0.13), dark, at=(0, 0, -1.05), parent=clapper)
    beam = paint.wood(stage.rng)
    stage.put(shapes.box(2.6, 0.22, 0.22), beam, at=(0, 0, 1.8))
    for x in (-1.2, 1.2):
        stage.put(shapes.box(0.25, 0.3, 3.4), paint.stone(stage.rng), at=(x, 0.1, 0.2))
    gap = max(float(np.mean(np.diff(hits))) if len(hits) > 1 else 1.4, 0.5)

    def move(t: float) -> None:
        phase = np.pi * (t - hits[0]) / gap
        swinger.rotation_euler = (0.5 * np.cos(phase) * 0.4, 0.5 * np.cos(phase), 0)
        age = motion.since(hits, t)
        clapper.rotation_euler = (0, 0.35 * np.cos(phase) + 0.28 * np.exp(-6 * min(age, 9)), 0)

    stage.every(move)
    sets.floor(stage, "grass", clutter=False).location[2] = -3.0
    sets.daylight(stage)
    stage.world(paint.hsv(0.58, 0.12, 0.85), paint.hsv(0.58, stage.between(0.2, 0.6), 0.8))
    stage.look((0, 0, 1.1), 1.3, elevation=(-20, 4), azimuth=(0, 30))


def _hand_bell(stage: Stage) -> None:
    hits = motion.times(stage.shot)
    shaken = stage.group(at=(0, 0, 1.5))
    stage.put(shapes.lathe(_BELL, 24), _bronze(stage), at=(0, 0, -1.1), parent=shaken)
    stage.put(shapes.cylinder(0.07, 0.5, 12), paint.wood(stage.rng), at=(0, 0, 0.05), parent=shaken)
    stage.put(shapes.sphere(0.09), paint.plain((0.05, 0.05, 0.05), 0.5), at=(0.1, 0, -1.12), parent=shaken)
    arm, _ = hand(stage)
    arm.parent, arm.location = shaken, (0, 0, 0.15)

    def move(t: float) -> None:
        age = motion.since(hits, t)
        ring = 0.5 * np.cos(16 * age) * np.exp(-2.2 * age) if age < 9 else 0.0
        shaken.rotation_euler = (0, ring, 0)

    stage.every(move)
    sets.indoors(stage)
    sets.distract(stage, 1.5)
    stage.look((0, 0, 0.95), 1.1, elevation=(-6, 18))


def _bowl(stage: Stage) -> None:
    hits = motion.times(stage.shot)
    inside = [(0, 0.0), (0.35, 0.02), (0.62, 0.2), (0.75, 0.5), (0.7, 0.5), (0.57, 0.22), (0, 0.08)]
    stage.put(shapes.lathe(inside, 26), _bronze(stage), at=(0, 0, 0.12))
    stage.put(shapes.sphere(0.5, 16, 9), paint.cloth(stage.rng), at=(0, 0, 0.05), size=(1.5, 1.5, 0.28))
    mallet = stage.group(at=(1.35, -0.1, 1.05))
    felt = paint.cloth(stage.rng, paint.hsv(stage.between(0, 1), 0.7, 0.5), stripes=False)
    stage.put(shapes.cylinder(0.13, 0.26, 12).turned(y=np.pi / 2), felt, at=(-0.6, 0, -0.35), parent=mallet)
    stretch(
        stage.put(shapes.rod(0.04), paint.wood(stage.rng), parent=mallet), (-0.6, 0, -0.35), (0.1, 0, 0.05)
    )
    arm, _ = hand(stage)
    arm.parent, arm.location = mallet, (0, 0, 0.05)

    def move(t: float) -> None:
        ahead = [hit - t for hit in hits if hit >= t]
        wait = min(ahead[0] / 0.35, 1.0) if ahead else 1.0
        away = min(wait, motion.since(hits, t) / 0.3, 1.0)
        mallet.rotation_euler = (0, 0.75 * away, 0)
        mallet.location = (1.35 - 0.16 * (1 - away), -0.1, 1.0 + 0.25 * away)

    stage.every(move)
    sets.indoors(stage, "wood")
    sets.distract(stage, 1.4)
    stage.look((0.2, 0, 0.5), 1.05, elevation=(14, 40))


# Alarms -------------------------------------------------------------------------------------------------


def alarm(stage: Stage) -> None:
    """A red lamp flashes with every stroke: a siren on a wall, or a beeping box."""
    siren = stage.word("object", "siren") == "siren"
    red = paint.hsv(stage.pick(0.0, 0.0, 0.01, 0.03), 1.0, 1.0)
    lamp_glass = paint.glow(red, 1.0)
    light = next(n for n in lamp_glass.node_tree.nodes if n.type == "EMISSION").inputs["Strength"]
    if siren:
        stage.put(shapes.cylinder(0.5, 0.25), paint.plain((0.08, 0.08, 0.09), 0.4), at=(0, 0, 0.6))
        dome = [(0.42, 0.0), (0.42, 0.5), (0.34, 0.72), (0.18, 0.84), (0, 0.87)]
        stage.put(shapes.lathe(dome, 22), lamp_glass, at=(0, 0, 0.72))
        for x in (-0.7, 0.7):
            horn = shapes.cylinder(0.1, 0.5, 16, top=0.36).turned(x=np.pi / 2)
            stage.put(horn, paint.plastic(stage.rng, (0.75, 0.75, 0.7)), at=(x, -0.15, 0.4))
    else:
        case = paint.plain(stage.pick((0.8, 0.8, 0.78), (0.1, 0.1, 0.11), (0.7, 0.05, 0.03)), 0.4)
        stage.put(shapes.box(1.3, 0.35, 0.85), case, at=(0, 0, 0.9))
        stage.put(shapes.sphere(0.2), lamp_glass, at=(0, -0.14, 1.1))
        for n in range(5):
            stage.put(
                shapes.box(0.8, 0.02, 0.03),
                paint.plain((0.02, 0.02, 0.02), 0.8),
                at=(0, -0.18, 0.58 + 0.07 * n),
            )
    beam = stage.put(shapes.star(7, 0.3), paint.haze(red, 0.5, 1.5), at=(0, -0.5, 1.1), size=0.8)
    lamp = stage.lamp("POINT", 0.0, (0, -0.9, 1.15), red)
    full = stage.between(80, 180)

    def move(t: float) -> None:
        stroke, part = motion.swing(stage.shot, t)
        lit = (1.0 if part < 0.55 else 0.12) if stroke >= 0 else 0.12
        light.default_value = 0.35 + 2.2 * lit
        lamp.data.energy = full * lit
        beam.hide_render = lit < 0.5
        beam.rotation_euler = (0, 2.5 * t, 0)

    stage.every(move)
    sets.dusk(stage, stage.between(0.1, 0.8))
    ground = sets.floor(stage, stage.pick("metal", "stone", "plain"), clutter=False)
    sets.dim(ground.data.materials[0], 0.4)
    sets.dim(sets.wall(stage, 0.6).data.materials[0], 0.4)
    stage.look((0, 0, 0.95), 1.15, elevation=(-6, 22), azimuth=(0, 42))


# Keys ---------------------------------------------------------------------------------------------------


def typewriter(stage: Stage) -> None:
    """A typewriter with its paper, or a keyboard with its screen; a finger is down at each hit."""
    old = stage.word("object", "typewriter") == "typewriter"
    hits = motion.times(stage.shot)
    cap = paint.plain(stage.pick((0.03, 0.03, 0.03), (0.85, 0.83, 0.75), (0.25, 0.26, 0.28)), 0.3)
    round_key, square = shapes.cylinder(0.06, 0.05, 12), shapes.box(0.115, 0.115, 0.06)
    keys = []
    for row in range(4):
        for column in range(11):
            lift = 0.06 * row if old else 0.0
            at = (-0.72 + 0.135 * column + 0.04 * row, -0.55 + 0.145 * row, 0.28 + lift if old else 0.13)
            keys.append((stage.put(round_key if old else square, cap, at), at))
    keys.append(
        (
            stage.put(shapes.box(0.8, 0.1, 0.05), cap, (0, -0.7, 0.24 if old else 0.13)),
            (0, -0.7, 0.24 if old else 0.13),
        )
    )
    carriage = (_old_machine if old else _screen)(stage)
    struck = stage.rng.integers(0, len(keys), len(hits))
    skin = paint.plain(paint.hsv(0.065, stage.between(0.3, 0.6), stage.between(0.25, 0.75)), 0.7)
    fingers = [_finger(stage, skin) for _ in range(2)]

    def move(t: float) -> None:
        index = motion.last_before(hits, t)
        for n, (key, at) in enumerate(keys):
            down = index >= 0 and struck[index] == n and motion.since(hits, t) < 0.09
            key.location[2] = at[2] - (0.045 if down else 0.0)
        for side, finger in enumerate(fingers):
            _type(finger, side, hits, struck, keys, t)
        if carriage:
            carriage.location[0] = 0.5 - 0.05 * (index + 1)

    stage.every(move)
    sets.indoors(stage, stage.pick("wood", "wood", "plain", "stone"), behind=stage.between(1.2, 2.5))
    sets.distract(stage, 1.4, 2.4)
    stage.look((0, -0.05, 0.4), 1.1, elevation=(24, 52), azimuth=(0, 38))


def _finger(stage: Stage, skin: paint.Material) -> Thing:
    """A hand with one finger out; the tip is at the origin."""
    carrier = stage.group()
    stage.put(shapes.sphere(0.5, 12, 8), skin, at=(0, -0.3, 0.2), size=(0.36, 0.4, 0.16), parent=carrier)
    for x in (-0.1, 0.0, 0.1):
        joint = stage.put(shapes.rod(0.035, 8), skin, parent=carrier)
        stretch(joint, (x * 1.2, -0.15, 0.2), (x, 0.0, 0.03 if x == 0 else 0.09))
    sleeve = stage.put(shapes.rod(0.13, 10, top=0.2), paint.cloth(stage.rng), parent=carrier)
    stretch(sleeve, (0, -0.42, 0.2), (0, -1.3, 0.3))
    return carrier


def _type(
    finger: Thing, side: int, hits: tuple[float, ...], struck: np.ndarray, keys: list, t: float
) -> None:
    """The finger of one hand, over the key of its next or last hit, and down on it at the hit."""
    mine = [n for n in range(len(hits)) if n % 2 == side]
    if not mine:
        finger.location = (0.5 - side, -0.5, 0.45)
        return
    near = min(mine, key=lambda n: abs(hits[n] - t))
    at = keys[int(struck[near])][1]
    lift = min(abs(hits[near] - t) / 0.12, 1.0) * 0.16
    finger.location = (at[0], at[1], at[2] + 0.0 + lift)


def _old_machine(stage: Stage) -> Thing:
    coat = paint.plain(
        paint.hsv(stage.pick(0.0, 0.35, 0.58, 0.5), stage.pick(0.1, 0.8), stage.between(0.04, 0.4)), 0.25
    )
    side = shapes.Shape(
        np.array(
            [
                (-0.95, -0.85, 0),
                (-0.95, -0.85, 0.16),
                (-0.95, 0.1, 0.42),
                (-0.95, 0.25, 0.7),
                (-0.95, 0.75, 0.7),
                (-0.95, 0.75, 0),
            ]
        ),
        (),
    )
    count = len(side.points)
    points = np.concatenate([side.points, side.points * (-1, 1, 1)])
    walls = tuple((i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count))
    stage.put(shapes.Shape(points, (tuple(range(count)), tuple(range(count, 2 * count)), *walls)), coat)
    carriage = stage.group(at=(0, 0.5, 0.78))
    black = paint.plain((0.02, 0.02, 0.02), 0.5)
    stage.put(shapes.cylinder(0.11, 1.7, 14).turned(y=np.pi / 2), black, parent=carriage)
    for x in (-0.9, 0.9):
        stage.put(
            shapes.cylinder(0.13, 0.08, 12).turned(y=np.pi / 2),
            paint.metal(stage.rng),
            at=(x, 0, 0),
            parent=carriage,
        )
    stage.put(
        shapes.sheet(1.1, 0.75).turned(x=1.35),
        paint.plain((0.9, 0.9, 0.87), 0.9),
        at=(0, 0.05, 0.4),
        parent=carriage,
    )
    for n in range(3):
        line = shapes.box(0.8, 0.01, 0.03)
        stage.put(
            line, black, at=(-0.05, -0.03 + 0.02 * n, 0.3 + 0.12 * n), turn=(-0.22, 0, 0), parent=carriage
        )
    return carriage


def _screen(stage: Stage) -> None:
    coat = paint.plain(stage.pick((0.03, 0.03, 0.03), (0.75, 0.74, 0.68), (0.45, 0.46, 0.48)), 0.4)
    stage.put(shapes.box(1.75, 0.85, 0.1), coat, at=(0, -0.38, 0.06))
    stage.put(shapes.box(1.7, 0.08, 1.1), coat, at=(0, 0.55, 0.85))
    stage.put(
        shapes.sheet(1.55, 0.95).turned(x=np.pi / 2),
        paint.glow(paint.hsv(stage.between(0.4, 0.7), 0.7, 0.3), 1.0),
        at=(0, 0.5, 0.85),
    )
    bright = paint.glow((0.8, 0.95, 0.85), 1.0)
    for n in range(6):
        long = stage.between(0.3, 1.2)
        stage.put(shapes.box(long, 0.01, 0.05), bright, at=(-0.68 + long / 2, 0.49, 1.2 - 0.13 * n))
    stretch(stage.put(shapes.rod(0.1), coat), (0, 0.58, 0), (0, 0.58, 0.4))


SCENES = {"clock": clock, "bell": bell, "alarm": alarm, "typewriter": typewriter}
