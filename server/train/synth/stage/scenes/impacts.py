# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that fall and bounce, things that break. Each touches the ground exactly when the shot says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, rest_on, stretch
from ..shapes import Shape


def body(stage: Stage, name: str, material: str) -> Shape:
    """The shape of an object's plain name, about one unit large; stones are rough, plastic has studs."""
    b = stage.between
    rough = material == "stone"
    made: dict[str, Shape] = {
        "ball": shapes.lump(stage.rng, 0.1, 14) if rough else shapes.sphere(0.5),
        "cube": shapes.box(0.8, 0.8, 0.8),
        "block": shapes.box(b(1.1, 1.4), b(0.4, 0.7), b(0.3, 0.5)),
        "cylinder": shapes.cylinder(b(0.26, 0.4), b(0.8, 1.2)),
        "cone": shapes.cylinder(b(0.4, 0.5), b(0.9, 1.2), top=0.01),
        "ring": shapes.torus(0.42, b(0.1, 0.16)),
        "disc": shapes.cylinder(b(0.5, 0.62), b(0.08, 0.16), 26),
        "rod": shapes.cylinder(b(0.07, 0.11), b(1.4, 1.7), 12),
        "bottle": _bottle(),
        "cup": _cup(),
        "plate": shapes.lathe([(0, -0.04), (0.3, -0.04), (0.6, 0.08), (0.62, 0.1), (0.3, 0.0), (0, 0.0)], 26),
        "pane": shapes.box(1.1, 0.05, 1.1),
        "jar": shapes.lathe(
            [(0, -0.5), (0.4, -0.5), None, (0.42, 0.3), (0.3, 0.42), (0.3, 0.55), (0.27, 0.55)]
        ),
    }
    shape = made.get(name, made["ball"])
    if rough and name != "ball":
        nicks = stage.rng.normal(0, 0.035, shape.points.shape)
        shape = Shape(shape.points + nicks, shape.faces, smooth=False)
    if material == "plastic" and name in {"cube", "block"}:
        shape = _studded(shape)
    return shape


def _bottle() -> Shape:
    return shapes.lathe(
        [
            (0, -0.7),
            (0.28, -0.7),
            None,
            (0.28, 0.1),
            (0.1, 0.4),
            (0.1, 0.68),
            (0.13, 0.68),
            (0.13, 0.75),
            (0.08, 0.75),
        ]
    )


def _cup() -> Shape:
    profile = [(0, -0.4), (0.26, -0.4), None, (0.36, 0.45), (0.33, 0.45), (0.24, -0.34), (0, -0.34)]
    return shapes.lathe(profile)


def _studded(shape: Shape) -> Shape:
    """A toy brick."""
    high = shape.points.max(axis=0)
    across = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
    studs = [
        shapes.cylinder(0.13, 0.14, 10).moved((x * high[0], y * high[1], high[2] + 0.06)) for x, y in across
    ]
    return shapes.join(shape, *studs)


# How it comes to lie: the angles about x and y end at a whole number of (first) plus (second).
_LYING = {
    **dict.fromkeys(("cone", "rod", "cylinder"), ((np.pi, np.pi / 2), (np.pi, np.pi / 2))),
    **dict.fromkeys(("disc", "ring"), ((np.pi, 0.0), (np.pi, 0.0))),
}


def _tumble(stage: Stage, thing: Thing, shape: Shape, drop: float, name: str) -> None:
    """Let ``thing`` fall, bounce and tumble; its lowest point meets the ground at every hit."""
    hits = motion.times(stage.shot)
    pull = motion.gravity_for(hits, drop)
    heading, run = stage.between(0, 6.28), stage.between(0.05, 0.3)
    start = stage.rng.uniform(-0.5, 0.5, 3) * (1, 1, 6)
    spin = stage.rng.normal(0, 1.0, 3) * (2.5, 2.5, 1.5)

    def move(t: float) -> None:
        way = motion.travelled(hits, t)
        at = (run * np.cos(heading) * (way - 0.4), run * np.sin(heading) * (way - 0.4), 0.0)
        turn = start + spin * way
        if motion.last_before(hits, t) >= len(hits) - 1:  # comes to lie: tips onto its nearest side
            calm = motion.fade(t, hits[-1], 0.25)
            for axis, (whole, plus) in enumerate(_LYING.get(name, ((np.pi / 2, 0.0), (np.pi / 2, 0.0)))):
                lain = np.round((turn[axis] - plus) / whole) * whole + plus
                turn[axis] += (lain - turn[axis]) * calm
        rest_on(thing, shape.points, tuple(turn), at, motion.fall_height(hits, t, drop, pull))

    stage.every(move)


def impact(stage: Stage, material: str) -> None:
    """One object of a material falls onto a ground and bounces."""
    shape = body(stage, stage.word("object", "ball"), material)
    size = 0.8 + 0.55 * stage.number("size")
    thing = stage.put(shape, paint.by_name(material, stage.rng), size=size)
    drop = stage.between(0.5, 0.8) + 0.5 * stage.number("speed")
    _tumble(stage, thing, shape, drop, stage.word("object", "ball"))
    sets.floor(stage, stage.word("ground", "wood"))
    if stage.chance(0.75):
        sets.wall(stage, stage.between(2.2, 4.0))
    sets.distract(stage)
    sets.daylight(stage)
    stage.look((0, 0, 0.42 * (drop + size)), 0.5 * (drop + size))


# Breaking -------------------------------------------------------------------------------------------


def glass_break(stage: Stage) -> None:
    """Something of glass falls, and at the hit it is splinters that fly apart and come to lie."""
    hit = motion.times(stage.shot)[0]
    shape = body(stage, stage.word("object", "bottle"), "glass")
    tint = paint.hsv(stage.between(0.3, 0.6), stage.between(0.05, 0.5), 0.95)
    glass = paint.glass(stage.rng, tint)
    whole = stage.put(shape, glass, size=0.7 + 0.5 * stage.number("size"))
    turn = tuple(stage.rng.normal(0, 0.35, 3))
    drop = stage.between(0.9, 1.5)
    count = int(30 + 50 * stage.number("intensity"))
    pieces = [shapes.shard(stage.rng, s) for s in stage.rng.uniform(0.15, 0.5, count)]
    white = paint.plain(paint.hsv(0.5, 0.1, 0.9), 0.1, ambient=0.5)
    splinters = [stage.put(piece, glass if n % 2 else white) for n, piece in enumerate(pieces)]
    angles, speeds = stage.rng.uniform(0, 6.28, count), stage.rng.uniform(0.3, 2.6, count)
    leap, spins = stage.rng.uniform(0.5, 3.2, count), stage.rng.normal(0, 5, (count, 3))

    def move(t: float) -> None:
        broken = t >= hit
        whole.hide_render = broken
        rest_on(whole, shape.points, turn, (0, 0, 0), motion.fall_height((hit,), t, drop, 14.0))
        for n, splinter in enumerate(splinters):
            splinter.hide_render = not broken
            if broken:
                _fly(splinter, t - hit, angles[n], speeds[n], leap[n], spins[n])

    stage.every(move)
    sets.floor(stage, stage.word("ground", "stone"))
    sets.wall(stage, stage.between(2.2, 3.5))
    sets.distract(stage, 1.6)
    sets.daylight(stage)
    stage.look((0, 0, 0.55), 1.15, elevation=(16, 40))


def _fly(splinter: Thing, age: float, angle: float, speed: float, leap: float, spin: np.ndarray) -> None:
    flight = 2 * leap / 9.81
    flown = min(age, flight)
    slide = 0.25 * (1 - np.exp(-4 * max(age - flight, 0)))
    away = speed * (flown + slide * 0.4)
    splinter.location = (
        away * np.cos(angle),
        away * np.sin(angle),
        max(leap * flown - 4.9 * flown**2, 0.0) + 0.03,
    )
    flat = 0.0 if age >= flight else 1.0
    splinter.rotation_euler = (spin[0] * flown * flat, spin[1] * flown * flat, spin[2] * flown)


# Hanging by hand, used by other scenes ----------------------------------------------------------------


def hand(stage: Stage, skin: paint.Material | None = None) -> tuple[Thing, Thing]:
    """A sleeve and a fist: (carrier of both, sleeve). The fist is at the origin, the arm goes up."""
    tone = paint.hsv(0.065, stage.between(0.3, 0.6), stage.between(0.2, 0.75))
    skin = skin or paint.plain(tone, 0.7)
    carrier = stage.group()
    stage.put(shapes.sphere(0.17, 12, 8), skin, size=(1, 0.8, 1), parent=carrier)
    stage.put(shapes.sphere(0.07, 8, 6), skin, at=(0.12, -0.08, -0.05), parent=carrier)
    sleeve = stage.put(shapes.rod(0.15, 12, top=0.24), paint.cloth(stage.rng), parent=carrier)
    stretch(sleeve, (0, 0, 0.1), (stage.between(-0.2, 0.2), stage.between(0.2, 0.5), 1.6))
    return carrier, sleeve


SCENES: dict[str, Callable[[Stage], None]] = {
    **{
        f"impact_{m}": partial(impact, material=m)
        for m in ("wood", "metal", "glass", "stone", "plastic", "rubber")
    },
    "glass_break": glass_break,
}
