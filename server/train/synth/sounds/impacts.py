# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that fall, break, roll, scrape and shut: modes of the object and of what it touches.

Partials follow the textbook ratios of each shape (Fletcher and Rossing, The Physics of Musical
Instruments); losses grow with frequency as the material's; a contact of finite length mutes what is faster
than itself, so hard, strong blows are bright.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..shot import SAMPLES, Shot
from . import dsp
from .dsp import Draw, Signal

_RATIOS: dict[str, tuple[float, ...]] = {
    "ball": (1.0, 1.49, 1.93, 2.36, 2.78, 3.12, 3.57, 3.88, 4.32, 4.9),
    "cube": (1.0, 1.22, 1.41, 1.73, 2.0, 2.24, 2.45, 2.83, 3.0, 3.32, 3.61, 4.12),
    "block": (1.0, 1.58, 1.87, 2.24, 2.55, 3.16, 3.35, 3.74, 4.36, 5.0, 5.48, 6.1),
    "cylinder": (1.0, 1.21, 1.78, 2.46, 2.83, 3.31, 3.95, 4.6, 5.42, 6.3, 7.7),
    "cone": (1.0, 1.69, 2.16, 2.87, 3.41, 4.35, 5.1, 6.2, 7.4),
    "ring": (1.0, 2.83, 5.42, 8.77, 12.87, 17.7),
    "disc": (1.0, 1.73, 2.33, 3.91, 4.11, 6.3, 6.71, 8.1, 9.2, 11.4),
    "rod": (1.0, 2.756, 5.404, 8.933, 13.34, 18.6),
}
_PITCH = {"ball": 1.5, "cube": 1.25, "block": 1.0, "cylinder": 0.9, "cone": 1.2, "ring": 0.6, "disc": 0.75}


@dataclass(frozen=True, slots=True)
class Stuff:
    """A material: lowest partial of a small and a large body (Hz), T60 at 1 kHz (s), how fast losses grow
    with frequency, how long a contact lasts (s), how much of the blow is mere click, where that lies (Hz)."""

    small_hz: float
    large_hz: float
    t60_s: float
    loss: float
    contact_s: float
    click: float
    click_hz: float


STUFF = {
    "wood": Stuff(950, 240, 0.11, 0.8, 0.00035, 0.22, 1300),
    "metal": Stuff(2600, 520, 1.5, 0.35, 0.00006, 0.12, 7000),
    "glass": Stuff(4600, 1800, 1.1, 0.4, 0.00005, 0.2, 9000),
    "stone": Stuff(3600, 1100, 0.022, 0.5, 0.0001, 0.8, 4200),
    "plastic": Stuff(1900, 750, 0.04, 0.3, 0.00016, 0.45, 3000),
    "rubber": Stuff(170, 65, 0.03, 0.5, 0.0032, 0.12, 420),
}
_SOFT = {"earth": 3.5, "carpet": 3.0, "wood": 1.15, "stone": 1.0, "metal": 1.0}


def partials(draw: Draw, shape: str, material: str, size: float) -> tuple[Signal, Signal]:
    """Frequencies and T60s of a body; close pairs, as no real body is quite round. ((M,), (M,))"""
    stuff = STUFF[material]
    lowest = dsp.mix(stuff.small_hz, stuff.large_hz, size) * _PITCH.get(shape, 1.0)
    ratios = np.asarray(_RATIOS.get(shape, _RATIOS["block"]))
    if material in ("stone", "plastic"):
        ratios = np.sort(np.concatenate([ratios, ratios * 1.27]))
    hz = lowest * ratios * np.exp(draw.normal(0.0, 0.03, len(ratios)))
    if material in ("metal", "glass"):
        hz = np.concatenate([hz, hz * (1 + np.abs(draw.normal(0.0, 0.004, len(hz))) + 0.001)])
    t60 = stuff.t60_s * (hz / 1000.0) ** -stuff.loss * np.exp(draw.normal(0.0, 0.25, len(hz)))
    return hz, np.clip(t60, 0.006, 3.5)


def _ground(draw: Draw, ground: str, weight: float) -> Signal:
    """What the ground itself answers to a blow; ``weight`` 0 to 1 is how much it is moved."""
    if ground == "metal":
        hz = dsp.between(draw, 110, 220) * np.cumsum(draw.uniform(0.5, 1.2, 18))
        gains = 0.16 * weight * (hz / 300) ** -0.5 * draw.random(18)
        return dsp.ring(hz, 0.4 * (hz / 400) ** -0.4, gains, 0.8)
    if ground == "wood":
        hz = dsp.between(draw, 85, 160) * np.array([1.0, 1.7, 2.4, 3.6, 5.1, 7.3])
        return dsp.ring(hz, 0.09 * (hz / 200) ** -0.5, 0.4 * weight * draw.random(6), 0.25)
    if ground == "stone":
        return dsp.ring(dsp.between(draw, 60, 110), 0.04, 0.25 * weight, 0.1)
    thud = dsp.burst(draw, 0.09, ((60, 0), (200, -2), (900, -22), (5000, -50)), 0.001)
    return thud * (0.15 + 0.45 * weight)


def blow(
    draw: Draw, hz: Signal, t60: Signal, material: str, strength: float, *, soft: float = 1.0, spot: float
) -> Signal:
    """One blow on a body of those partials: ``spot`` 0 to 1 is where it is struck. Peak about 1."""
    stuff = STUFF[material]
    contact = stuff.contact_s * soft * (0.25 + strength) ** -0.4
    muted = 1.0 / (1.0 + (hz * contact * 2.2) ** 2)
    shape = np.abs(np.sin(np.pi * spot * (1 + np.arange(len(hz)) % 11))) + 0.08
    gains = muted * shape * (hz / hz[0]) ** -0.35
    body = dsp.ring(hz, t60, gains / (np.sum(gains) + 1e-9), min(2.56, float(np.max(t60)) * 1.05 + 0.12))
    top = stuff.click_hz * (0.5 + 0.7 * strength) / soft**0.7
    click = dsp.burst(
        draw,
        0.006 + 0.006 * soft,
        ((60, -16), (top * 0.4, -3), (top, 0), (top * 2.2, -20), (20000, -50)),
        min(0.0008, contact),
    )
    sound = body * 1.6
    count = min(len(click), len(sound))
    sound[:count] += stuff.click * click[:count]
    return sound


def fall(draw: Draw, shot: Shot) -> Signal:
    """impact_*: one body that falls on one ground and bounces at each hit."""
    material, ground = str(shot.parameters["material"]), str(shot.parameters["ground"])
    size = float(shot.parameters["size"])
    hz, t60 = partials(draw, str(shot.parameters["object"]), material, size)
    out = np.zeros(SAMPLES, np.float32)
    hollow = dsp.between(draw, 500, 1300)
    for hit in shot.hits:
        sound = blow(draw, hz, t60, material, hit.strength, soft=_SOFT[ground], spot=draw.uniform(0.1, 0.5))
        if material == "plastic":
            _rattle(draw, sound, hollow)
        if material == "stone":
            _crumble(draw, sound, size)
        if material == "rubber":
            sound = _thump(
                draw, dsp.mix(STUFF["rubber"].small_hz, STUFF["rubber"].large_hz, size), hit.strength
            )
        dsp.place(out, hit.time_s, hit.strength * sound)
        weight = (0.2 + 0.8 * size) * (0.55 if material == "rubber" else 1.0)
        dsp.place(out, hit.time_s, hit.strength * _ground(draw, ground, weight))
    return out


def _rattle(draw: Draw, sound: Signal, hollow_hz: float) -> None:
    """Plastic: the air inside answers, and thin walls buzz against what they lie on."""
    dsp.place(sound, 0.0, dsp.ring([hollow_hz, hollow_hz * 2.1], 0.06, [0.5, 0.3], 0.07))
    when = 0.005
    for k in range(4):
        tick = dsp.burst(draw, 0.006, ((400, -24), (2200, -2), (4200, 0), (8000, -8), (16000, -40)))
        dsp.place(sound, when, tick * 0.5 * 0.72**k)
        when += draw.uniform(0.006, 0.012)


def _crumble(draw: Draw, sound: Signal, size: float) -> None:
    """Stone: a dull weight, and grit that is ground under it for a moment."""
    dsp.place(sound, 0.0, dsp.ring(dsp.between(draw, 90, 170), 0.06, 0.3 + 0.5 * size, 0.08))
    grit = dsp.burst(draw, 0.1, ((800, -26), (2500, -6), (6000, 0), (11000, -3), (20000, -16)), 0.004)
    dsp.place(sound, 0.002, 0.22 * grit)


def _thump(draw: Draw, hz: float, strength: float) -> Signal:
    """Rubber: a soft body that springs: the pitch falls as it unloads, and the skin slaps a little."""
    at = np.arange(dsp.samples(0.16)) / 48_000
    turn = np.cumsum(hz * (1 + 0.8 * np.exp(-at / 0.012))) / 48_000
    body = np.sin(2 * np.pi * turn) * np.exp(-at / 0.024) * np.minimum(1, at / 0.0006)
    skin = dsp.burst(draw, 0.03, ((100, -6), (350, 0), (900, -14), (4000, -40)), 0.0005)
    body[: len(skin)] += skin * (0.2 + 0.4 * strength)
    twang = dsp.ring([hz * 3.1, hz * 4.7], 0.05, [0.12, 0.06], 0.06)
    body[: len(twang)] += twang
    return body


def shatter(draw: Draw, shot: Shot) -> Signal:
    """glass_break: a crack, the vessel's own ring cut short, then shards that ring and settle."""
    out = np.zeros(SAMPLES, np.float32)
    hit, size = shot.hits[0], float(shot.parameters["size"])
    crack = dsp.burst(draw, 0.12, ((200, -14), (1500, -4), (5000, 0), (12000, -2), (20000, -10)))
    dsp.place(out, hit.time_s, crack * 1.3)
    hz, t60 = partials(draw, "disc", "glass", size)
    dsp.place(out, hit.time_s, 0.5 * dsp.ring(hz, t60 * 0.25, 1 / len(hz), 0.3))
    out = out + _ground_at(draw, str(shot.parameters["ground"]), hit.time_s, 0.6)
    shards = 40 + int(120 * float(shot.parameters["intensity"]) * (0.4 + 0.6 * size))
    later = draw.exponential(0.16 + 0.2 * size, shards) + 0.004
    for when, loud in zip(later, np.exp(draw.normal(-1.7, 0.7, shards)), strict=True):
        pitch = dsp.between(draw, 2600, 12000)
        shard = dsp.ring(
            [pitch, pitch * 1.51, pitch * 2.2],
            dsp.between(draw, 0.02, 0.22),
            np.array([1, 0.6, 0.3]) * loud * np.exp(-when * 1.2),
            0.16,
        )
        dsp.place(out, hit.time_s + when, shard)
    return out


def _ground_at(draw: Draw, ground: str, time_s: float, weight: float) -> Signal:
    out = np.zeros(SAMPLES, np.float32)
    dsp.place(out, time_s, _ground(draw, ground, weight))
    return out


def door(draw: Draw, shot: Shot) -> Signal:
    """door: the swing stirs the air, the leaf booms in its frame, the latch falls in after it."""
    hit, size = shot.hits[0], float(shot.parameters["size"])
    metal = shot.parameters["material"] == "metal"
    small = 1.8 if shot.parameters["object"] == "cupboard" else 1.0
    ahead = np.exp(-np.abs(np.minimum(dsp.FRAME_S - hit.time_s, 0)) / 0.12) * (hit.time_s > dsp.FRAME_S)
    out = 0.03 * dsp.painted(draw, (ahead[:, None] * dsp.hump(300.0, 1.0)).astype(np.float32))
    base = dsp.mix(105, 55, size) * small
    hz = base * np.array([1.0, 1.55, 2.1, 2.9, 3.7, 4.9, 6.2, 8.1])
    boom = dsp.ring(hz, 0.28 * (hz / 80) ** -0.35, (hz / base) ** -0.7 * draw.uniform(0.3, 1, 8), 0.5)
    dsp.place(out, hit.time_s, boom)
    slap = dsp.burst(draw, 0.09, ((60, 0), (400, -3), (2500, -14), (9000, -34)))
    dsp.place(out, hit.time_s, slap * (0.8 + hit.strength))
    if metal:
        sheet = dsp.between(draw, 180, 320) * np.cumsum(draw.uniform(0.3, 1.0, 24))
        dsp.place(out, hit.time_s, dsp.ring(sheet, 0.7 * (sheet / 500) ** -0.4, 0.16 * draw.random(24), 1.2))
    when = hit.time_s + draw.uniform(0.03, 0.06)
    for k in range(2 + int(draw.integers(3))):  # latch, bolt, and what hangs loose
        pitch = dsp.between(draw, 1500, 3800)
        click = dsp.ring(pitch * np.array([1, 1.47, 2.31]), 0.045, [0.4, 0.3, 0.2], 0.06)
        click[:300] += 0.5 * dsp.burst(draw, 300 / 48_000, ((800, -10), (4000, 0), (12000, -12)))[:300]
        dsp.place(out, when, click * 0.75 * 0.7**k)
        when += draw.uniform(0.035, 0.1)
    return out


def roll(draw: Draw, shot: Shot) -> Signal:
    """roll: countless tiny blows of rough on rough, once around for every turn, through body and ground."""
    material, ground = str(shot.parameters["material"]), str(shot.parameters["ground"])
    size, speed = float(shot.parameters["size"]), float(shot.parameters["speed"])
    hz, t60 = partials(draw, str(shot.parameters["object"]), material, 0.3 + 0.7 * size)
    spots = np.abs(np.sin(np.pi * draw.uniform(0.1, 0.5) * (1 + np.arange(len(hz))))) + 0.1
    stuff = STUFF[material]
    muted = 1 / (1 + (hz * stuff.contact_s * 6 / (0.4 + speed)) ** 2)
    body = dsp.ring(hz, np.minimum(t60, 0.3), muted * spots, 0.3)
    beneath = _ground(draw, ground, 0.5 + size)
    per_turn = dsp.mix(1.6, 9.0, speed) * dsp.mix(1.3, 0.75, size)
    phase = dsp.turns(dsp.stretched(per_turn * np.exp(0.08 * dsp.wander(draw, 1.0))))
    bump = dsp.cycles(phase, dsp.table(1 / np.arange(1, 9) ** 0.8, draw))
    depth = {"ball": 0.35, "cylinder": 0.5, "ring": 0.65}[str(shot.parameters["object"])]
    sway = np.maximum(0.08, 1 + depth * bump / (np.std(bump) + 1e-9))
    rough = dsp.sprinkle(draw, 250 + 900 * speed, 0.9) * sway
    sound = dsp.through(rough, body / np.sqrt(np.sum(body**2)), 0.7 * beneath / np.sqrt(np.sum(beneath**2)))
    rumble = dsp.shaped(draw, ((25, -8), (60, -1), (160, 0), (500, -10), (2000, -34))) * sway
    return sound / np.std(sound) + rumble * (0.15 + 0.4 * size)


def scrape(draw: Draw, shot: Shot) -> Signal:
    """scrape: asperities of the ground excite the dragged body as long as it moves; metal may squeal."""
    material, ground = str(shot.parameters["material"]), str(shot.parameters["ground"])
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    hz, t60 = partials(
        draw, str(shot.parameters["object"]), material, 0.4 + 0.6 * float(shot.parameters["size"])
    )
    pace = dsp.over_strokes(at, every, lambda share, k: np.sin(np.pi * np.minimum(share / 0.72, 1.0)) ** 0.7)
    pace = pace * (0.85 + 0.15 * dsp.wander(draw, 6.0))
    fast = dsp.stretched(np.maximum(pace, 0.0))
    top = dsp.mix(1800, 6000, float(shot.parameters["speed"])) * {"wood": 0.55, "plastic": 0.8}.get(
        material, 1.0
    )
    centre = top * (0.35 + 0.65 * np.maximum(pace, 0.0))
    rub = dsp.painted(draw, dsp.hump(centre, 0.9) * np.maximum(pace, 0)[:, None] ** 1.2)
    grit = dsp.sprinkle(draw, 60 + 1400 * np.maximum(pace, 0), 1.0) * fast
    body = dsp.ring(hz, np.minimum(t60, 0.12), 1 / len(hz), 0.12)
    out = 0.5 * rub + 0.6 * dsp.through(rub * 0.4 + grit, body)
    out += 0.25 * dsp.through(grit, _ground(draw, ground, 0.8))
    if material == "metal" or (ground == "metal" and draw.random() < 0.5):  # stick and slip
        squeal = dsp.between(draw, 900, 2600) * np.exp(0.05 * dsp.wander(draw, 9.0))
        tone = dsp.cycles(dsp.turns(dsp.stretched(squeal)), dsp.table(1 / np.arange(1, 9) ** 1.1, draw))
        sticks = np.clip(dsp.wander(draw, 5.0), 0, 1)
        out += 0.25 * tone * dsp.stretched(sticks) * fast
    return out
