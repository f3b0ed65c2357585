# SPDX-License-Identifier: GPL-3.0-or-later
"""Water: it sounds by the air in it. Bubbles (Minnaert: the smaller, the higher) and broken surfaces."""

from __future__ import annotations

import numpy as np

from ..shot import SAMPLES, Shot
from . import dsp
from .dsp import Draw, Signal


def _cloud(draw: Draw, times: Signal, low_hz: float, high_hz: float, loud: float = 0.8) -> Signal:
    """Bubbles at ``times`` of sizes between two pitches; the large ones ring longer and louder."""
    hz = low_hz * (high_hz / low_hz) ** draw.random(len(times))
    decay = np.clip(26.0 / hz, 0.004, 0.09) * draw.uniform(0.6, 1.4, len(times))
    gains = np.exp(draw.normal(0.0, loud, len(times))) * (hz / low_hz) ** -0.5
    return dsp.bubbles(times, hz, decay, draw.uniform(0.0, 0.5, len(times)), gains)


def drops(draw: Draw, shot: Shot) -> Signal:
    """drops: a tick as the drop lands, and a moment later the bubble it shut in, its pitch rising."""
    ground, size = str(shot.parameters["ground"]), float(shot.parameters["size"])
    out = np.zeros(SAMPLES, np.float32)
    base = dsp.mix(2300, 700, size)
    times, hz, decay, rise, gains = [], [], [], [], []
    for hit in shot.hits:
        tick = dsp.burst(draw, 0.008, ((500, -14), (2500, 0), (7000, -4), (18000, -24)))
        dsp.place(out, hit.time_s, 0.4 * hit.strength * tick)
        pitch = base * np.exp(draw.normal(0, 0.16))
        for k in range(1 + int(draw.random() < 0.35)):
            times.append(hit.time_s + draw.uniform(0.004, 0.012) + 0.035 * k)
            hz.append(pitch * (1 + 0.4 * k))
            decay.append(dsp.between(draw, 0.04, 0.11))
            rise.append(draw.uniform(0.35, 1.1))
            gains.append(hit.strength * 0.5**k)
        if ground == "basin":
            metal = dsp.between(draw, 380, 520) * np.array([1.0, 2.1, 3.4, 4.9, 6.6])
            dsp.place(out, hit.time_s, 0.12 * hit.strength * dsp.ring(metal, 0.16, 1.0, 0.2))
    return out + dsp.bubbles(*(np.asarray(part) for part in (times, hz, decay, rise, gains)))


_VESSELS = {"glass": (520.0, 1500.0), "bottle": (300.0, 1000.0), "bucket": (150.0, 420.0)}


def pour(draw: Draw, shot: Shot) -> Signal:
    """pour: a jet draws bubbles under; the air column above the water shortens, and its note climbs."""
    low, high = _VESSELS[str(shot.parameters["object"])]
    flow = 0.4 + 0.6 * float(shot.parameters["speed"])
    start, end = np.sort(draw.random(2) * 0.9 + np.array([0.0, 0.1]))
    filling = np.linspace(start, max(end, start + 0.25), dsp.FRAMES)
    note = low * (high / low) ** np.clip(filling, 0, 1) * (1.15 - 0.3 * float(shot.parameters["size"]))
    column = dsp.hump(note, 0.10) + 0.5 * dsp.hump(note * 2.95, 0.08) + 0.25 * dsp.hump(note * 4.9, 0.06)
    splash = 0.10 * dsp.hump(3500.0, 1.3) + 0.05 * dsp.hump(900.0, 1.0)
    unsteady = np.exp(0.3 * dsp.wander(draw, 14.0))[:, None]
    jet = dsp.painted(draw, (1.3 * column + splash * flow) * unsteady)
    drops_in = _cloud(draw, dsp.swarm(draw, 60 + 150 * flow), 600, 4200)
    glugs: Signal | float = 0.0
    if shot.parameters["object"] == "bottle":
        glugs = 1.1 * _cloud(
            draw, np.arange(draw.random() * 0.2, 2.56, draw.uniform(0.14, 0.22)), 220, 380, 0.2
        )
    return jet + 0.45 * drops_in + glugs


def splash(draw: Draw, shot: Shot) -> Signal:
    """splash: the slap, the cavity that closes with a deep gulp, then spray and bubbles falling back."""
    size = float(shot.parameters["size"])
    out = np.zeros(SAMPLES, np.float32)
    spray = np.zeros(dsp.FRAMES)
    cloud = []
    for hit in shot.hits:
        slap = dsp.burst(draw, 0.12, ((60, -3), (300, 0), (2000, -5), (8000, -16), (18000, -34)))
        dsp.place(out, hit.time_s, 1.2 * hit.strength * slap)
        length = dsp.mix(0.25, 0.75, size)
        later = dsp.FRAME_S - hit.time_s - 0.02
        spray += hit.strength * np.where(
            later > 0, np.minimum(1, later / 0.06) * np.exp(-later / (length * 0.5)), 0
        )
        count = 25 + int(60 * size)
        cloud.append(hit.time_s + 0.03 + draw.exponential(length * 0.5, count))
        gulp = hit.time_s + draw.uniform(0.04, 0.08 + 0.06 * size)
        deep = dsp.bubbles(
            np.array([gulp, gulp + 0.06]),
            dsp.mix(420, 110, size) * np.array([1.0, 1.5]),
            np.array([0.16, 0.1]),
            np.array([0.9, 0.7]),
            hit.strength * np.array([0.9, 0.4]),
        )
        out += deep
    colour = dsp.gain_at(((80, -20), (500, -5), (2500, 0), (7000, -4), (16000, -20)), dsp.BINS_HZ)
    out += 0.4 * dsp.painted(draw, (spray[:, None] * colour[None]).astype(np.float32))
    return out + 0.3 * _cloud(draw, np.concatenate(cloud), dsp.mix(900, 400, size), 3600)


def stream(draw: Draw, shot: Shot) -> Signal:
    """stream: bubbles of all sizes without end over a soft rush; a river is deeper and denser."""
    river = shot.parameters["object"] == "river"
    flow = float(shot.parameters["intensity"])
    low, high = (170.0, 1300.0) if river else (380.0, 2400.0)
    gurgle = _cloud(draw, dsp.swarm(draw, (150 if river else 110) + 120 * flow), low, high, 0.6)
    points = (
        ((60, -12), (250, 0), (900, -2), (3000, -9), (9000, -20), (18000, -36))
        if river
        else ((60, -34), (250, -14), (700, -1), (2200, 0), (7000, -10), (18000, -30))
    )
    rush = dsp.shaped(draw, points) * dsp.stretched(np.exp(0.16 * dsp.wander(draw, 4.0)))
    return 0.45 * gurgle + (0.10 + 0.2 * flow) * rush * (1.6 if river else 0.8)


def rain(draw: Draw, shot: Shot) -> Signal:
    """rain: near drops one by one on what they hit, thousands of far ones as a hiss."""
    heavy = 0.15 + 0.85 * float(shot.parameters["intensity"])
    ground = str(shot.parameters["ground"])
    near = dsp.sprinkle(draw, 30 + 330 * heavy, 0.9)
    points: dsp.Points
    if ground == "window":
        hz = dsp.between(draw, 900, 1400) * np.array([1.0, 1.7, 2.6, 3.9, 5.2])
        grain = dsp.ring(hz, 0.022, [0.7, 1, 0.8, 0.5, 0.3], 0.04)
        points = ((100, -26), (600, -9), (2500, 0), (6000, -5), (16000, -22))
    elif ground == "roof":
        hz = dsp.between(draw, 330, 520) * np.cumsum(draw.uniform(0.5, 1.1, 12))
        grain = dsp.ring(hz, 0.06, draw.uniform(0.3, 1, 12), 0.1)
        points = ((80, -18), (400, -3), (1500, 0), (4000, -4), (12000, -18))
    else:
        grain = dsp.burst(draw, 0.012, ((400, -18), (2500, -4), (6000, 0), (14000, -8)))
        points = ((100, -26), (800, -10), (3000, -2), (7000, 0), (14000, -4), (20000, -14))
    wash = dsp.shaped(draw, points) * dsp.stretched(np.exp(0.08 * dsp.wander(draw, 1.5)))
    drops_near = dsp.through(near, grain)
    return drops_near / (np.std(drops_near) + 1e-9) * 0.8 + wash * (0.4 + 0.9 * heavy)


def waves(draw: Draw, shot: Shot) -> Signal:
    """waves: each gathers as a low roar, breaks bright, and runs back as fizz; rocks add a thump."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    rocks = shot.parameters["ground"] == "rocks"
    strong = 0.4 + 0.6 * float(shot.parameters["intensity"])
    break_at = 0.3

    def roar(share: Signal, k: int) -> Signal:
        return (
            np.where(
                share < break_at,
                (share / break_at) ** 1.6,
                np.exp(-(share - break_at) * 3.2) * (1 - share) ** 0.5,
            )
            + 0.05
        )

    def crash(share: Signal, k: int) -> Signal:
        rise = np.clip((share - 0.2) / 0.12, 0, 1) ** 2
        return (
            rise * np.exp(-np.maximum(share - break_at, 0) * (7.0 if rocks else 4.2)) * (1 - share) ** 0.5
            + 0.02
        )

    def fizz(share: Signal, k: int) -> Signal:
        return (
            np.clip((share - 0.3) / 0.25, 0, 1)
            * np.exp(-np.maximum(share - 0.55, 0) * 3.0)
            * (1 - share) ** 0.5
            + 0.04
        )

    low, mid, high = (dsp.over_strokes(at, every, shape) for shape in (roar, crash, fizz))
    gains = low[:, None] * dsp.gain_at(((20, -6), (80, 0), (400, -6), (2000, -28), (8000, -60)), dsp.BINS_HZ)
    colour = ((60, -10), (400, 0), (2000, -3), (6000, -10), (16000, -28))
    gains = gains + 0.8 * strong * mid[:, None] * dsp.gain_at(colour, dsp.BINS_HZ)
    gains = gains + 0.22 * high[:, None] * dsp.gain_at(
        ((500, -30), (2500, -6), (6000, 0), (14000, -8)), dsp.BINS_HZ
    )
    return dsp.painted(draw, (gains * np.exp(0.12 * dsp.wander(draw, 10.0))[:, None]).astype(np.float32))
