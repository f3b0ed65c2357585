# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that hit because a constraint moves them."""

from __future__ import annotations

import bpy

from .keyed import tool
from .model import Key, bounces, strokes, travel
from .stage import FLOOR, Stage


def copies(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball without a key of its own copies the place of an empty that bounces."""
    chance = stage.chance
    driver = stage.empty("Driver", (x, 0.0, 0.0))
    radius = chance.uniform(0.06, 0.2)
    ball = stage.ball("Steel_ball", radius, (0.0, 0.0, 0.0), "steel")
    ball.constraints.new("COPY_LOCATION").target = driver
    keys, touches = bounces(chance, begin, end)
    stage.animate(driver, "location", 2, keys, base=radius)
    for time_s, speed in touches:
        stage.hit(time_s, ball, FLOOR, speed)


def child(stage: Stage, x: float, begin: float, end: float) -> None:
    """A box is a platform's child by constraint, and bounces on it while it goes to and fro."""
    chance = stage.chance
    plate = stage.box("Wooden_raft", (x, 0.0, 0.15), (0.8, 0.6, 0.1), "wood")
    half = chance.uniform(0.05, 0.12)
    thing = stage.box("Stone_block", (0.0, 0.0, 0.0), (2 * half, 2 * half, 2 * half), "block")
    bond = thing.constraints.new("CHILD_OF")
    bond.target = plate
    bond.inverse_matrix.identity()
    way, mid = chance.uniform(-0.3, 0.3), stage.duration_s / 2
    stage.animate(
        plate, "location", 0, [Key(0.0, x), Key(mid, x + way), Key(stage.duration_s, x)],
    )  # fmt: skip
    keys, touches = bounces(chance, begin, end)
    stage.animate(thing, "location", 2, keys, base=0.05 + half)
    for time_s, speed in touches:
        stage.hit(time_s, thing, plate.name, speed)


def tracks(stage: Stage, x: float, begin: float, end: float) -> None:
    """A stick points at an empty that goes down to the stick's own height and up again."""
    chance = stage.chance
    length = chance.uniform(0.35, 0.6)
    stick, pad = tool(stage, x, length)
    aim = stage.empty("Aim", (x + length / 2, 0.0, 0.0))
    follow = stick.constraints.new("DAMPED_TRACK")
    follow.target, follow.track_axis = aim, "TRACK_X"
    keys, touches = strokes(chance, begin, end, length * chance.uniform(0.25, 0.8), chance.randint(2, 4))
    stage.animate(aim, "location", 2, keys, base=stick.location.z)
    for time_s, speed in touches:
        stage.hit(time_s, stick, pad, speed)  # the tip's speed where the stick is level


def rails(stage: Stage, x: float, begin: float, end: float) -> None:
    """A wagon follows a path into a buffer, and may roll back from it."""
    chance = stage.chance
    data = bpy.data.curves.new("Rails", "CURVE")
    data.dimensions = "3D"
    spline = data.splines.new("POLY")
    spline.points.add(8)
    for number, point in enumerate(spline.points):
        point.co = (0.25 * number, 0.0, 0.0, 1.0)
    path = bpy.data.objects.new(stage.name("Rails"), data)
    path.location = (x - 1.0, 0.0, 0.3)
    stage.scene.collection.objects.link(path)
    half = chance.uniform(0.08, 0.15)
    wagon = stage.box("Toy_wagon", (0.0, 0.0, 0.0), (2 * half, 0.1, 0.1), "toy wood")
    follow = wagon.constraints.new("FOLLOW_PATH")
    follow.target, follow.use_fixed_location = path, True
    buffer = stage.box("Steel_buffer", (x + 0.45, 0.0, 0.3), (0.1, 0.3, 0.3), "steel")
    touch = 0.4 - half + 1.0  # along the rails
    arrive = begin + chance.uniform(0.4, 0.9)
    back = chance.choice((0.0, 0.3))
    keys = travel(begin, arrive, touch - chance.uniform(0.4, 0.6), touch, back)
    shares = [Key(k.time_s, k.value / 2, k.arrives / 2, k.leaves / 2) for k in keys]
    stage.animate(wagon, 'constraints["Follow Path"].offset_factor', -1, shares)
    stage.hit(arrive, wagon, buffer.name, keys[-2 if back else -1].arrives)


def limited(stage: Stage, x: float, begin: float, end: float) -> None:
    """A box whose keys go on through the floor, which a limit holds back."""
    chance = stage.chance
    half = chance.uniform(0.06, 0.2)
    box = stage.box("Cardboard_box", (x, 0.0, 0.0), (2 * half, 2 * half, 2 * half), "toy wood")
    limit = box.constraints.new("LIMIT_LOCATION")
    limit.use_min_z, limit.min_z = True, half
    start = begin + chance.uniform(0.0, 0.3)
    fall, speed = chance.uniform(0.25, 0.5), chance.uniform(1.0, 3.0)
    height = speed * fall
    keys = [Key(start, height, 0.0, -speed), Key(start + 2 * fall, -height, -speed, 0.0)]
    stage.animate(box, "location", 2, keys, base=half)
    stage.hit(start + fall, box, FLOOR, speed)


def turned(stage: Stage, x: float, begin: float, end: float) -> None:
    """A stick that copies the turn of an empty."""
    chance = stage.chance
    length = chance.uniform(0.35, 0.7)
    stick, pad = tool(stage, x, length)
    wheel = stage.empty("Wheel", (x, 1.0, 1.0))
    stick.constraints.new("COPY_ROTATION").target = wheel
    keys, touches = strokes(chance, begin, end, chance.uniform(0.25, 0.8), chance.randint(2, 4))
    stage.animate(wheel, "rotation_euler", 1, [Key(k.time_s, -k.value, -k.arrives, -k.leaves) for k in keys])
    for time_s, spin in touches:
        stage.hit(time_s, stick, pad, spin * length)


ACTS = (copies, child, tracks, rails, limited, turned)
