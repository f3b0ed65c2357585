# SPDX-License-Identifier: GPL-3.0-or-later
"""Air and fire: wind, leaves, cloth and passing blades; flames, thunder, blasts and sparks."""

from __future__ import annotations

import numpy as np

from ..shot import SAMPLES, Shot
from . import dsp
from .dsp import Draw, Signal


def wind(draw: Draw, shot: Shot) -> Signal:
    """wind: a broad low rush and one or two edges that whistle, their pitch following the gusts."""
    strong = float(shot.parameters["intensity"])
    gap = shot.parameters["ground"] == "gap"
    gust = dsp.wander(draw, 0.9 + 0.8 * float(shot.parameters["speed"]))
    level = np.exp(0.35 * gust)[:, None]
    gains = level * dsp.gain_at(((20, -4), (90, 0), (300, -7), (1000, -20), (4000, -42)), dsp.BINS_HZ)
    base = dsp.between(draw, 260, 420) * (0.8 + 0.7 * strong)
    for k in range(2):
        howl = base * (1 + 0.75 * k) * np.exp(0.22 * gust + 0.08 * dsp.wander(draw, 2.0))
        width = 0.07 if gap else 0.22
        loud = (1.5 if gap else 0.6) * (0.5 + strong) * 0.6**k
        gains = gains + loud * np.exp(0.5 * gust + 0.3 * dsp.wander(draw, 1.5))[:, None] * dsp.hump(
            howl, width
        )
    return dsp.painted(draw, gains.astype(np.float32))


def leaves(draw: Draw, shot: Shot) -> Signal:
    """leaves: each gust sets hundreds of small dry edges rubbing and ticking."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    dry = shot.parameters["object"] == "dry leaves"
    gust = dsp.over_strokes(at, every, lambda share, k: 0.12 + np.sin(np.pi * share**0.8) ** 2)
    gust = gust * np.exp(0.25 * dsp.wander(draw, 5.0)) * (0.6 + 0.4 * float(shot.parameters["intensity"]))
    centre = dsp.between(draw, 3600, 5200) * (0.75 if dry else 1.0)
    patches = draw.gamma(0.5, 2.0, (dsp.FRAMES, 1)) * 0.5 + 0.5
    speckle = np.repeat(draw.gamma(0.35, 2.8, (dsp.FRAMES, 65)), 8, axis=1)[:, : len(dsp.BINS_HZ)]
    rub = dsp.painted(draw, (gust[:, None] * patches * speckle * dsp.hump(centre, 0.75)).astype(np.float32))
    ticks = dsp.sprinkle(draw, (260 if dry else 90) * gust, 1.0)
    grain = dsp.burst(draw, 0.006, ((800, -20), (centre * 0.6, 0), (centre * 1.8, -6), (18000, -28)))
    return rub + (0.7 if dry else 0.3) * dsp.through(ticks, grain)


def cloth(draw: Draw, shot: Shot) -> Signal:
    """cloth: folds that slide past each other; a flag cracks like a soft whip at the end of each wave."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    flag = shot.parameters["object"] == "flag"
    coat = shot.parameters["object"] == "coat"

    def sweep(share: Signal, k: int) -> Signal:
        return np.sin(np.pi * np.minimum(share / 0.55, 1.0)) ** 1.5 + 0.02

    move = dsp.over_strokes(at, every, sweep) * np.exp(0.55 * dsp.wander(draw, 24.0))
    centre = dsp.between(draw, 900, 1500) * (1.5 if coat else 1.0)
    colour = dsp.hump(centre, 1.0) + 0.25 * dsp.hump(centre * 3.6, 0.6)
    out = dsp.painted(draw, (move[:, None] * colour).astype(np.float32))
    strength = 0.5 + float(shot.parameters["intensity"])
    for begin in dsp.strokes(at, every):
        for k in range(int(draw.integers(1, 4)) if flag else 1):
            when = begin + every * (0.27 + 0.09 * k + 0.03 * draw.random())
            flap = dsp.burst(draw, 0.07, ((40, -4), (110, 0), (400, -8), (1500, -20), (6000, -40)), 0.004)
            dsp.place(out, when, flap * strength * (2.6 if flag else 0.7) * 0.7**k)
    return out


def whoosh(draw: Draw, shot: Shot) -> Signal:
    """whoosh: eddies shed by what passes; loudest, highest (Strouhal) and narrowest when it is nearest."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    speed, size = float(shot.parameters["speed"]), float(shot.parameters["size"])
    thin = {"blade": 1.9, "stick": 1.25, "ball": 0.7}[str(shot.parameters["object"])]
    length = min(0.9 * every, dsp.mix(0.75, 0.24, speed))

    def near(share: Signal, k: int) -> Signal:
        inside = np.clip(share * every / length, 0, 1)
        return np.sin(np.pi * inside**0.8)

    pass_by = dsp.over_strokes(at, every, near)
    top = dsp.mix(700, 1900, speed) * thin * dsp.mix(1.4, 0.7, size)
    centre = np.maximum(60.0, top * (0.22 + 0.78 * pass_by**1.2))
    body = dsp.hump(centre, 0.33) + 0.3 * dsp.hump(centre * 2.1, 0.4)
    return dsp.painted(draw, (pass_by[:, None] ** 2.4 * body).astype(np.float32))


def fire(draw: Draw, shot: Shot) -> Signal:
    """fire: a flickering low roar, a breath of hiss, and wood that pops as steam bursts it."""
    strong = float(shot.parameters["intensity"])
    flicker = dsp.stretched(np.exp(0.5 * dsp.wander(draw, 9.0)))
    roar = dsp.shaped(draw, ((20, -6), (60, 0), (180, -3), (600, -20), (3000, -46))) * flicker
    hiss = dsp.shaped(draw, ((500, -30), (3000, -4), (7000, 0), (16000, -10)))
    torch = shot.parameters["object"] == "torch"
    out = (0.12 + 0.3 * strong) * (2.2 if torch else 1.0) * roar + 0.03 * hiss
    heat = np.exp(0.8 * dsp.wander(draw, 3.0))
    rate = (4 if torch else 9) + 22 * float(shot.parameters["speed"])
    for low, high, seconds, share in ((900, 2500, 0.012, 0.3), (2500, 8000, 0.006, 0.7)):
        centre = dsp.between(draw, low, high)
        snap = dsp.burst(draw, seconds, ((200, -22), (centre, 0), (centre * 2, -10), (20000, -34)), 0.0002)
        out = out + 0.8 * dsp.through(dsp.sprinkle(draw, rate * share * heat, 1.0), snap)
    return out


def thunder(draw: Draw, shot: Shot) -> Signal:
    """thunder: the nearest bit of the channel cracks first, the rest rolls in from farther and farther."""
    hit = shot.hits[0]
    far = float(shot.parameters["distance"])
    gone = dsp.FRAME_S - hit.time_s
    begun = gone >= -0.004
    rolls = np.zeros(dsp.FRAMES)
    for when in np.concatenate([[0.0], draw.exponential(0.7, 9)]):
        since = gone - when
        rolls += np.where(
            since >= 0, np.exp(draw.normal(-0.2, 0.5)) * np.exp(-since / draw.uniform(0.25, 0.7)), 0
        )
    dulling = dsp.mix(900, 260, far) * np.exp(-np.maximum(gone, 0) * 0.9) + 70
    low = 1.0 / (1.0 + (dsp.BINS_HZ[None] / dulling[:, None]) ** 2.2)
    deep = np.minimum(1.0, (dsp.BINS_HZ[None] / 45.0) ** 2)
    out = dsp.painted(draw, (rolls * begun * np.exp(0.35 * dsp.wander(draw, 9.0)))[:, None] * low * deep)
    out[: dsp.samples(hit.time_s)] = 0.0
    for k in range(2 + int(draw.integers(5))):  # tearing before the roll
        crack = dsp.burst(draw, 0.16, ((50, 0), (300, -2), (2000, -8), (8000, -20)))
        dsp.place(out, hit.time_s + k * draw.uniform(0.015, 0.06), crack * (1.1 - 0.6 * far) * 0.8**k)
    return out


def explosion(draw: Draw, shot: Shot) -> Signal:
    """explosion: a blast wave of all frequencies at once, a boom that sinks, and debris or stars after it."""
    hit, size = shot.hits[0], float(shot.parameters["size"])
    works = shot.parameters["object"] == "firework"
    out = np.zeros(SAMPLES, np.float32)
    blast = dsp.burst(
        draw, dsp.mix(0.7, 1.5, size), ((25, -2), (90, 0), (500, -5), (3000, -13), (14000, -28))
    )
    dsp.place(out, hit.time_s, 2.2 * blast)
    snap = dsp.burst(draw, 0.04, ((100, 0), (2000, 0), (12000, -8)))
    dsp.place(out, hit.time_s, 1.2 * snap)
    at = np.arange(dsp.samples(1.4)) / 48_000
    turn = np.cumsum(dsp.mix(75, 38, size) * (0.6 + 0.9 * np.exp(-at / 0.09))) / 48_000
    dsp.place(out, hit.time_s, np.sin(2 * np.pi * turn) * np.exp(-at / 0.28) * np.minimum(1, at / 0.0007))
    after = np.clip((dsp.FRAME_S - hit.time_s - 0.15) / 0.1, 0, 1) * np.exp(-(dsp.FRAME_S - hit.time_s) / 0.8)
    bits = dsp.sprinkle(draw, (240.0 if works else 70.0) * after, 0.9)
    centre = 5200 if works else 1500
    grain = dsp.burst(draw, 0.012, ((150, -14), (centre, 0), (centre * 2.5, -10), (20000, -36)))
    return out + (0.35 if works else 0.25) * dsp.through(bits, grain)


def sparks(draw: Draw, shot: Shot) -> Signal:
    """sparks: the arc strikes anew twice in every mains cycle; bright, dry crackles, with pauses or none."""
    thing, strong = str(shot.parameters["object"]), float(shot.parameters["intensity"])
    mains = 100.0 if draw.random() < 0.5 else 120.0
    gate = dsp.cycles(dsp.turns(mains), dsp.table(1 / np.arange(1, 9), draw))
    gate = np.maximum(gate / (np.std(gate) + 1e-9), 0.0)
    hiss = dsp.shaped(draw, ((300, -30), (2000, -10), (6000, 0), (16000, 0)))
    grain = dsp.burst(draw, 0.0035, ((500, -18), (4000, 0), (14000, 0)), 0.0001)
    if thing == "sparkler":
        fizz = dsp.sprinkle(draw, 900 + 1500 * strong, 1.1)
        return 0.6 * dsp.through(fizz, grain) + 0.18 * hiss
    alive = np.ones(dsp.FRAMES)
    if thing == "cable":
        alive = (dsp.wander(draw, 7.0) > 0.1 - 0.5 * strong).astype(float) + 0.03
    arc = dsp.stretched(alive * np.exp(0.4 * dsp.wander(draw, 20.0)))
    pops = dsp.through(dsp.sprinkle(draw, (200 + 500 * strong) * alive, 1.1), grain)
    buzz = dsp.shaped(draw, ((80, -10), (400, -3), (3000, 0), (9000, -4), (18000, -14))) * gate * arc
    return 0.8 * pops + 0.28 * buzz * (1.6 if thing == "welder" else 1.0) + 0.05 * hiss * arc
