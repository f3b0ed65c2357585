# SPDX-License-Identifier: GPL-3.0-or-later
"""Water: drops, pouring, splashes, streams, rain and waves."""

from __future__ import annotations

import numpy as np

from .. import materials as paint
from .. import motion, sets, shapes
from ..build import Stage, Thing, reshape, stretch
from .impacts import hand


def _rings(stage: Stage, hits: tuple[float, ...], at: tuple[float, float, float], size: float) -> None:
    """Circles that spread on the water from every hit, and a crown of droplets."""
    pale = paint.plain(paint.hsv(0.55, 0.15, 0.95), 0.2, ambient=0.5)
    circles = [stage.put(shapes.torus(1.0, 0.05, 24, 5), pale, at=at) for _ in range(3)]
    count = 14
    angles, leap = stage.rng.uniform(0, 6.28, count), stage.rng.uniform(1.2, 2.6, count) * size
    beads = [stage.put(shapes.sphere(0.045 * size, 8, 5), pale) for _ in range(count)]

    def move(t: float) -> None:
        age = motion.since(hits, t)
        for n, circle in enumerate(circles):
            spread = (0.08 + 1.1 * max(age - 0.09 * n, 0)) * size
            circle.hide_render = not 0.09 * n <= age < 1.4
            circle.scale = (spread, spread, 0.35 * size * max(1 - age / 1.4, 0.05))
        for angle, jump, bead in zip(angles, leap, beads, strict=True):
            up = jump * age - 4.9 * age * age
            bead.hide_render = bool(up <= 0 or age > 2)
            away = 0.1 * size + 0.7 * size * min(age, 2)
            bead.location = (at[0] + away * np.cos(angle), at[1] + away * np.sin(angle), at[2] + up)

    stage.every(move)


def drops(stage: Stage) -> None:
    """Drops fall one by one: from a tap into a basin, from a rock in a cave, onto open water."""
    hits, place = motion.times(stage.shot), stage.word("ground", "basin")
    top = {"basin": 0.95, "cave": 1.5}.get(place, 1.5)
    bead = stage.put(shapes.drop(0.075), paint.plain(paint.hsv(0.55, 0.3, 0.95), 0.05, ambient=0.5))
    falls = np.sqrt(2 * top / 9.81)

    def move(t: float) -> None:
        coming = motion.last_before(hits, t) + 1
        ahead = hits[coming] - t if coming < len(hits) else 9.0
        fallen = max(falls - ahead, 0.0)
        grown = float(np.clip(1.3 - (ahead - falls) * 2.0, 0.25, 1.0))
        bead.scale = (grown, grown, grown)
        bead.location = (0, 0, 0.1 + top - 0.5 * 9.81 * fallen**2)

    stage.every(move)
    _rings(stage, hits, (0, 0, 0.1), 0.5)
    {"basin": _basin, "cave": _cave}.get(place, _open_water)(stage, top)
    stage.look((0, 0, 0.62), 1.0 if place == "basin" else 1.1, elevation=(10, 34))


def _basin(stage: Stage, top: float) -> None:
    white = paint.plain(stage.pick((0.8, 0.8, 0.8), (0.75, 0.7, 0.6), (0.5, 0.6, 0.65)), 0.15, ambient=0.4)
    bowl = [(0.2, 0.0), (0.85, 0.1), (1.05, 0.5), (1.15, 0.5), (1.15, 0.42), (0.9, -0.05)]
    stage.put(shapes.lathe(bowl, 28), white, at=(0, 0, -0.1))
    stage.put(shapes.cylinder(0.92, 0.02, 28), paint.water(stage.rng), at=(0, 0, 0.09))
    steel = paint.metal(stage.rng)
    stand, spout, lip = (stage.put(shapes.rod(r), steel) for r in (0.1, 0.085, 0.08))
    stretch(stand, (0, 0.75, 0.3), (0, 0.75, top + 0.4))
    stretch(spout, (0, 0.8, top + 0.36), (0, -0.06, top + 0.36))
    stretch(lip, (0, 0, top + 0.4), (0, 0, top + 0.16))
    cross = stage.put(shapes.box(0.45, 0.1, 0.08), steel, at=(0, 0.75, top + 0.5))
    cross.rotation_euler = (0, 0, stage.between(0, 3))
    tiles = paint.checked(stage.backdrop_colour(0.4, 0.8), (0.7, 0.7, 0.7), stage.between(1.5, 3))
    sets.floor(stage, "plain", clutter=False).location[2] = -0.2
    sets.wall(stage, 1.5, tiles)
    sets.daylight(stage)


def _cave(stage: Stage, top: float) -> None:
    rock = paint.stone(stage.rng, paint.vary(stage.rng, 0.08, 0.3, 0.2))
    for _ in range(9):
        x, y = stage.between(-2.2, 2.2), stage.between(0.5, 2.5)
        cone = shapes.cylinder(0.3, 1.0, 9, top=0.02)
        stage.put(cone, rock, (x, y, top + 0.8), (np.pi, 0, 0), size=(1, 1, stage.between(0.6, 1.6)))
        stage.put(cone, rock, (x * 1.2, y + 0.3, 0.2), size=(1, 1, stage.between(0.3, 1)))
    stage.put(shapes.cylinder(0.35, 1.2, 9, top=0.04), rock, (0, 0, top + 0.75), (np.pi, 0, 0))
    stage.put(shapes.sphere(1.0, 20, 11), rock, (0, 0, 1.2), size=(6, 5, 4))
    stage.put(shapes.cylinder(1.3, 0.02, 28), paint.water(stage.rng), at=(0, 0, 0.09))
    sets.floor(stage, "earth", clutter=False)
    stage.world((0.02, 0.02, 0.03), (0.05, 0.06, 0.08))
    stage.lamp("POINT", stage.between(60, 130), (stage.between(-1, 1), -1.6, 2.0), (1, 0.85, 0.65))


def _open_water(stage: Stage, top: float) -> None:
    stage.put(shapes.sheet(60, 60), paint.water(stage.rng), at=(0, 0, 0.09))
    green = paint.plain(paint.vary(stage.rng, 0.28, 0.8, 0.25), 0.5)
    for _ in range(4):
        at = (stage.between(-1.6, 1.6), stage.between(0.6, 2.0), 0.11)
        stage.put(shapes.cylinder(stage.between(0.2, 0.4), 0.02, 14), green, at)
    branch = stage.put(shapes.rod(0.05), paint.wood(stage.rng))
    stretch(branch, (-0.9, 0.15, top + 0.7), (0.1, 0, top + 0.25))
    stage.put(shapes.leaf(0.5, 0.8), green, at=(0, 0, top + 0.24), turn=(0, 0.6, 0))
    sets.horizon(stage)
    sets.daylight(stage)


def pour(stage: Stage) -> None:
    """A tilted jug gives a steady stream into a glass, a bucket or a bottle, which fills up."""
    name, wide = stage.word("object", "glass"), 0.55 + 0.35 * stage.number("size")
    high = {"bucket": 0.75, "bottle": 1.0}.get(name, 0.85)
    drink = paint.plain(
        stage.pick(
            (0.1, 0.35, 0.6), (0.55, 0.3, 0.03), (0.4, 0.02, 0.05), (0.75, 0.7, 0.6), (0.5, 0.75, 0.9)
        ),
        0.1,
        ambient=0.5,
    )
    _vessel(stage, name, wide, high)
    filling = stage.put(shapes.cylinder(0.5, 1.0).moved((0, 0, 0.5)), drink)
    flow = stage.put(shapes.rod(0.055, 10, top=0.08), drink)
    jug, tilt = _jug(stage, drink)
    side = stage.pick(-1.0, 1.0)
    jug.location = (side * 0.6, 0, high + 0.62)
    jug.rotation_euler = (0, -tilt, 0 if side > 0 else np.pi)
    start = stage.between(0.05, 0.3)

    def move(t: float) -> None:
        level = high * min(start + 0.25 * t, 0.85)
        filling.scale = (wide * 0.82, wide * 0.82, level)
        shake = 0.02 * np.sin(17 * t)
        stretch(flow, (0.04 * side + shake, 0, level), (side * 0.13, 0, high + 0.5))

    stage.every(move)
    sets.indoors(stage)
    sets.distract(stage, 1.2, 2.5)
    stage.look((side * 0.25, 0, 0.9), 1.15, elevation=(6, 26), azimuth=(0, 35))


def _vessel(stage: Stage, name: str, wide: float, high: float) -> None:
    radius = wide / 2
    if name == "bucket":
        made = stage.pick(paint.plastic, paint.metal)(stage.rng)
        profile = [
            (radius * 0.8, 0.0),
            (radius * 1.15, high),
            None,
            (radius * 1.22, high),
            (radius * 1.22, high - 0.06),
        ]
        stage.put(shapes.lathe(profile), made)
        loop = shapes.torus(radius * 1.15, 0.02, 24, 5).turned(x=1.0)
        stage.put(loop, paint.metal(stage.rng), at=(0, 0, high - 0.1))
    elif name == "bottle":
        neck = [
            (0, 0),
            (radius, 0),
            None,
            (radius, high * 0.6),
            (0.12, high * 0.85),
            (0.12, high),
            (0.15, high),
        ]
        stage.put(shapes.lathe(neck), paint.glass(stage.rng, paint.hsv(stage.pick(0.3, 0.1, 0.5), 0.5, 0.9)))
    else:
        profile = [(0, 0), (radius * 0.85, 0), None, (radius, high), (radius * 0.96, high)]
        stage.put(shapes.lathe(profile), paint.glass(stage.rng))


def _jug(stage: Stage, drink: paint.Material) -> tuple[Thing, float]:
    """A jug with its spout towards -x; (it, how far it tips)."""
    carrier = stage.group()
    made = stage.pick(paint.plastic, paint.metal, paint.glass, paint.stone)(stage.rng)
    belly = [(0, -0.4), (0.3, -0.4), (0.4, -0.1), (0.24, 0.3), (0.3, 0.45)]
    stage.put(shapes.lathe(belly), made, parent=carrier)
    loop = shapes.torus(0.22, 0.04, 16, 6).turned(x=np.pi / 2)
    stage.put(loop, made, at=(0.42, 0, 0.0), parent=carrier)
    stage.put(shapes.cylinder(0.26, 0.02, 16), drink, at=(-0.02, 0, 0.4), parent=carrier)
    arm, _ = hand(stage)
    arm.parent, arm.location, arm.rotation_euler = carrier, (0.62, 0, 0), (0, 1.6, 0)
    return carrier, stage.between(1.2, 1.5)


def splash(stage: Stage) -> None:
    """Something falls into open water; a crown and a column of spray rise at each hit."""
    hits, name = motion.times(stage.shot), stage.word("object", "stone")
    size = 0.3 + 0.35 * stage.number("size")
    shape = {"ball": shapes.sphere(0.5), "cube": shapes.box(0.8, 0.8, 0.8)}.get(name, shapes.lump(stage.rng))
    made = {"stone": paint.stone}.get(name, stage.pick(paint.plastic, paint.rubber))(stage.rng)
    bodies = [stage.put(shape, made, size=size) for _ in hits]
    foam = paint.plain(paint.hsv(0.55, 0.08, 0.95), 0.4, ambient=0.55)
    crown = stage.put(_crown(stage), foam)
    count = 90
    angles, speed = stage.rng.uniform(0, 6.28, count), stage.rng.uniform(0.2, 1.1, count)
    leap, sizes = stage.rng.uniform(1.5, 5.0, count), stage.rng.uniform(0.02, 0.07, count)
    rest = shapes.swarm(shapes.sphere(1.0, 6, 4), np.zeros((count, 3)), sizes)
    spray = stage.put(rest, foam)
    each = len(rest.points) // count
    power = 0.7 + 0.6 * stage.number("intensity")

    def move(t: float) -> None:
        age = motion.since(hits, t)
        for hit, thing in zip(hits, bodies, strict=True):
            ahead = hit - t
            high = 4.9 * ahead**2 if ahead > 0 else -1.2 * min(-ahead, 1)
            thing.location = (0, 0, min(high, 1.9) + size * 0.4 * (ahead > 0))
            thing.rotation_euler = (t * 3, t, 0)
            thing.hide_render = ahead > 0.75 and hit != hits[0]
        rise = float(np.sin(np.pi * min(age / 0.7, 1.0))) * power
        crown.hide_render = rise < 0.02
        crown.scale = (0.35 + 0.7 * min(age, 1), 0.35 + 0.7 * min(age, 1), rise + 0.01)
        up = (leap * age - 4.9 * age**2) * power
        away = 0.15 + speed * min(age, 3)
        places = np.column_stack([np.cos(angles) * away, np.sin(angles) * away, np.where(up > 0, up, -5)])
        reshape(spray, rest.points + np.repeat(places, each, axis=0))

    stage.every(move)
    _rings(stage, hits, (0, 0, 0.02), 1.1)
    _sea(stage)
    stage.look((0, 0, 0.62), 1.25, elevation=(8, 30))


def _crown(stage: Stage) -> shapes.Shape:
    wall = shapes.lathe([(0.3, 0.0), (0.36, 0.4), (0.5, 0.75), (0.62, 0.9)], 22)
    ragged = wall.points.copy()
    ragged[-22:, 2] += stage.rng.uniform(-0.3, 0.25, 22)
    return shapes.Shape(ragged, wall.faces, smooth=True)


def _sea(stage: Stage) -> None:
    waves, phases = stage.rng.normal(0, 3, (4, 2)), stage.rng.uniform(0, 6, 4)

    def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return sum(0.02 * np.sin(a * x + b * y + p) for (a, b), p in zip(waves, phases, strict=True))

    stage.put(shapes.sheet(16, 16, 60, 60, height), paint.water(stage.rng))
    sets.floor(stage, "water").location[2] = -0.12
    sets.horizon(stage)
    sets.daylight(stage)


def stream(stage: Stage) -> None:
    """Water runs between stones and green banks."""
    river = stage.word("object", "stream") == "river"
    half, speed = (1.5 if river else 0.75), 0.6 + 1.6 * stage.number("speed")
    bend, turn = stage.between(0.1, 0.4), stage.between(-0.5, 0.5)

    def middle(y: np.ndarray | float) -> np.ndarray | float:
        return bend * np.sin(0.7 * np.asarray(y) + turn * 4)

    def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        across = np.abs(x - middle(y))
        return np.clip((across - half) * 0.7, -0.2, 0.5) + 0.04 * np.sin(5 * x) * np.sin(4 * y)

    stage.put(
        shapes.sheet(14, 16, 70, 70, height), sets.GROUNDS[stage.pick("grass", "grass", "earth")](stage)
    )
    bed = shapes.sheet(9, 16, 60, 90, lambda x, y: 0 * x)
    flow = stage.put(bed, paint.water(stage.rng))
    x, y = bed.points[:, 0], bed.points[:, 1]
    foam = paint.plain(paint.hsv(0.55, 0.05, 0.95), 0.6, ambient=0.5)
    count = 60
    rows = np.column_stack([stage.rng.uniform(-half, half, count), stage.rng.uniform(-4, 5, count)])
    flecks = shapes.swarm(
        shapes.sphere(1.0, 6, 4),
        np.zeros((count, 3)),
        stage.rng.uniform(0.03, 0.1, (count, 3)) * (0.7, 4.0, 0.3),
    )
    white, each = stage.put(flecks, foam), len(flecks.points) // count

    def move(t: float) -> None:
        z = 0.035 * np.sin(9 * x + 3 * np.sin(2 * y)) * np.sin(6 * (y + speed * t)) - 0.02
        reshape(flow, np.column_stack([x, y, z]))
        along = (rows[:, 1] - speed * t + 4) % 9 - 4
        places = np.column_stack([rows[:, 0] + middle(along), along, np.full(count, 0.02)])
        reshape(white, flecks.points + np.repeat(places, each, axis=0))

    stage.every(move)
    rocks = paint.stone(stage.rng)
    for _ in range(int(stage.rng.integers(7, 14))):
        at = stage.between(-3, 4)
        place = (float(middle(at)) + stage.between(-1, 1) * half * 1.1, at, 0.03)
        stage.put(shapes.lump(stage.rng), rocks, place, size=stage.between(0.2, 0.65))
    sets.horizon(stage, 14)
    sets.daylight(stage)
    stage.look((0, 0, 0.0), 1.5 + 0.9 * river, elevation=(18, 42), azimuth=(0, 25))


def rain(stage: Stage) -> None:
    """Streaks of rain before a grey sky: onto the ground, at a window, on a roof."""
    place = stage.word("ground", "ground")
    count = int(120 + 260 * stage.number("intensity"))
    fall, slant = 5.0 + 3 * stage.number("speed"), stage.between(-0.25, 0.25)
    places = stage.rng.uniform((-2.4, -1.6, 0), (2.4, 2.2, 4), (count, 3))
    sizes = np.column_stack([np.full((count, 2), 0.011), stage.rng.uniform(0.18, 0.4, count)])
    streaks = shapes.swarm(shapes.box(), np.zeros((count, 3)), sizes, np.tile((0, slant, 0), (count, 1)))
    veil = stage.put(streaks, paint.haze((0.8, 0.86, 0.95), 0.75, 0.9))
    rings = shapes.swarm(shapes.torus(1, 0.16, 10, 4), np.zeros((40, 3)), np.full(40, 1.0))
    dots = stage.put(rings, paint.plain((0.7, 0.76, 0.8), 0.4))
    phases, spots = stage.rng.uniform(0, 1, 40), stage.rng.uniform((-2, -1.5), (2, 2), (40, 2))

    def move(t: float) -> None:
        down = places.copy()
        down[:, 2] = (places[:, 2] - fall * t) % 4
        reshape(veil, streaks.points + np.repeat(down, 8, axis=0))
        age = (phases + 2.2 * t) % 1.0
        grown = np.repeat(0.03 + 0.12 * age, len(rings.points) // 40)[:, None]
        at = np.repeat(np.column_stack([spots, np.full(40, 0.012)]), len(rings.points) // 40, axis=0)
        reshape(dots, rings.points * grown * (1, 1, 0.3) + at)

    stage.every(move)
    {"window": _window, "roof": _roof}.get(place, _puddles)(stage)
    dots.hide_render = place != "ground"
    grey = paint.hsv(0.6, 0.12, stage.between(0.25, 0.5))
    stage.world(grey, paint.shaded(grey, 0.7))
    stage.lamp("SUN", 0.7, (0.2, -0.5, 1), (0.85, 0.9, 1), size=1.0)
    stage.look((0, 0, 1.1), 1.4, elevation=(2, 20), azimuth=(0, 25))


def _puddles(stage: Stage) -> None:
    sets.floor(stage, stage.pick("road", "earth", "stone"), clutter=False)
    for _ in range(5):
        at = (stage.between(-1.5, 1.5), stage.between(-1, 1.5), 0.004)
        wet = paint.plain((0.12, 0.15, 0.18), 0.03)
        stage.put(
            shapes.cylinder(0.5, 0.01, 22), wet, at, size=(stage.between(0.6, 1.6), stage.between(0.5, 1), 1)
        )
    sets.horizon(stage, 9)
    if stage.chance(0.5):
        stage.put(
            shapes.sphere(0.8, 20, 11).moved((0, 0, 0), (1, 1, 0.6)),
            paint.pick_bright(stage.rng),
            (0, 0.8, 1.3),
        )
        stretch(stage.put(shapes.rod(0.03), paint.metal(stage.rng)), (0, 0.8, 0), (0, 0.8, 1.4))


def _window(stage: Stage) -> None:
    frame = paint.plain(stage.backdrop_colour(0.2, 0.8), 0.6)
    for x in (-1.25, 0.0, 1.25):
        stage.put(shapes.box(0.1, 0.1, 2.6), frame, at=(x, -1.0, 1.1))
    for z in (-0.15, 1.1, 2.35):
        stage.put(shapes.box(2.6, 0.1, 0.1), frame, at=(0, -1.0, z))
    count = 70
    spots = stage.rng.uniform((-1.2, -1.02, -0.1), (1.2, -1.0, 2.3), (count, 3))
    sizes = stage.rng.uniform(0.015, 0.045, count)
    stage.put(
        shapes.swarm(shapes.sphere(1, 8, 5), spots, sizes), paint.plain((0.75, 0.82, 0.9), 0.05, ambient=0.6)
    )
    sets.horizon(stage, 9)
    sets.floor(stage, "grass", clutter=False)


def _roof(stage: Stage) -> None:
    red = paint.vary(stage.rng, stage.pick(0.02, 0.04, 0.6), 0.6, 0.25)
    tiles = paint.bricks(red, paint.shaded(red, 0.7), (0.03, 0.03, 0.03), 1.0, 0.35, 0.28)
    stage.put(shapes.sheet(5, 2.6), tiles, at=(0, 0.4, 1.1), turn=(0.7, 0, 0))
    shade = paint.plain(stage.backdrop_colour(0.3, 0.5), 0.9)
    stage.put(shapes.box(4.2, 1.0, 2.0), shade, at=(0, 0.6, -0.6))
    sets.floor(stage, "grass", clutter=False).location[2] = -1.5


def waves(stage: Stage) -> None:
    """Waves run in and break on a beach or on rocks, one with each stroke."""
    rocky = stage.word("ground", "beach") == "rocks"
    sea = shapes.sheet(16, 14, 30, 90, lambda x, y: 0 * x)
    surface = stage.put(sea, paint.water(stage.rng))
    x, y = sea.points[:, 0], sea.points[:, 1]
    foam_sheet = shapes.sheet(16, 1.0, 60, 8, lambda x, y: 0 * x)
    foam = stage.put(foam_sheet, paint.plain((0.6, 0.63, 0.65), 0.7, ambient=0.5))
    fx, fy = foam_sheet.points[:, 0], foam_sheet.points[:, 1]
    tall = 0.22 + 0.35 * stage.number("intensity")
    at, every = stage.number("at", 0.3), stage.number("every", 2.0)
    wobble = stage.rng.uniform(0.5, 2.5, 3)

    def move(t: float) -> None:
        part = ((t - at) / every) % 1.0  # a wave breaks when part is 0
        front = -0.3 + 4.0 * (1 - part)
        crest = tall * (0.4 + 0.6 * part) * np.exp(-(((y - front - 0.2 * np.sin(wobble[0] * x)) / 0.35) ** 2))
        next_one = tall * 0.5 * np.exp(-(((y - front - 4.0) / 0.6) ** 2))
        reshape(surface, np.column_stack([x, y, crest + next_one + 0.03 * np.sin(3 * y + 2 * t)]))
        wash = -0.3 - 0.9 * np.sin(np.pi * min(part * 1.6, 1.0)) * (0.7 + 0.3 * np.sin(wobble[1] * fx))
        wide = 0.2 + 0.4 * np.sin(np.pi * part)
        edge = np.where(fy > 0, 0.12 * np.sin(7 * fx + t), 0.1 * np.sin(5 * fx))
        reshape(
            foam,
            np.column_stack(
                [fx, wash + fy * wide + edge, 0.05 + 0.02 * np.sin(11 * fx) - 0.045 * (fy + wash)]
            ),
        )

    stage.every(move)
    sets.floor(stage, "sand", clutter=False).rotation_euler = (-0.045, 0, 0)
    stage.put(shapes.sheet(80, 60), paint.water(stage.rng), at=(0, 31, -0.06))
    if rocky:
        _cliffs(stage, tall)
    sets.daylight(stage)
    blue = paint.hsv(stage.between(0.53, 0.6), stage.between(0.1, 0.5), 0.9)
    stage.world(paint.hsv(0.57, 0.1, 0.9), blue)
    stage.look((0, 0.7, 0.2), 1.8, elevation=(8, 24), azimuth=(0, 35))


def _cliffs(stage: Stage, tall: float) -> None:
    rock = paint.stone(stage.rng, paint.vary(stage.rng, 0.07, 0.2, 0.18))
    for _ in range(9):
        place = (stage.between(-3, 3), stage.between(-1.0, 0.6), stage.between(-0.1, 0.2))
        stage.put(shapes.lump(stage.rng, 0.3), rock, place, size=stage.between(0.5, 1.1))
    at, every = stage.number("at", 0.3), stage.number("every", 2.0)
    spray = shapes.swarm(
        shapes.sphere(1, 6, 4),
        stage.rng.normal(0, 1, (90, 3)) * (1.4, 0.25, 0.35),
        stage.rng.uniform(0.02, 0.09, 90),
    )
    cloud = stage.put(spray, paint.plain((0.92, 0.95, 0.97), 0.7, ambient=0.5))

    def move(t: float) -> None:
        part = ((t - at) / every) % 1.0
        cloud.hide_render = part > 0.45
        cloud.location = (0, -0.2, 0.3 + 1.1 * np.sin(np.pi * min(part / 0.45, 1)) * (0.4 + tall))
        cloud.scale[2] = 0.5 + 2 * part

    stage.every(move)


SCENES = {
    "drops": drops,
    "pour": pour,
    "splash": splash,
    "stream": stream,
    "rain": rain,
    "waves": waves,
}
