# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and made things: engines, motors, rails, clocks, bells, alarms, keys, hinges, saws and nozzles."""

from __future__ import annotations

import numpy as np

from ..shot import SAMPLES, Shot
from . import dsp
from .dsp import Draw, Signal

# Cylinders, idle and top rate of a full cycle (Hz), and where the exhaust resonates (Hz).
_ENGINES = {"car": (4, 7.0, 38.0, 130.0), "truck": (6, 4.5, 15.0, 80.0), "motorcycle": (2, 9.0, 48.0, 210.0)}


def engine(draw: Draw, shot: Shot) -> Signal:
    """engine: a pressure pulse for each firing, no two cylinders alike, through a resonant exhaust."""
    cylinders, idle, top, pipe = _ENGINES[str(shot.parameters["object"])]
    speed, load = float(shot.parameters["speed"]), float(shot.parameters["intensity"])
    rise = 0.12 * dsp.wander(draw, 0.7) + 0.012 * dsp.wander(draw, 12.0)
    cycle = dsp.stretched(dsp.mix(idle, top, speed) * np.exp(rise))
    phase = dsp.turns(cycle)
    at = np.arange(4096) / 4096
    wave = np.zeros(4096)
    for k in range(cylinders):
        since = (at - k / cylinders) % 1.0
        wave += (
            draw.uniform(0.8, 1.15)
            * np.exp(-since * cylinders * 3.2)
            * np.sin(2 * np.pi * since * cylinders * 1.3)
        )
    wave = (wave - wave.mean()).astype(np.float32)
    pulses = dsp.cycles(phase, wave / np.std(wave))
    grit = dsp.shaped(draw, ((40, -4), (300, 0), (1500, -6), (6000, -20), (18000, -44))) * np.maximum(
        pulses, 0.1
    )
    pipe *= dsp.mix(1.3, 0.75, float(shot.parameters["size"]))
    exhaust = dsp.ring(pipe * np.array([1.0, 2.0, 3.1, 4.4, 7.1]), 0.03, [1, 0.7, 0.45, 0.3, 0.15], 0.06)
    out = dsp.through(pulses + (0.35 + 0.6 * load) * grit, exhaust)
    ticks = dsp.cycles(phase * 2, dsp.table(np.r_[np.zeros(30), np.ones(120)], None))
    return out / (np.std(out) + 1e-9) + 0.02 * ticks + 0.16 * grit


def motor(draw: Draw, shot: Shot) -> Signal:
    """motor: the whine of turning poles and gears; a fan adds blades in air, a robot starts and stops."""
    thing, speed = str(shot.parameters["object"]), float(shot.parameters["speed"])
    ranges = {"fan": (55.0, 190.0), "drill": (260.0, 620.0), "robot": (180.0, 520.0)}
    turn = dsp.mix(*ranges[thing], speed)
    moves = 0.01 * dsp.wander(draw, 3.0)
    loud = np.ones(dsp.FRAMES)
    if thing == "robot":  # from pose to pose
        steps = np.clip(2.5 * dsp.wander(draw, 2.2), -1, 1)
        moves, loud = moves + 0.5 * steps, 0.55 + 0.45 * np.abs(steps)
    hz = dsp.stretched(turn * np.exp(moves))
    harmonics = np.arange(1, 25) ** -1.0 * np.exp(draw.normal(0, 0.7, 24))
    whine = dsp.cycles(dsp.turns(hz), dsp.table(harmonics, draw))
    gear = dsp.cycles(dsp.turns(hz * draw.uniform(6.2, 7.8)), dsp.table([1.0, 0.4, 0.2], draw))
    air = dsp.shaped(draw, ((60, -12), (400, 0), (1500, -5), (6000, -16), (16000, -34)))
    whine /= np.std(whine) + 1e-9
    if thing == "fan":
        blades = 1 + 0.35 * dsp.cycles(dsp.turns(hz / 3), dsp.table([1.0, 0.5], draw))
        return 0.9 * whine + 0.6 * air * blades
    return (whine + 0.5 * gear / (np.std(gear) + 1e-9)) * dsp.stretched(loud) + 0.2 * air


def train(draw: Draw, shot: Shot) -> Signal:
    """train: steel on steel rumbles and sings; each pair of axles strikes the joint of the rails twice."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    heavy = 0.4 + 0.6 * float(shot.parameters["size"])
    rumble = dsp.shaped(draw, ((20, -8), (50, 0), (140, -1), (400, -12), (1500, -26), (8000, -50)))
    rumble *= dsp.stretched(np.exp(0.25 * dsp.wander(draw, 5.0)))
    song = dsp.between(draw, 500, 900) * np.array([1.0, 1.62, 2.43])
    gains = sum(dsp.hump(hz, 0.12) for hz in song) + 0.3 * dsp.hump(2600.0, 0.8)
    rub = dsp.painted(draw, np.exp(0.3 * dsp.wander(draw, 6.0)).astype(np.float32)[:, None] * gains)
    out = (0.35 + 0.35 * heavy) * rumble + (0.16 if shot.parameters["object"] == "train" else 0.3) * rub
    hz = dsp.between(draw, 190, 260) * np.array([1.0, 1.9, 3.1, 4.7, 6.3, 9.1])
    gap = every * draw.uniform(0.2, 0.28)
    for begin in dsp.strokes(at, every):
        for when, loud in ((begin, 1.0), (begin + gap, 0.8)):
            clack = dsp.ring(hz, 0.14 * (hz / 400) ** -0.3, [0.7, 1, 0.8, 0.6, 0.4, 0.3], 0.2)
            clack[:1200] += (
                2.0 * dsp.burst(draw, 1200 / 48_000, ((60, 0), (300, 0), (2500, -4), (9000, -20)))[:1200]
            )
            dsp.place(out, when, clack * loud * (1.0 + 0.8 * float(shot.parameters["intensity"])))
    return out


def clock(draw: Draw, shot: Shot) -> Signal:
    """clock: pallet, tooth and rest: three small knocks within a tick; tick and tock differ."""
    wooden = shot.parameters["object"] == "metronome"
    out = np.zeros(SAMPLES, np.float32)
    base = dsp.between(draw, 1250, 1900) if wooden else dsp.between(draw, 2600, 4200)
    ratios = np.array([1.0, 1.42, 2.2, 2.9]) * np.exp(draw.normal(0, 0.03, 4))
    case = dsp.mix(700, 330, float(shot.parameters["size"])) * np.array([1.0, 1.8])
    for number, hit in enumerate(shot.hits):
        tock = 0.84 if number % 2 else 1.0
        for late, loud in ((0.0, 1.0), (0.006, 0.4), (0.017, 0.55)):
            knock = dsp.ring(base * tock * ratios, 0.03 if wooden else 0.017, [1, 0.7, 0.5, 0.3], 0.05)
            dsp.place(out, hit.time_s + late, hit.strength * loud * knock)
        dsp.place(
            out, hit.time_s, hit.strength * (1.0 if wooden else 0.5) * dsp.ring(case * tock, 0.06, 0.6, 0.08)
        )
    return out


_BELLS = {
    "church bell": ((180.0, 420.0), (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.01, 4.02, 5.3), 4.5, 0.45),
    "hand bell": ((900.0, 2100.0), (1.0, 2.0, 3.0, 4.16, 5.43, 6.8), 1.6, 0.6),
    "bowl": ((220.0, 620.0), (1.0, 2.74, 5.1, 7.9, 11.0), 5.0, 1.0),
}


def bell(draw: Draw, shot: Shot) -> Signal:
    """bell: hum, prime, tierce, quint, nominal; a bowl beats slowly, since it is not quite round."""
    (low, high), ratios, t60, dull = _BELLS[str(shot.parameters["object"])]
    base = dsp.mix(high, low, float(shot.parameters["size"])) * draw.uniform(0.94, 1.06)
    hz = base * np.asarray(ratios) * np.exp(draw.normal(0, 0.004, len(ratios)))
    pairs = np.concatenate([hz, hz + draw.uniform(0.4, 3.5, len(hz))])
    decay = np.tile(t60 * np.asarray(ratios) ** -0.75, 2)
    out = np.zeros(SAMPLES, np.float32)
    for hit in shot.hits:
        gains = np.tile(np.asarray(ratios) ** (-dull - 0.6 * (1 - hit.strength)), 2) * draw.uniform(
            0.5, 1, 2 * len(hz)
        )
        dsp.place(out, hit.time_s, hit.strength * dsp.ring(pairs, decay, gains, 2.56 - hit.time_s + 0.01))
        clapper = dsp.burst(draw, 0.02, ((300, -10), (base * 3, 0), (9000, -10), (20000, -30)))
        dsp.place(out, hit.time_s, 0.8 * hit.strength * clapper)
    return out


def alarm(draw: Draw, shot: Shot) -> Signal:
    """alarm: a siren that climbs and sinks, or two notes in turn; or a buzzer that beeps."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    size = float(shot.parameters["size"])
    if shot.parameters["object"] == "siren":
        low, two = dsp.mix(760, 420, size), draw.random() < 0.4

        def pitch(share: Signal, k: int) -> Signal:
            if two:
                return np.full(len(share), float(k % 2))
            return 0.5 - 0.5 * np.cos(2 * np.pi * share)

        glide = dsp.over_strokes(at, every, pitch, dsp.TIME_S[::16])
        hz = low * (1.33 if two else 2.2) ** np.repeat(glide, 16)
        horn = dsp.table(np.exp(-0.5 * ((np.arange(1, 14) - 3.0) / 2.6) ** 2), draw)
        return dsp.cycles(dsp.turns(hz), horn)
    base = dsp.mix(3600, 1900, size)
    beeps = int(draw.integers(1, 4))

    def gate(share: Signal, k: int) -> Signal:
        inside = share / 0.62
        return ((inside < 1) & ((inside * beeps) % 1 < (0.65 if beeps > 1 else 1.0))).astype(float)

    on = np.repeat(dsp.over_strokes(at, every, gate, dsp.TIME_S[::16]), 16)
    smooth = np.convolve(on, np.ones(96) / 96, "same")
    return dsp.cycles(dsp.turns(base), dsp.table([1.0, 0.05, 0.33, 0.02, 0.15], None)) * smooth


def typewriter(draw: Draw, shot: Shot) -> Signal:
    """typewriter: key, then type bar on the platen, then carriage; a keyboard only clicks, down and up."""
    out = np.zeros(SAMPLES, np.float32)
    old = shot.parameters["object"] == "typewriter"
    body = dsp.between(draw, 240, 340) * np.array([1.0, 1.9, 3.3, 5.2])
    for hit in shot.hits:
        loud = hit.strength
        pitch = dsp.between(draw, 2100, 3600) * (1.0 if old else 0.75)
        click = dsp.ring(pitch * np.array([1.0, 1.6, 2.7]), 0.012, [0.5, 0.4, 0.3], 0.03)
        dsp.place(out, hit.time_s, loud * click)
        if old:
            slap = dsp.burst(draw, 0.035, ((150, -8), (900, 0), (3500, -2), (9000, -12), (18000, -30)))
            dsp.place(out, hit.time_s, 1.5 * loud * slap)
            dsp.place(out, hit.time_s, loud * dsp.ring(body, 0.07, [0.6, 0.5, 0.3, 0.2], 0.1))
            metal = dsp.ring(pitch * np.array([1.13, 1.91, 2.44]), 0.09, 0.12, 0.12)
            dsp.place(out, hit.time_s + 0.004, loud * metal)
            dsp.place(out, hit.time_s + draw.uniform(0.05, 0.08), 0.4 * loud * click)
        else:
            thock = dsp.burst(draw, 0.03, ((100, -10), (450, 0), (1800, -4), (6000, -16), (16000, -40)))
            dsp.place(out, hit.time_s, loud * thock)
            up = draw.uniform(0.055, 0.085)
            dsp.place(out, hit.time_s + up, 0.5 * loud * thock)
            dsp.place(out, hit.time_s + up, 0.5 * loud * click)
    return out


def switch(draw: Draw, shot: Shot) -> Signal:
    """switch: a spring snaps over: two dry clicks within a blink, with nothing that rings."""
    out = np.zeros(SAMPLES, np.float32)
    thing = str(shot.parameters["object"])
    base = dsp.between(draw, 2400, 4800) * {"latch": 0.62, "button": 0.85}.get(thing, 1.0)
    gap = {"latch": 0.05, "button": 0.085}.get(thing, 0.016) * draw.uniform(0.8, 1.25)
    ratios = np.array([1.0, 1.37, 1.93, 2.6, 3.4])
    for hit in shot.hits:
        for when, loud, shift in ((0.0, 1.0, 1.0), (gap, 0.7, 1.25)):
            t60 = 0.03 if thing == "latch" else 0.008
            click = dsp.ring(base * shift * ratios, t60, [0.3, 0.5, 0.5, 0.4, 0.3], 0.05)
            snap = dsp.burst(draw, 0.005, ((400, -20), (base, -2), (base * 2.4, 0), (18000, -10)), 0.0001)
            dsp.place(click, 0.0, snap)
            dsp.place(out, hit.time_s + when, hit.strength * loud * click)
        dsp.place(
            out, hit.time_s, 0.25 * hit.strength * dsp.ring(dsp.between(draw, 170, 300), 0.03, 1.0, 0.04)
        )
    return out


def creak(draw: Draw, shot: Shot) -> Signal:
    """creak: it sticks, slips, sticks: a slow train of snaps that speeds up and sags, through old wood."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    thing = str(shot.parameters["object"])
    low, high = {"hinge": (190, 520), "chair": (60, 150), "floorboard": (35, 95), "door": (60, 210)}[thing]
    middle = dsp.mix(low, high, 0.3 * draw.random() + 0.7 * float(shot.parameters["speed"]))

    def effort(share: Signal, k: int) -> Signal:
        return np.sin(np.pi * np.minimum(share / 0.75, 1.0))

    push = dsp.over_strokes(at, every, effort)
    bend = np.exp(0.5 * (push - 0.5) + 0.22 * dsp.wander(draw, 4.0) + 0.05 * dsp.wander(draw, 40.0))
    phase = dsp.turns(dsp.stretched(middle * bend))
    slips = np.flatnonzero(np.diff(np.floor(phase)))
    train = np.zeros(SAMPLES, np.float32)
    late = np.clip(slips + draw.integers(-30, 31, len(slips)), 0, SAMPLES - 1)
    train[late] = draw.uniform(0.5, 1.0, len(slips))
    train *= dsp.stretched(push**0.8)
    base = dsp.between(draw, 420, 760) * (1.7 if thing == "hinge" else 1.0)
    hz = base * np.array([1.0, 1.6, 2.3, 3.4, 4.8, 6.1])
    wood = dsp.ring(hz, 0.022, [0.8, 1, 0.9, 0.6, 0.35, 0.2], 0.05)
    rub = dsp.painted(draw, (push[:, None] * dsp.hump(hz[1], 0.8)).astype(np.float32))
    return dsp.through(train, wood) + 0.02 * rub


def saw(draw: Draw, shot: Shot) -> Signal:
    """saw: teeth bite one after the other; the push is loud, the pull lighter and a little higher."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])

    def pace(share: Signal, k: int) -> Signal:
        return np.abs(np.sin(2 * np.pi * share)) ** 0.6

    def push(share: Signal, k: int) -> Signal:
        return np.where(share < 0.5, 1.0, 0.45)

    moving, bite = dsp.over_strokes(at, every, pace), dsp.over_strokes(at, every, push)
    teeth = dsp.mix(280, 110, float(shot.parameters["size"])) * (0.6 + 0.8 * moving) * (1.2 - 0.2 * bite)
    phase = dsp.turns(dsp.stretched(teeth)) + dsp.stretched(0.08 * dsp.wander(draw, 40.0))
    train = np.zeros(SAMPLES, np.float32)
    marks = np.flatnonzero(np.diff(np.floor(phase)))
    train[marks] = draw.uniform(0.4, 1.0, len(marks))
    loud = dsp.stretched(moving * bite)
    blade = dsp.between(draw, 900, 1500) * np.array([1.0, 1.52, 2.2, 3.1, 4.3])
    grain = dsp.burst(draw, 0.006, ((250, -16), (1200, -3), (3500, 0), (8000, -8), (18000, -28)))
    rasp = dsp.through(
        train * loud, grain + np.pad(0.3 * dsp.ring(blade, 0.03, 0.4, 0.05), (0, 0))[: len(grain)]
    )
    board = dsp.ring(dsp.between(draw, 180, 300) * np.array([1.0, 2.2, 3.7]), 0.04, [0.5, 0.35, 0.2], 0.06)
    dust = dsp.painted(draw, ((moving * bite)[:, None] * dsp.hump(3200.0, 0.9)).astype(np.float32))
    return rasp + 0.5 * dsp.through(train * loud, board) + 0.16 * dust


def spray(draw: Draw, shot: Shot) -> Signal:
    """spray: gas through a narrow opening: a steady bright hiss; steam is wider and flutters."""
    thing = str(shot.parameters["object"])
    press = float(shot.parameters["intensity"])
    edge = {"spray can": 7800.0, "steam": 3600.0, "hose": 5200.0}[thing] * (0.75 + 0.5 * press)
    edge *= dsp.mix(1.2, 0.85, float(shot.parameters["size"]))
    flutter = np.exp((0.16 if thing == "steam" else 0.05) * dsp.wander(draw, 18.0))
    drift = edge * np.exp(0.04 * dsp.wander(draw, 1.5))
    gains = dsp.hump(drift, 0.55) + 0.28 * dsp.hump(drift * 1.9, 0.5) + 0.06 * dsp.hump(drift * 0.3, 0.8)
    if thing == "hose":
        gains = gains + 0.6 * dsp.hump(edge * 0.42, 0.07)
    return dsp.painted(draw, (flutter[:, None] * gains).astype(np.float32))
