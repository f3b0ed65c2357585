# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves and never hits, hits and cannot be seen, or only lies about. Each has a row (y) of its own."""

from __future__ import annotations

import itertools

from .model import Key, bounces
from .stage import FLOOR, Stage

BEHIND, ROW = 1.3, 0.9  # metres along y: the first, and from each to the next


def clutter(stage: Stage, x: float, y: float) -> None:
    """Boxes and balls that lie about, some of them close to each other."""
    chance = stage.chance
    for number in range(chance.randint(4, 14)):
        half = chance.uniform(0.04, 0.15)
        place = (x - 0.8 + 0.25 * number, y + chance.uniform(-0.25, 0.25), half)
        if chance.random() < 0.5:
            stage.box("Clutter", place, (2 * half, 2 * half, 2 * half))
        else:
            stage.ball("Clutter", half, place)


def swing(stage: Stage, x: float, y: float) -> None:
    """A pendulum that swings freely."""
    chance = stage.chance
    bob = stage.box("Pendulum", (x, y, 1.4), (0.06, 0.06, 0.8), "steel")
    stage.shift(bob, (0.0, 0.0, -0.4))
    half, reach = chance.uniform(0.4, 0.8), chance.uniform(0.3, 0.9)
    keys = [Key(n * half, reach * (-1) ** n) for n in range(int(stage.duration_s / half) + 2)]
    stage.animate(bob, "rotation_euler", 1, keys)


def drone(stage: Stage, x: float, y: float) -> None:
    """Something that flies zigzag in the air: it turns as sharply as a hit, and meets nothing."""
    chance = stage.chance
    thing = stage.box("Drone", (x, y, 1.0), (0.2, 0.2, 0.06), "tin")
    time_s, path = 0.0, [(0.0, 1.0, x)]
    while time_s < stage.duration_s:
        time_s += chance.uniform(0.25, 0.7)
        path.append((time_s, chance.uniform(0.6, 1.4), x + chance.uniform(-0.4, 0.4)))
    for index, column in ((2, 1), (0, 2)):
        slopes = [(b[column] - a[column]) / (b[0] - a[0]) for a, b in itertools.pairwise(path)]
        keys = [
            Key(point[0], point[column], slopes[max(n - 1, 0)], slopes[min(n, len(slopes) - 1)])
            for n, point in enumerate(path)
        ]
        stage.animate(thing, "location", index, keys)


def slide(stage: Stage, x: float, y: float) -> None:
    """A box that is pushed over the floor: where it starts and stops may be told, hits may not."""
    chance = stage.chance
    box = stage.box("Wooden_crate", (x, y, 0.12), (0.24, 0.24, 0.24), "wood")
    begin, last = chance.uniform(0.2, 1.0), chance.uniform(1.4, stage.duration_s - 0.3)
    stage.animate(box, "location", 0, [Key(begin, x - 0.4), Key(last, x + 0.4)])
    stage.hit(begin, box, FLOOR, 0.0, "slide")
    stage.hit(last, box, FLOOR, 0.0, "stop")


def roll(stage: Stage, x: float, y: float) -> None:
    """A ball that rolls by."""
    chance = stage.chance
    radius = chance.uniform(0.08, 0.2)
    ball = stage.ball("Rolling_ball", radius, (x, y, radius))
    way = chance.uniform(0.5, 1.2)
    end = stage.duration_s
    stage.animate(ball, "location", 0, [Key(0.0, x - way / 2), Key(end, x + way / 2)])
    stage.animate(ball, "rotation_euler", 1, [Key(0.0, 0.0), Key(end, way / radius)])
    stage.hit(0.0, ball, FLOOR, 0.0, "slide")
    stage.hit(end - 1e-3, ball, FLOOR, 0.0, "stop")


def near_miss(stage: Stage, x: float, y: float) -> None:
    """A bird that swoops down on a table, turns a hand's breadth above it, and is off again."""
    chance = stage.chance
    stage.box("Low_table", (x, y, 0.15), (0.5, 0.4, 0.3), "wood")
    bird = stage.ball("Bird", 0.06, (x, y, 0.0), "glass")
    middle = chance.uniform(0.8, stage.duration_s - 0.8)
    speed = chance.uniform(1.0, 2.0)
    low = 0.3 + 0.06 + chance.uniform(0.08, 0.15)
    keys = [Key(middle - 0.4, 1.4), Key(middle, low, -speed, speed), Key(middle + 0.4, 1.4)]
    stage.animate(bird, "location", 2, keys)


def set_down(stage: Stage, x: float, y: float) -> None:
    """A box lifted up gently and put down as gently."""
    chance = stage.chance
    half = chance.uniform(0.08, 0.15)
    box = stage.box("Parcel", (x, y, 0.0), (2 * half, 2 * half, 2 * half), "wood")
    up = chance.uniform(0.2, 0.8)
    down = min(up + chance.uniform(1.2, 2.0), stage.duration_s - 0.2)
    stage.animate(box, "location", 2, [Key(up, 0.0), Key((up + down) / 2, 0.3), Key(down, 0.0)], base=half)
    stage.hit(up, box, FLOOR, 0.0, "soft")
    stage.hit(down, box, FLOOR, 0.0, "soft")


def hidden(stage: Stage, x: float, y: float) -> None:
    """A ball that bounces and is not rendered."""
    _unseen(stage, "Hidden_ball", (x, y)).hide_render = True


def outside(stage: Stage, x: float, y: float) -> None:
    """A ball that bounces behind the camera."""
    _unseen(stage, "Ball_outside", (x, -25.0 - y))


def _unseen(stage: Stage, name: str, place: tuple[float, float]) -> object:
    ball = stage.ball(name, 0.12, (*place, 0.0))
    keys, touches = bounces(stage.chance, stage.chance.uniform(0.0, 0.8), stage.duration_s)
    stage.animate(ball, "location", 2, keys, base=0.12)
    for time_s, speed in touches:
        stage.hit(time_s, ball, FLOOR, speed)
    return ball


def spinner(stage: Stage, x: float, y: float) -> None:
    """A fan that turns all the time."""
    chance = stage.chance
    fan = stage.box("Fan", (x, y, 0.9), (0.5, 0.04, 0.08), "toy stripe")
    turn = chance.uniform(2.0, 12.0) * stage.duration_s
    speed = turn / stage.duration_s
    stage.animate(
        fan, "rotation_euler", 1, [Key(0.0, 0.0, speed, speed), Key(stage.duration_s, turn, speed, speed)]
    )


def screen(stage: Stage, x: float, y: float) -> None:
    """A board between the camera and some of what happens."""
    stage.box("Board", (x, -0.9, 0.2), (0.4, 0.03, 0.4), "wood")


def passing(stage: Stage, x: float, y: float) -> None:
    """Something that rushes through the picture: it may be heard rushing by."""
    chance = stage.chance
    thing = stage.box("Swallow", (x, y, 1.2), (0.2, 0.1, 0.05), "tin")
    middle, half = chance.uniform(0.6, stage.duration_s - 0.6), chance.uniform(0.2, 0.4)
    stage.animate(
        thing, "location", 0,
        [Key(middle - half, x - 4.0, 0.0, 4.0 / half), Key(middle + half, x + 4.0, 4.0 / half, 0.0)],
    )  # fmt: skip
    stage.hit(middle, thing, FLOOR, 0.0, "pass")


ALL = (clutter, swing, drone, slide, roll, near_miss, set_down, hidden, outside, spinner, screen, passing)
