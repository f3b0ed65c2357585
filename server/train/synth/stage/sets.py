# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around the main thing: grounds, backdrops, distractors, daylight and night."""

from __future__ import annotations

from collections.abc import Callable

import bpy
import numpy as np

from . import materials as paint
from . import shapes
from .build import Stage, Thing
from .materials import Material, hsv

GROUNDS: dict[str, Callable[[Stage], Material]] = {}


def _ground(name: str) -> Callable[[Callable[[Stage], Material]], Callable[[Stage], Material]]:
    def keep(make: Callable[[Stage], Material]) -> Callable[[Stage], Material]:
        GROUNDS[name] = make
        return make

    return keep


@_ground("wood")
def _planks(stage: Stage) -> Material:
    rng = stage.rng
    pale = paint.vary(rng, 0.075, 0.6, 0.4)
    other = paint.shaded(pale, stage.between(0.55, 0.85))
    return paint.bricks(
        pale, other, paint.shaded(pale, 0.15), stage.between(0.8, 1.5), 2.5, stage.between(0.25, 0.5)
    )


@_ground("stone")
def _slabs(stage: Stage) -> Material:
    grey = paint.vary(stage.rng, stage.pick(0.6, 0.08, 0.1), 0.07, stage.between(0.25, 0.5))
    if stage.chance(0.3):
        return paint.checked(grey, paint.shaded(grey, 0.5), stage.between(1, 2))
    other = paint.shaded(grey, stage.between(0.6, 0.85))
    return paint.bricks(
        grey, other, paint.shaded(grey, 0.35), stage.between(0.7, 1.4), stage.between(0.5, 1), 0.5
    )


@_ground("metal")
def _plates(stage: Stage) -> Material:
    shade = paint.vary(stage.rng, 0.6, 0.1, 0.45)
    recipe = paint.Recipe("plates")
    where = recipe.place((1, 1, 1), (0, 0, float(stage.pick(0.0, 0.785))))
    studs = recipe.node("TexChecker", Vector=where, Scale=stage.between(5, 9))
    studs.inputs["Color1"].default_value = (*shade, 1.0)
    studs.inputs["Color2"].default_value = (*(c * 0.45 for c in shade), 1.0)
    return recipe.surface(studs.outputs[0], stage.between(0.15, 0.3), 0.75, ambient=0.15)


@_ground("earth")
def _earth(stage: Stage) -> Material:
    brown = paint.vary(stage.rng, 0.06, 0.6, 0.16)
    return paint.blotched(brown, paint.shaded(brown, 0.5), stage.between(1.5, 4), detail=5)


@_ground("carpet")
def _carpet(stage: Stage) -> Material:
    shade = stage.backdrop_colour(0.9, 0.3)
    return paint.blotched(shade, paint.shaded(shade, 0.7), 40)


@_ground("grass")
def _lawn(stage: Stage) -> Material:
    green = paint.vary(stage.rng, 0.27, 0.75, 0.2)
    return paint.blotched(green, paint.shaded(green, 0.5), stage.between(2, 6), detail=5)


@_ground("snow")
def _snow(stage: Stage) -> Material:
    white = hsv(0.58, stage.between(0.02, 0.08), 0.62)
    return paint.blotched(white, hsv(0.6, 0.14, 0.5), stage.between(1, 2.5), ambient=0.5)


@_ground("gravel")
def _gravel(stage: Stage) -> Material:
    grey = paint.vary(stage.rng, 0.08, 0.12, 0.25)
    return paint.blotched(grey, paint.shaded(grey, 0.35), 14, detail=3)


@_ground("sand")
def _sand(stage: Stage) -> Material:
    tan = paint.vary(stage.rng, 0.1, 0.45, 0.38)
    return paint.blotched(tan, paint.shaded(tan, 0.8), stage.between(2, 6), detail=4)


@_ground("road")
def _road(stage: Stage) -> Material:
    grey = hsv(0.6, 0.05, stage.between(0.05, 0.14))
    return paint.blotched(grey, paint.shaded(grey, 0.7), 12)


@_ground("plain")
def _plain(stage: Stage) -> Material:
    return paint.plain(stage.backdrop_colour(0.4, 0.6), 0.7)


@_ground("water")
def _pond(stage: Stage) -> Material:
    return paint.water(stage.rng)


def floor(stage: Stage, kind: str, *, wide: float = 60.0, clutter: bool = True) -> Thing:
    """A ground of this kind at height zero, with its stones, blades or lumps in sight."""
    kind = kind if kind in GROUNDS else "plain"
    ground = stage.put(shapes.sheet(wide, wide), GROUNDS[kind](stage), turn=(0, 0, stage.between(-0.6, 0.6)))
    if clutter and kind in _CLUTTER:
        _CLUTTER[kind](stage)
    return ground


def _strewn(stage: Stage, count: int, spread: float) -> np.ndarray:
    """Places (n, 3) on the ground, densest along x, where people walk."""
    places = np.zeros((count, 3))
    places[:, 0] = stage.rng.uniform(-2 * spread, 2 * spread, count)
    places[:, 1] = stage.rng.uniform(-spread, spread, count) * stage.rng.uniform(0.4, 1, count)
    return places


def _pebbles(stage: Stage) -> None:
    stones = shapes.lump(stage.rng, 0.3, 6)
    for tone in (0.18, 0.4):
        places, sizes = _strewn(stage, 240, 2.6), stage.rng.uniform(0.08, 0.22, 240)
        colour = paint.vary(stage.rng, 0.08, 0.1, tone)
        stage.put(
            shapes.swarm(stones, places, sizes, stage.rng.uniform(0, 6, (240, 3))), paint.plain(colour, 0.95)
        )


def _blades(stage: Stage) -> None:
    for tone in (0.16, 0.3):
        count = 750
        sizes = np.ones((count, 3)) * stage.rng.uniform(0.2, 0.5, (count, 1))
        turns = np.column_stack(
            [stage.rng.normal(0, 0.2, (count, 2)), stage.rng.uniform(0, 6.28, (count, 1))]
        )
        colour = paint.vary(stage.rng, 0.26, 0.8, tone)
        stage.put(
            shapes.swarm(shapes.blade(0.2), _strewn(stage, count, 2.6), sizes, turns),
            paint.plain(colour, 0.9),
        )


def _drifts(stage: Stage) -> None:
    count = 16
    sizes = np.column_stack([stage.rng.uniform(0.4, 1.6, (count, 2)), stage.rng.uniform(0.05, 0.2, count)])
    white = paint.plain(hsv(0.58, 0.04, 0.65), 1.0, ambient=0.5)
    places = _strewn(stage, count, 4.0)
    places[:, 1] += np.where(places[:, 1] > -0.7, 0.9, -0.6)  # not over the path
    stage.put(shapes.swarm(shapes.sphere(0.6, 14, 8), places, sizes), white)


_CLUTTER: dict[str, Callable[[Stage], None]] = {"gravel": _pebbles, "grass": _blades, "snow": _drifts}


# Behind -----------------------------------------------------------------------------------------------


def wall(stage: Stage, behind: float = 3.0, material: Material | None = None, *, skew: float = 0.25) -> Thing:
    """An upright wall behind the middle: plain, brick, tiles or striped paper; turned by up to ``skew``."""
    if material is None:
        shade = stage.backdrop_colour(0.35, 0.55)
        other = paint.shaded(shade, stage.between(0.6, 0.9))
        kind = stage.pick("plain", "plain", "bricks", "stripes", "tiles")
        if kind == "bricks":
            material = paint.bricks(shade, other, hsv(0.1, 0.05, 0.5), 1.2, 0.5, 0.22)
        elif kind == "stripes":
            material = paint.striped(stage.rng, shade, other, stage.between(0.4, 1.2))
        elif kind == "tiles":
            material = paint.checked(shade, other, stage.between(0.7, 2))
        else:
            material = paint.plain(shade, 0.9)
    turn = stage.between(-skew, skew)
    return stage.put(shapes.sheet(80, 40), material, at=(0, behind, 0), turn=(np.pi / 2, 0, turn))


def horizon(stage: Stage, far: float = 25.0) -> None:
    """Hills, trees or houses in the distance."""
    kind = stage.pick("hills", "trees", "houses", "none")
    for _ in range(0 if kind == "none" else int(stage.rng.integers(4, 10))):
        at = (stage.between(-18, 18), far + stage.between(-6, 6), 0.0)
        if kind == "hills":
            colour = paint.vary(stage.rng, 0.3, 0.4, 0.2)
            shape = shapes.sphere(1.0, 16, 9)
            stage.put(
                shape, paint.plain(colour, 1.0), at, size=(stage.between(4, 9), 3, stage.between(1.5, 4))
            )
        elif kind == "trees":
            shape = stage.pick(shapes.cylinder(0.5, 1, 8, top=0.02), shapes.sphere(0.6, 10, 7))
            colour = paint.vary(stage.rng, 0.3, 0.7, 0.12)
            high = stage.between(2, 6)
            stage.put(shape, paint.plain(colour, 1.0), (at[0], at[1], high * 0.6), size=(high * 0.5, 1, high))
        else:
            high = stage.between(2, 7)
            colour = stage.backdrop_colour(0.3, 0.4)
            stage.put(shapes.box(3, 3, high), paint.plain(colour, 0.9), (at[0], at[1], high / 2))


def distract(stage: Stage, inner: float = 1.3, outer: float = 3.0, size: float = 0.4) -> None:
    """Things that have nothing to do with the sound: behind and beside the middle, never in front."""
    low, high = stage.layout.distractors
    for _ in range(int(stage.rng.integers(low, high + 1))):
        angle = stage.between(-0.35, np.pi + 0.35)
        away = stage.between(inner, outer)
        shape = _distractor(stage)
        material = _DISTRACTING[int(stage.rng.integers(len(_DISTRACTING)))](stage.rng)
        scale = size * stage.rng.uniform(0.5, 1.3, 3)
        lift = -float(shape.points[:, 2].min()) * scale[2]
        stage.put(
            shape,
            material,
            (away * np.cos(angle), away * np.sin(angle), lift),
            (0, 0, stage.between(0, 6.28)),
            tuple(scale),
        )


_DISTRACTING = (paint.plastic, paint.wood, paint.stone, paint.cloth, paint.metal)


def _distractor(stage: Stage) -> shapes.Shape:
    familiar = (
        shapes.box(),
        shapes.sphere(0.5, 14, 8),
        shapes.cylinder(0.4, 1.2, 14),
        shapes.box(0.5, 0.9, 1.6),
    )
    strange = (
        shapes.cylinder(0.5, 1.4, 4, top=0.0),
        shapes.lathe([(0.4, 0), (0.5, 0.4), (0.2, 0.9), (0.3, 1.2)], 14),
        shapes.box(1.4, 0.25, 1.0),
    )
    return stage.pick(*(strange if stage.layout.unfamiliar else familiar))


# Light ------------------------------------------------------------------------------------------------


def daylight(stage: Stage, strength: float = 1.0, warm: float = 0.0) -> Thing:
    """A sun from above one's shoulder, and a sky."""
    high = np.radians(stage.between(*stage.layout.sun_height))
    side = stage.between(-1.3, 1.3)
    at = (np.sin(side) * np.cos(high), -np.cos(side) * np.cos(high), np.sin(high))
    tint = hsv(0.1, stage.between(0.0, 0.25) + warm, 1.0)
    low = stage.backdrop_colour(0.3, 0.8)
    top = hsv(stage.between(0.52, 0.64), stage.between(0.1, 0.6), stage.between(0.5, 1.0))
    stage.world(low, top)
    return stage.lamp("SUN", strength * stage.between(*stage.layout.sun_strength), at, tint, size=1.0)


def outdoors(stage: Stage, ground: str | None = None, strength: float = 1.0) -> None:
    """A ground under an open sky with something on the horizon."""
    floor(stage, ground or stage.pick("grass", "earth", "sand", "road"), clutter=False)
    horizon(stage)
    daylight(stage, strength)
    blue = hsv(stage.between(0.53, 0.62), stage.between(0.15, 0.5), stage.between(0.7, 1.0))
    stage.world(hsv(0.58, 0.1, stage.between(0.7, 0.95)), blue)


def indoors(stage: Stage, ground: str | None = None, behind: float = 3.0) -> None:
    """A floor, a wall and a lamp."""
    floor(stage, ground or stage.pick("wood", "stone", "carpet", "plain"), clutter=False)
    wall(stage, behind)
    daylight(stage)


def dusk(stage: Stage, bright: float = 0.15) -> None:
    """Little light: a dark sky and a weak blue sun, for what shines by itself."""
    sky = hsv(stage.between(0.58, 0.72), stage.between(0.4, 0.8), bright * stage.between(0.1, 0.5))
    stage.world(sky, paint.shaded(sky, 0.4))
    stage.lamp("SUN", bright, (stage.between(-1, 1), -0.6, 1), hsv(0.6, 0.3, 1), size=1.0)


def dim(material: bpy.types.Material, factor: float) -> bpy.types.Material:
    """Less ambient light on a surface: for scenes at night."""
    for node in material.node_tree.nodes:
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Emission Strength"].default_value *= factor
        elif node.type == "EMISSION":
            node.inputs["Strength"].default_value *= factor
    return material
