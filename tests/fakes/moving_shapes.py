# SPDX-License-Identifier: GPL-3.0-or-later
"""Small grey films whose hits are known exactly: balls that bounce, on a ground with a texture."""

from __future__ import annotations

import cv2
import numpy as np

HEIGHT, WIDTH = 96, 144
FLOOR = 78.0  # pixels down


def ground(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width) float32: a soft, blotchy texture, darker below."""
    chance = np.random.default_rng(seed)
    blotches = cv2.GaussianBlur(chance.normal(0.0, 1.0, (height, width)), (0, 0), 2.5) * 40.0
    shade = np.where(np.arange(height)[:, None] > FLOOR * height / HEIGHT, 90.0, 150.0)
    return (shade + blotches).astype(np.float32)


def draw_ball(picture: np.ndarray, across: float, down: float, radius: float) -> None:
    """A ball with a bright spot, its edge one pixel soft; places between pixels count."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    away = np.hypot(columns - across, rows - down)
    spot = np.hypot(columns - across + radius / 3, rows - down + radius / 3)
    cover = np.clip(radius - away + 0.5, 0.0, 1.0)
    look = 40.0 + 190.0 * np.exp(-((spot / (0.5 * radius)) ** 2))
    picture += cover * (look - picture)


def falls(
    first: float, bounces: int, speed: float, spring: float, gravity: float
) -> list[tuple[float, float]]:
    """(time, speed after) of each touch, in pictures and pixels a picture; after the last it lies still."""
    touches = [(first, speed * spring)]
    for _ in range(bounces - 1):
        time, up = touches[-1]
        touches.append((time + 2.0 * up / gravity, up * spring))
    touches[-1] = (touches[-1][0], 0.0)
    return touches


def height_at(time: float, touches: list[tuple[float, float]], speed: float, gravity: float) -> float:
    """How high above the floor."""
    if time <= touches[0][0]:
        rest = touches[0][0] - time
        return max(0.0, speed * rest - gravity * rest**2 / 2)
    start, up = next(touch for touch in reversed(touches) if touch[0] <= time)
    rest = time - start
    return max(0.0, up * rest - gravity * rest**2 / 2)


def bouncing_ball(
    count: int = 60,
    *,
    first: float = 14.3,
    bounces: int = 3,
    radius: float = 7.0,
    per_second: float = 24.0,
    shake: float = 0.0,
    seed: int = 0,
) -> tuple[np.ndarray, list[float]]:
    """((count, HEIGHT, WIDTH) uint8, when it touches the floor, in pictures). shake: pixels that the camera
    drifts by, as a slow sine.
    """
    scale = 24.0 / per_second
    gravity, speed = 0.5 * scale**2, 6.0 * scale
    first, touches = first / scale, []
    touches = falls(first, bounces, speed, 0.7, gravity)
    back = ground(seed)
    film = np.empty((count, HEIGHT, WIDTH), np.uint8)
    for number in range(count):
        picture = back.copy()
        down = FLOOR - radius - height_at(float(number), touches, speed, gravity)
        draw_ball(picture, 40.0 + 0.6 * scale * number, down, radius)
        if shake:
            turn = 2.0 * np.pi * number * scale / 40.0
            move = np.float32([[1, 0, shake * np.sin(turn)], [0, 1, shake * np.cos(turn)]])
            picture = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        film[number] = np.clip(picture + 0.5, 0, 255)
    return film, [time for time, _ in touches if time < count - 4]


_LARGE, _WIDE = 448, 640  # lines and columns that small things are drawn in before pictures are reduced


def _reduced(picture: np.ndarray, lines: int) -> np.ndarray:
    size = (round(_WIDE * lines / _LARGE), lines)
    return np.clip(cv2.resize(picture, size, interpolation=cv2.INTER_AREA) + 0.5, 0, 255).astype(np.uint8)


def _blotches(seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed).normal(0.0, 1.0, (_LARGE, _WIDE))
    return (cv2.GaussianBlur(chance, (0, 0), 10.0) * 200.0 + 120.0).astype(np.float32)


def bouncing_pebble(lines: int, *, seed: int = 0, count: int = 60) -> tuple[np.ndarray, list[float]]:
    """((count, lines, w) uint8, touches in pictures): pale, and 27 thousandths of the picture wide."""
    back, radius, speed, gravity = _blotches(seed), 6.0, 9.0, 0.8
    touches = falls(14.3 + 0.27 * seed, 3, speed, 0.7, gravity)
    rows, columns = np.mgrid[:_LARGE, :_WIDE].astype(np.float32)
    film = []
    for number in range(count):
        down = 300.0 - radius - height_at(float(number), touches, speed, gravity)
        away = np.hypot(columns - 200.0 - 2.0 * number, rows - down)
        film.append(_reduced(back + 40.0 * np.clip(radius - away + 0.5, 0.0, 1.0), lines))
    return np.stack(film), [time for time, _ in touches if time < count - 4]


def falling_stick(lines: int, *, seed: int = 0, count: int = 48) -> tuple[np.ndarray, list[float]]:
    """((count, lines, w) uint8, touches in pictures): thin and pale; it turns about one of its ends."""
    back, speed, gravity = _blotches(seed), 0.11, 0.01  # radians
    touches = falls(14.3 + 0.3 * seed, 3, speed, 0.6, gravity)
    hinge, film = np.array([160.0, 260.0]), []
    for number in range(count):
        angle = height_at(float(number), touches, speed, gravity)
        along = 260.0 * np.array([np.cos(angle), -np.sin(angle)])
        side = 1.5 * np.array([np.sin(angle), np.cos(angle)])
        corners = [hinge - side, hinge + side, hinge + along + side, hinge + along - side]
        cover = np.zeros((_LARGE, _WIDE), np.uint8)
        cv2.fillPoly(cover, [np.rint(np.array(corners) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        film.append(_reduced(back + cover * np.float32(25.0 / 255.0), lines))
    return np.stack(film), [time for time, _ in touches if time < count - 4]
