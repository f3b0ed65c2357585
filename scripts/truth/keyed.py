# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that hit by their keys alone: bounces, slams, taps, knocks, and one ball that strikes another.

An act stands about (x, 0, 0), a metre wide, and happens between ``begin`` and ``end`` seconds.
"""

from __future__ import annotations

import bpy

from .model import Key, bounces, strokes, travel
from .stage import FLOOR, Stage


def bounce(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball or a box on the floor or on a table; one in five is baked, as simulations come out of caches."""
    chance = stage.chance
    baked = chance.random() < 0.2
    ground, against = 0.0, FLOOR
    if chance.random() < 0.4:
        ground, against = 0.5, stage.box("Wooden_table", (x, 0.0, 0.25), (0.8, 0.8, 0.5), "wood").name
    half = chance.uniform(0.05, 0.25)
    if chance.random() < 0.6:
        thing = stage.ball("Rubber_ball", half, (x, 0.0, 0.0))
    else:
        thing = stage.box("Crate", (x, 0.0, 0.0), (2 * half, 1.6 * half, 2 * half))
        thing.rotation_euler.z = chance.uniform(0.0, 1.0)
    keys, touches = bounces(chance, begin, end)
    stage.animate(thing, "location", 2, keys, base=ground + half, baked=baked)
    drift = chance.uniform(-0.12, 0.12)
    if drift > 0.0:  # the others fall straight
        last = keys[-1].time_s
        speed = drift / (last - begin)
        slow = min(1.0, 0.06 / abs(speed))
        along = [
            Key(begin, 0.0, speed, speed),
            Key(last, drift, speed, speed),
            Key(last + slow, drift + speed * slow / 2),
        ]
        stage.animate(thing, "location", 0, along, base=x)
    for time_s, speed in touches:
        stage.hit(time_s, thing, against, speed, baked=baked)


def slam(stage: Stage, x: float, begin: float, end: float) -> None:
    """A door against its frame, or a lid onto its chest; it may spring back once and fall to again."""
    chance = stage.chance
    width, thick = chance.uniform(0.5, 0.8), 0.05
    if chance.random() < 0.5:
        door = stage.box("Wooden_door", (x - width / 2, 0.0, 0.6), (width, thick, 1.0), "wood")
        stage.shift(door, (width / 2, 0.0, 0.0))
        against = stage.box(
            "Door_frame", (x + width / 2, thick / 2 + 0.05, 0.6), (0.1, 0.1, 1.2), "dark wood"
        ).name
        axis, away = 2, -1.0
    else:
        body = stage.box("Iron_chest", (x, 0.0, 0.2), (width, 0.4, 0.4), "tin")
        door = stage.box("Chest_lid", (x - width / 2, 0.0, 0.4 + thick / 2), (width, 0.4, thick), "steel")
        stage.shift(door, (width / 2, 0.0, 0.0))
        against, axis, away = body.name, 1, -1.0
    angle = away * chance.uniform(0.5, 1.2)
    start = begin + chance.uniform(0.05, 0.3)
    down = chance.uniform(0.15, 0.45)
    keys = [Key(begin, angle), Key(start, angle)]
    spin = -2 * angle / down  # signed: towards 0
    stop = start + down
    hits = [(stop, abs(spin))]
    again = chance.uniform(0.2, 0.4) if chance.random() < 0.5 and stop + 0.5 < end else 0.0
    keys.append(Key(stop, 0.0, spin, -again * spin))
    if again:
        back = chance.uniform(0.2, 0.35)
        keys.append(Key(stop + back, 0.0, again * spin, 0.0))
        hits.append((stop + back, again * abs(spin)))
    stage.animate(door, "rotation_euler", axis, keys)
    for time_s, speed in hits:
        stage.hit(time_s, door, against, speed * width)


def tap(stage: Stage, x: float, begin: float, end: float) -> None:
    """A stick or a hammer that turns about its end and taps what lies below its tip."""
    chance = stage.chance
    length = chance.uniform(0.35, 0.7)
    stick, pad = tool(stage, x, length)
    keys, touches = strokes(chance, begin, end, chance.uniform(0.25, 0.8), chance.randint(2, 5))
    stage.animate(stick, "rotation_euler", 1, [_mirrored(key) for key in keys])
    for time_s, spin in touches:
        stage.hit(time_s, stick, pad, spin * length)


def tool(stage: Stage, x: float, length: float) -> tuple[bpy.types.Object, str]:
    """A stick that lies level on a pad at angle 0 and turns about its left end, and the pad's name."""
    thick, top = 0.04, stage.chance.uniform(0.2, 0.5)
    name = stage.chance.choice(("Drumstick", "Hammer", "Wooden_spoon"))
    stick = stage.box(name, (x - length / 2, 0.0, top + thick / 2), (length, thick, thick), "toy wood")
    stage.shift(stick, (length / 2, 0.0, 0.0))
    pad = stage.box("Tin_pad", (x + length / 2 - 0.05, 0.0, top / 2), (0.2, 0.2, top), "tin")
    return stick, pad.name


def knock(stage: Stage, x: float, begin: float, end: float) -> None:
    """A thing that comes along above the floor, strikes a wall and springs back or stands."""
    chance = stage.chance
    half = chance.uniform(0.06, 0.15)
    wall = stage.box("Brick_wall", (x + 0.5, 0.0, 0.5), (0.1, 0.8, 1.0), "block")
    cart = stage.box("Steel_ram", (0.0, 0.0, 0.35), (2 * half, half, half), "steel")
    arrive = begin + chance.uniform(0.35, 0.8)
    touch = x + 0.45 - half
    back = chance.choice((0.0, 0.2, 0.5))
    keys = travel(begin, arrive, touch - chance.uniform(0.4, 0.7), touch, back)
    stage.animate(cart, "location", 0, keys)
    stage.hit(arrive, cart, wall.name, keys[-2 if back else -1].arrives)


def strike(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that rolls into one that lies there: the first stops, the other goes on."""
    chance = stage.chance
    radius = chance.uniform(0.08, 0.14)
    arrive = begin + chance.uniform(0.4, 0.8)
    first = stage.ball("Billiard_ball", radius, (0.0, 0.0, radius))
    other = stage.ball("Billiard_ball", radius, (x, 0.0, radius))
    keys = travel(begin, arrive, x - 2 * radius - 0.5, x - 2 * radius, 0.0)
    speed = keys[-1].arrives
    stage.animate(first, "location", 0, keys)
    turn = [Key(k.time_s, k.value / radius, k.arrives / radius, k.leaves / radius) for k in keys]
    stage.animate(first, "rotation_euler", 1, turn)
    slow = min(0.7, 0.9 / speed)
    stage.animate(
        other, "location", 0, [Key(arrive, x, 0.0, 0.9 * speed), Key(arrive + slow, x + 0.45 * speed * slow)]
    )
    stage.hit(arrive, first, other.name, speed)


def squash(stage: Stage, x: float, begin: float, end: float) -> None:
    """A cartoon ball: stretched on its way down, flat when it has landed, with its origin at its foot."""
    chance = stage.chance
    radius = chance.uniform(0.1, 0.2)
    ball = stage.shift(stage.ball("Jelly_ball", radius, (x, 0.0, 0.0), "glass"), (0.0, 0.0, radius))
    keys, touches = bounces(chance, begin, end)
    stage.animate(ball, "location", 2, keys)
    flat = [Key(begin, 1.0)]
    for number, (time_s, speed) in enumerate(touches):
        until = touches[number + 1][0] if number + 1 < len(touches) else time_s + 0.3
        deep = min(0.4, 0.08 * speed)
        flat += [
            Key(time_s, 1.0 + 0.5 * deep, 0.0, -deep / 0.03),
            Key(time_s + 0.05, 1.0 - deep),
            Key(time_s + 0.05 + 0.4 * (until - time_s - 0.05), 1.0),
        ]
        stage.hit(time_s, ball, FLOOR, speed)
    stage.animate(ball, "scale", 2, flat, base=0.0)


def _mirrored(key: Key) -> Key:
    """Upwards is a negative turn about y."""
    return Key(key.time_s, -key.value, -key.arrives, -key.leaves)


ACTS = (bounce, bounce, slam, tap, knock, strike, squash)
