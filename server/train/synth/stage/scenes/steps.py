# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking: two legs in some shoes on some ground, each sole down exactly at its hits."""

from __future__ import annotations

from functools import partial

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, stretch
from ..shapes import Shape


def shoe(stage: Stage, kind: str) -> tuple[list[tuple[Shape, paint.Material]], float]:
    """(parts of one shoe with its sole at z = 0, toes along x; height of its ankle)."""
    skin = paint.plain(paint.hsv(0.065, stage.between(0.3, 0.6), stage.between(0.2, 0.75)), 0.7)
    dark = paint.plain(stage.pick((0.03, 0.02, 0.015), (0.1, 0.045, 0.02), (0.16, 0.08, 0.04)), 0.3)
    if kind == "bare feet":
        toes = [shapes.sphere(0.06, 8, 6).moved((0.42, y, 0.06)) for y in (-0.12, -0.04, 0.04, 0.12)]
        sole = shapes.sphere(0.5, 14, 8).moved((0.08, 0, 0.11), (0.8, 0.36, 0.22))
        return [(shapes.join(sole, shapes.sphere(0.13, 10, 7).moved((-0.2, 0, 0.14)), *toes), skin)], 0.2
    if kind == "heels":
        red = paint.plain(paint.hsv(stage.pick(0.0, 0.95, 0.6, 0.1), 0.9, stage.between(0.05, 0.7)), 0.15)
        foot = shapes.sphere(0.5, 14, 8).turned(y=0.32).moved((0.08, 0, 0.2), (0.85, 0.32, 0.34))
        spike = shapes.cylinder(0.03, 0.34, 8, top=0.07).moved((-0.3, 0, 0.17))
        return [(shapes.join(foot, spike), red)], 0.4
    upper = shapes.sphere(0.5, 14, 8).moved((0.08, 0, 0.16), (0.95, 0.38, 0.36))
    sole = shapes.box(0.98, 0.36, 0.09).moved((0.08, 0, 0.045))
    if kind == "boots":
        shaft = shapes.cylinder(0.21, 0.62, 14).moved((-0.18, 0, 0.45))
        return [(shapes.join(upper, shaft), dark), (sole, paint.rubber(stage.rng))], 0.7
    if kind == "sneakers":
        bright = paint.plain(paint.hsv(stage.between(0, 1), stage.between(0.5, 1), 0.7), 0.8)
        tongue = shapes.sphere(0.2, 10, 7).moved((-0.12, 0, 0.3))
        return [(shapes.join(upper, tongue), bright), (sole, paint.plain((0.8, 0.8, 0.8), 0.8))], 0.34
    return [
        (shapes.join(upper, shapes.cylinder(0.16, 0.2, 12).moved((-0.2, 0, 0.25))), dark),
        (sole, dark),
    ], 0.3


def _legs(stage: Stage, kind: str) -> list[tuple[Thing, Thing, float]]:
    """Two legs: (carrier of the shoe, trouser leg to be stretched, height of the ankle)."""
    bare = kind == "bare feet" or (kind == "heels" and stage.chance(0.6))
    skin = paint.hsv(0.065, stage.between(0.3, 0.6), stage.between(0.2, 0.75))
    stuff = paint.plain(skin, 0.7) if bare else paint.cloth(stage.rng)
    parts, ankle = shoe(stage, kind)
    legs = []
    for _ in range(2):
        carrier = stage.group()
        for shape, material in parts:
            stage.put(shape, material, parent=carrier)
        leg = stage.put(shapes.rod(0.13 if bare else 0.19, 12, top=0.27), stuff)
        legs.append((carrier, leg, ankle))
    return legs


def walk(stage: Stage, ground: str) -> None:
    """Somebody walks by; one sees the legs from the knee or the hip down."""
    hits = motion.times(stage.shot)
    stride = 0.7 + 0.6 * stage.number("speed")
    gap = float(np.mean(np.diff(hits))) if len(hits) > 1 else 0.5
    legs = _legs(stage, stage.word("object", "shoes"))
    heading = stage.pick(0.0, np.pi) + stage.between(-0.3, 0.3)
    ahead, aside = np.array((np.cos(heading), np.sin(heading))), np.array((-np.sin(heading), np.cos(heading)))
    lift = stage.between(0.22, 0.4)

    def middle(t: float) -> np.ndarray:
        way = stride * (
            -0.5 * (len(hits) - 1) + np.interp(t, hits, np.arange(len(hits))) if len(hits) > 1 else 0.0
        )
        return np.array((*(ahead * way), 0.0))

    def move(t: float) -> None:
        hip = middle(t)
        for side, (carrier, leg, ankle) in enumerate(legs):
            lands = hits[side::2]
            way, height, part = (
                motion.foot(lands, 1.7 * gap, t, stride=2 * stride, lift=lift) if lands else (0.0, 0.0, 0.0)
            )
            spot = ahead * (way + (side - 0.5 * (len(hits) - 1)) * stride) + aside * (
                0.2 * (1 if side else -1)
            )
            carrier.location = (*spot, height)
            tilt = 0.7 * np.sin(np.pi * 2 * min(part, 1.0)) if height > 0 else 0.0
            carrier.rotation_euler = (0, tilt, heading)
            foot_at = np.array((*spot, height + ankle * 0.8)) - np.array((*(ahead * 0.18), 0))
            stretch(leg, foot_at, np.add(hip, (*(aside * (0.16 if side else -0.16)), 2.5)))

    stage.every(move)
    _street(stage, ground)
    stage.look((0, 0, 0.62), stage.between(0.95, 1.35), elevation=(8, 34), azimuth=(0, 65), follow=middle)


def _street(stage: Stage, ground: str) -> None:
    sets.floor(stage, ground)
    if ground in {"gravel", "snow", "grass"}:
        sets.horizon(stage, 16)
    else:
        sets.wall(stage, stage.between(4.0, 6.0))
    sets.distract(stage, 2.0, 4.0, 0.6)
    sets.daylight(stage)


SCENES = {
    f"steps_{g}": partial(walk, ground=g) for g in ("wood", "stone", "metal", "gravel", "snow", "grass")
}
