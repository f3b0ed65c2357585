# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that hit while what they hang on moves: their own keys alone do not tell where they are."""

from __future__ import annotations

import math

from .keyed import tool
from .model import GRAVITY, Key, bounces, strokes
from .stage import FLOOR, Stage


def cart(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that bounces on a cart which goes along: both have the cart's empty for a parent."""
    chance = stage.chance
    carrier = stage.empty("Carrier", (x, 0.0, 0.0))
    bed = stage.box("Wooden_cart", (0.0, 0.0, 0.2), (0.9, 0.6, 0.1), "wood")
    radius = chance.uniform(0.06, 0.15)
    ball = stage.ball("Rubber_ball", radius, (0.0, 0.0, 0.0))
    bed.parent = ball.parent = carrier
    way = chance.uniform(-0.3, 0.3)
    mid = stage.duration_s / 2
    stage.animate(
        carrier, "location", 0,
        [Key(0.0, x - way / 2), Key(mid, x + way / 2), Key(stage.duration_s, x - way / 2)],
    )  # fmt: skip
    keys, touches = bounces(chance, begin, end)
    stage.animate(ball, "location", 2, keys, base=0.25 + radius)
    for time_s, speed in touches:
        stage.hit(time_s, ball, bed.name, speed)


def carried(stage: Stage, x: float, begin: float, end: float) -> None:
    """A box that falls beside its parent's own way: the parent is turned, scaled, and moves the box along."""
    chance = stage.chance
    driver = stage.empty("Driver", (x, 0.0, 0.0))
    size = chance.uniform(0.6, 1.5)
    driver.scale = (size, size, size)
    driver.rotation_euler.z = chance.uniform(-1.0, 1.0)
    half = chance.uniform(0.06, 0.2)
    thing = stage.box("Tin_bucket", (0.0, 0.0, 0.0), (2 * half, 2 * half, 2 * half), "tin")
    thing.parent = driver
    keys, touches = bounces(chance, begin, end)
    local = [Key(k.time_s, k.value / size, k.arrives / size, k.leaves / size) for k in keys]
    stage.animate(thing, "location", 2, local, base=half)
    drift = chance.uniform(-0.2, 0.2)
    last = keys[-1].time_s
    stage.animate(driver, "location", 1, [Key(begin, 0.0), Key(last + 0.3, drift)])
    for time_s, speed in touches:
        stage.hit(time_s, thing, FLOOR, speed)


def tray(stage: Stage, x: float, begin: float, end: float) -> None:
    """A hand (an empty) sets a tray with a cup on it down hard: only what holds them has keys."""
    chance = stage.chance
    table = stage.box("Wooden_table", (x, 0.0, 0.2), (0.9, 0.7, 0.4), "wood")
    hand = stage.empty("Hand", (x, 0.0, 0.0))
    plate = stage.box("Steel_tray", (0.0, 0.0, 0.02), (0.5, 0.35, 0.04), "steel")
    cup = stage.box("Glass_cup", (chance.uniform(-0.1, 0.1), 0.0, 0.04 + 0.05), (0.08, 0.08, 0.1), "glass")
    plate.parent = cup.parent = hand
    keys, touches = strokes(chance, begin, end, chance.uniform(0.1, 0.3), chance.randint(1, 3))
    stage.animate(hand, "location", 2, keys, base=0.4)
    for time_s, speed in touches:
        stage.hit(time_s, plate, table.name, speed)
        stage.hit(time_s, cup, plate.name, speed, "soft")  # it lies there already; it may rattle


def held(stage: Stage, x: float, begin: float, end: float) -> None:
    """A stick that taps in a hand which moves along over a long pad."""
    chance = stage.chance
    length = chance.uniform(0.3, 0.5)
    stick, pad = tool(stage, 0.0, length)
    hand = stage.empty("Hand", (x, 0.0, 0.0))
    stick.parent = hand
    bpy_pad = stage.scene.objects[pad]
    bpy_pad.location.x = x + length / 2
    bpy_pad.scale.x = 3.0
    way = chance.uniform(-0.15, 0.15)
    stage.animate(hand, "location", 0, [Key(begin, x - way / 2), Key(end, x + way / 2)])
    keys, touches = strokes(chance, begin, end, chance.uniform(0.25, 0.7), chance.randint(2, 4))
    turned = [Key(k.time_s, -k.value, -k.arrives, -k.leaves) for k in keys]
    stage.animate(stick, "rotation_euler", 1, turned)
    for time_s, spin in touches:
        stage.hit(time_s, stick, pad, spin * length)


def turntable(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that bounces on a disc which turns, and turns with it."""
    chance = stage.chance
    plate = stage.box("Turntable", (x, 0.0, 0.15), (0.8, 0.8, 0.1), "glass")
    radius = chance.uniform(0.05, 0.1)
    ball = stage.ball("Wooden_ball", radius, (chance.uniform(0.1, 0.25), 0.0, 0.0), "wood")
    ball.parent = plate
    turn = chance.uniform(-math.pi, math.pi)
    speed = turn / stage.duration_s
    stage.animate(
        plate, "rotation_euler", 2, [Key(0.0, 0.0, speed, speed), Key(stage.duration_s, turn, speed, speed)]
    )
    keys, touches = bounces(chance, begin, end)
    stage.animate(ball, "location", 2, keys, base=0.05 + radius)
    for time_s, hard in touches:
        stage.hit(time_s, ball, plate.name, hard)


def lift(stage: Stage, x: float, begin: float, end: float) -> None:
    """A platform that rises under a ball: it meets the ball in the air, and the ball's parent falls."""
    chance = stage.chance
    driver = stage.empty("Driver", (x, 0.0, 0.0))
    radius = chance.uniform(0.08, 0.15)
    ball = stage.ball("Leather_ball", radius, (0.0, 0.0, 0.0))
    ball.parent = driver
    plate = stage.box("Steel_platform", (x, 0.0, 0.0), (0.6, 0.6, 0.06), "steel")
    meet = begin + chance.uniform(0.35, 0.6)
    level, rise = 0.4, chance.uniform(0.3, 0.8)
    fall = GRAVITY * (meet - begin)
    plate_keys = [
        Key(begin, level - 0.15 - rise * (meet - begin) / 2),
        Key(meet - 0.05, level - rise * 0.05, rise, rise),
        Key(meet, level, rise, rise),
        Key(meet + 0.4, level + 0.2 * rise),
    ]
    stage.animate(plate, "location", 2, plate_keys, base=-0.03)
    height = level + fall * (meet - begin) / 2
    lands = [Key(begin, height), Key(meet, level, -fall, rise), Key(meet + 0.4, level + 0.2 * rise)]
    stage.animate(driver, "location", 2, lands, base=radius)
    stage.hit(meet, ball, plate.name, fall + rise)


def pendulum(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball on a swinging chain of parents that strikes a wall and swings back, each time less."""
    chance = stage.chance
    length, radius = chance.uniform(0.6, 0.9), chance.uniform(0.08, 0.14)
    wall = stage.box("Brick_wall", (x + radius + 0.05, 0.0, 0.4), (0.1, 0.6, 0.8), "block")
    hook = stage.empty("Hook", (x, 0.0, length + 0.2))
    ball = stage.ball("Wrecking_ball", radius, (0.0, 0.0, -length), "steel")
    rope = stage.box("Rope", (0.0, 0.0, -length / 2), (0.02, 0.02, length - radius), "toy wood")
    ball.parent = rope.parent = hook
    half, reach = 0.25 * 2 * math.pi * (length / GRAVITY) ** 0.5, chance.uniform(0.3, 0.8)
    keys, time_s = [Key(begin, reach)], begin + half
    while time_s < end and reach > 0.08:
        spin = reach * math.pi / 2 / half  # a quarter of a swing, nearly
        again = reach * chance.uniform(0.4, 0.7)
        keys += [
            Key(time_s, 0.0, -spin, again * math.pi / 2 / half),
            Key(time_s + half, again),
        ]
        stage.hit(time_s, ball, wall.name, spin * length)
        reach, time_s = again, time_s + 2 * half
    stage.animate(hook, "rotation_euler", 1, keys)


ACTS = (cart, carried, tray, held, turntable, lift, pendulum)
