# SPDX-License-Identifier: GPL-3.0-or-later
"""Footsteps: heel, then toe, on each ground; what lies loose there is crushed or brushed aside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..shot import SAMPLES, Hit, Shot
from . import dsp
from .dsp import Draw, Signal

# How hard the sole is (0 to 1), and how much of the body's weight it passes on.
_SOLES = {
    "shoes": (0.6, 0.7),
    "boots": (0.5, 1.0),
    "heels": (1.0, 0.45),
    "sneakers": (0.25, 0.7),
    "bare feet": (0.12, 0.6),
}
Step = Callable[[Draw, float, float, float], Signal]


def _thud(draw: Draw, weight: float, hz: float, seconds: float = 0.09) -> Signal:
    points = ((hz * 0.4, -6), (hz, 0), (hz * 2.5, -14), (hz * 10, -44))
    return weight * dsp.burst(draw, seconds, points, 0.0008)


def _wood(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """Boards over a hollow: low knocks of the floor, and the clack of the sole."""
    hz = dsp.between(draw, 95, 150) * np.array([1.0, 1.63, 2.4, 3.7, 5.6, 8.2])
    out = np.zeros(dsp.samples(0.4), np.float32)
    gains = np.array([1.0, 0.8, 0.6, 0.35, 0.2, 0.12]) * draw.uniform(0.5, 1, 6) * weight
    dsp.place(out, 0.0, dsp.ring(hz, 0.16 * (hz / 120) ** -0.4, gains, 0.3))
    knock = dsp.between(draw, 500, 900) * np.array([1.0, 1.8, 2.9])
    dsp.place(out, 0.0, dsp.ring(knock, 0.05, np.array([0.8, 0.5, 0.3]) * (0.2 + hard), 0.07))
    top = 900 + 2500 * hard * force
    dsp.place(out, 0.0, 0.5 * dsp.burst(draw, 0.03, ((100, -6), (600, 0), (top, -10), (9000, -44))))
    return out


def _stone(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """Hard ground gives nothing back: a dry click of the sole and the scuff of grit."""
    out = np.zeros(dsp.samples(0.3), np.float32)
    top = 1400 + 4200 * hard
    tap = dsp.burst(draw, 0.022, ((150, -12), (top * 0.4, -2), (top, 0), (top * 2.2, -16), (20000, -44)))
    dsp.place(out, 0.0, tap * (0.45 + hard))
    dsp.place(out, 0.0, dsp.ring(top * draw.uniform(0.4, 0.6), 0.02, 0.35 * hard, 0.03))
    dsp.place(out, 0.0, _thud(draw, 0.45 * weight, 130, 0.05))
    scuff = dsp.burst(draw, 0.13, ((800, -30), (2500, -6), (6000, 0), (12000, -8), (20000, -20)), 0.03)
    dsp.place(out, 0.012, scuff * (0.08 + 0.1 * draw.random()))
    return out


def _metal(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """A plate on girders: a clang of dense modes that rings on under the thump."""
    hz = dsp.between(draw, 150, 230) * np.cumsum(draw.uniform(0.35, 1.3, 26))
    tilt = (hz / 300) ** (-0.75 + 0.5 * hard)
    gains = tilt * draw.random(26) * 0.4
    out = np.zeros(dsp.samples(1.0), np.float32)
    dsp.place(out, 0.0, dsp.ring(hz, 0.75 * (hz / 500) ** -0.4, gains, 1.0))
    dsp.place(out, 0.0, _thud(draw, 0.7 * weight, 110))
    dsp.place(out, 0.0, (0.2 + hard) * 0.7 * dsp.burst(draw, 0.02, ((300, -14), (2500, 0), (8000, -8))))
    return out


def _grains(draw: Draw, count: int, spread_s: float, hz: tuple[float, float], t60: float) -> Signal:
    """Small hard bits pushed about: ``count`` ticks over ``spread_s``, most of them early."""
    out = np.zeros(dsp.samples(spread_s + 0.1), np.float32)
    times = draw.beta(1.2, 2.6, count) * spread_s
    times[: max(1, count // 12)] = draw.random(max(1, count // 12)) * 0.0008  # the first touch
    loud = np.exp(draw.normal(-0.4, 0.7, count))
    kinds = []
    for _ in range(8):
        pitch = dsp.between(draw, *hz)
        kinds.append(dsp.ring([pitch, pitch * 1.62], t60 * draw.uniform(0.5, 1.6), [1.0, 0.6], 3 * t60))
    for when, gain, kind in zip(times, loud, draw.integers(8, size=count), strict=True):
        dsp.place(out, float(when), np.float32(gain) * kinds[kind])
    return out


def _gravel(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """Pebbles grind against each other: a cluster of stony ticks with a gritty wash."""
    out = 0.45 * _grains(draw, 28 + int(30 * force), 0.2, (1800, 7500), 0.008)
    wash = dsp.burst(draw, 0.26, ((300, -22), (1500, -4), (4500, 0), (9000, -6), (18000, -22)), 0.0008)
    jagged = np.repeat(np.exp(draw.normal(0, 0.9, len(wash) // 240 + 1)), 240)[: len(wash)]
    dsp.place(out, 0.0, 0.5 * wash * jagged)
    dsp.place(out, 0.0, _thud(draw, 0.3 * weight, 140, 0.06))
    return out


def _snow(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """Crystals are pressed until they break: a creaking crunch that tightens, nothing bright or hard."""
    length = 0.16 + 0.12 * draw.random()
    count = dsp.samples(length + 0.05)
    at = np.arange(count) / 48_000
    press = np.clip(at / length, 0, 1)
    packs = np.cumsum(60 + 110 * press + 25 * draw.standard_normal(count)) / 48_000
    crush = (packs % 1.0 < 0.3).astype(np.float32) * np.repeat(draw.random(count // 200 + 1), 200)[:count]
    centre = dsp.between(draw, 650, 1100)
    hiss = dsp.shaped(draw, ((150, -22), (centre, 0), (centre * 3, -8), (7000, -32), (16000, -54)), count)
    swell = np.minimum(1, at / 0.0008) * (1 - press) ** 0.6 * (0.55 + 0.45 * np.sin(np.pi * press))
    out = (0.3 + 1.2 * crush) * hiss * swell * 0.4
    return out + np.pad(_thud(draw, 0.35 * weight, 90, 0.07), (0, count))[:count]


def _grass(draw: Draw, force: float, hard: float, weight: float) -> Signal:
    """Blades bend and brush the sole: a soft, bright swish over a muffled tread."""
    length = 0.2 + 0.15 * draw.random()
    count = dsp.samples(length)
    at = np.arange(count) / 48_000 / length
    swish = dsp.shaped(draw, ((300, -34), (1800, -12), (5000, 0), (10000, -4), (18000, -16)), count)
    flutter = np.interp(np.arange(count), np.arange(40) * 480, draw.random(40) ** 1.5)
    swell = np.minimum(1, at / 0.006) * 0.35 + np.sin(np.pi * at**0.7) ** 2
    out = swish * swell * (0.2 + flutter) * 0.3
    tread = _thud(draw, 0.9 * weight, 85, 0.09)
    tread[:600] += 0.25 * dsp.burst(draw, 600 / 48_000, ((200, -6), (900, 0), (4000, -12), (12000, -30)))
    out[: len(tread)] += tread[: len(out)]
    return out


_GROUNDS: dict[str, Step] = {
    "wood": _wood,
    "stone": _stone,
    "metal": _metal,
    "gravel": _gravel,
    "snow": _snow,
    "grass": _grass,
}


def walk(draw: Draw, shot: Shot) -> Signal:
    """steps_*: at each hit the heel, shortly after it the ball of the foot, softer; a runner lands whole."""
    step = _GROUNDS[str(shot.parameters["ground"])]
    hard, weight = _SOLES[str(shot.parameters["object"])]
    weight *= 0.6 + 0.6 * float(shot.parameters["size"])
    hard = float(np.clip(hard + draw.normal(0, 0.06), 0.05, 1.0))
    runs = float(shot.parameters["speed"])
    seed = int(draw.integers(2**31))  # one floor: every step meets nearly the same boards
    out = np.zeros(SAMPLES, np.float32)
    for number, hit in enumerate(shot.hits):
        floor = np.random.default_rng([seed, number % 3])
        _tread(floor, out, step, hit, (hard, weight), runs)
    return out


def _tread(draw: Draw, out: Signal, step: Step, hit: Hit, sole: tuple[float, float], runs: float) -> None:
    hard, weight = sole
    dsp.place(out, hit.time_s, hit.strength * step(draw, hit.strength, hard, weight))
    if runs < 0.75:
        later = 0.14 - 0.08 * runs + 0.02 * draw.random()
        toe = step(draw, hit.strength * 0.6, hard * 0.7, weight * 0.5)
        dsp.place(out, hit.time_s + later, 0.45 * hit.strength * toe)
