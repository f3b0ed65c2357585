# SPDX-License-Identifier: GPL-3.0-or-later
"""Living things and the rooms they leave empty: birds, insects, a purring cat, many voices, room tone."""

from __future__ import annotations

import numpy as np
from scipy import fft

from ..shot import RATE_HZ, SAMPLES, Shot
from . import dsp
from .dsp import Draw, Signal


def _note(draw: Draw, hz: float, seconds: float, style: int) -> Signal:
    """One note of a song: a pure tone that sweeps, bows or trills."""
    share = np.linspace(0, 1, max(64, dsp.samples(seconds)))
    bend = {
        0: 0.35 * (share - 0.5),
        1: -0.45 * (share - 0.5),
        2: 0.25 * np.sin(np.pi * share),
        3: 0.12 * np.sin(2 * np.pi * 32 * seconds * share),
    }[style]
    turn = np.cumsum(hz * 2.0**bend) / 48_000
    swell = np.sin(np.pi * share) ** 0.7
    return (np.sin(2 * np.pi * turn) + 0.12 * np.sin(4 * np.pi * turn)) * swell


def birds(draw: Draw, shot: Shot) -> Signal:
    """birds: phrases of a few notes that come back; a flock is several such singers."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    out = np.zeros(SAMPLES, np.float32)
    singers = 1 if shot.parameters["object"] == "songbird" else int(draw.integers(3, 6))
    for singer in range(singers):
        base = dsp.mix(5600, 2500, float(shot.parameters["size"])) * np.exp(draw.normal(0, 0.15))
        phrase = [
            (base * np.exp(draw.normal(0, 0.18)), dsp.between(draw, 0.035, 0.16), int(draw.integers(4)))
            for _ in range(int(draw.integers(2, 6)))
        ]
        loud = 1.0 if singer == 0 else draw.uniform(0.2, 0.7)
        shift = 0.0 if singer == 0 else draw.uniform(0, every)
        for begin in dsp.strokes(at + shift, every * (1.0 if singer == 0 else draw.uniform(1.0, 1.7))):
            when = begin
            for hz, seconds, style in phrase:
                if when - begin + seconds > every * 0.95:
                    break
                dsp.place(out, when, loud * _note(draw, hz, seconds, style))
                when += seconds + draw.uniform(0.01, 0.04)
    return out


def insects(draw: Draw, shot: Shot) -> Signal:
    """insects: a cricket's file, tooth by tooth; a cicada's drum without end; a fly's wings coming round."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    thing, size = str(shot.parameters["object"]), float(shot.parameters["size"])
    if thing == "fly":
        hz = dsp.mix(310, 140, size) * np.exp(0.07 * dsp.wander(draw, 2.5) + 0.01 * dsp.wander(draw, 30.0))
        wings = dsp.cycles(dsp.turns(dsp.stretched(hz)), dsp.table(np.arange(1, 30) ** -0.8, draw))
        return wings * dsp.stretched(np.exp(0.6 * dsp.wander(draw, 2.0)))
    if thing == "cicada":
        drum = dsp.mix(190, 110, size)
        gate = 0.35 + np.maximum(dsp.cycles(dsp.turns(drum), dsp.table([1.0, 0.6, 0.3])), 0)
        band = dsp.hump(dsp.mix(6800, 4300, size), 0.12)
        swell = dsp.over_strokes(at, every, lambda share, k: 0.75 + 0.25 * np.sin(2 * np.pi * share))
        return dsp.painted(draw, (swell[:, None] * band).astype(np.float32)) * gate
    out = np.zeros(SAMPLES, np.float32)
    for singer in range(int(draw.integers(1, 4))):
        pitch = dsp.mix(5200, 3800, size) * np.exp(draw.normal(0, 0.05))
        pulse = draw.uniform(0.018, 0.028)
        share = np.linspace(0, 1, dsp.samples(pulse * 0.75))
        chirp = np.sin(2 * np.pi * pitch * share * pulse * 0.75) * np.sin(np.pi * share)
        loud = 1.0 if singer == 0 else draw.uniform(0.15, 0.5)
        for begin in dsp.strokes(at + singer * 0.37 * every, every * (1 + 0.1 * singer)):
            for k in range(max(2, min(int(every * 0.6 / pulse), 12))):
                dsp.place(out, begin + k * pulse, loud * chirp * (0.6 + 0.4 * min(k, 3) / 3))
    return out


def purr(draw: Draw, shot: Shot) -> Signal:
    """purr: the voice box opens some 25 times a second, in on one breath and out, softer, on the next."""
    at, every = float(shot.parameters["at"]), float(shot.parameters["every"])
    breath = dsp.over_strokes(
        at,
        every,
        lambda share, k: np.where(share < 0.52, 1.0, 0.6) * (0.25 + np.abs(np.sin(2 * np.pi * share)) ** 0.4),
    )
    out_breath = dsp.over_strokes(at, every, lambda share, k: np.where(share < 0.52, 1.0, 0.88))
    rate = dsp.mix(29, 21, float(shot.parameters["size"])) * out_breath * np.exp(0.03 * dsp.wander(draw, 8.0))
    phase = dsp.turns(dsp.stretched(rate))
    pulses = np.exp(-(phase % 1.0) * 4.5).astype(np.float32) * np.minimum(1, (phase % 1.0) * 12)
    throat = dsp.shaped(draw, ((30, -14), (90, -2), (220, 0), (600, -8), (1800, -22), (8000, -46)))
    thump = dsp.cycles(phase, dsp.table(np.arange(1, 20) ** -0.3, draw))
    air = dsp.shaped(draw, ((300, -20), (1500, 0), (5000, -8), (14000, -30)))
    return (throat * pulses * 2.0 + 0.25 * thump / np.std(thump) + 0.04 * air) * dsp.stretched(breath)


_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))


_SLOW = 4  # voices are made at 12 kHz: there is next to nothing above 6 kHz in a distant voice


def murmur(draw: Draw, shot: Shot) -> Signal:
    """murmur: many voices at once, each a glottal train whose vowels change with its syllables."""
    times = dsp.TIME_S[::_SLOW]
    glottis = dsp.table(np.r_[np.arange(1, 26) ** -1.1], draw)
    sources = np.zeros((len(_VOWELS), len(times)), np.float32)
    for _ in range(6 + int(8 * float(shot.parameters["intensity"]))):
        pitch = dsp.between(draw, 95, 240) * np.exp(0.12 * dsp.wander(draw, 2.5))
        phase = np.cumsum(np.interp(times, dsp.FRAME_S, pitch)) * (_SLOW / RATE_HZ)
        voice = dsp.cycles(phase, glottis) * np.float32(draw.uniform(0.3, 1.0))
        rate = dsp.between(draw, 3.0, 5.5)
        said = np.clip(0.4 + dsp.wander(draw, rate * 2), 0, 1.5)
        blend = np.clip(0.5 + 0.8 * dsp.wander(draw, rate), 0, 1)
        first, second = draw.permutation(len(_VOWELS))[:2]
        sources[first] += voice * np.interp(times, dsp.FRAME_S, said * blend)
        sources[second] += voice * np.interp(times, dsp.FRAME_S, said * (1 - blend))
    hz = fft.rfftfreq(len(times), _SLOW / RATE_HZ)
    spectrum = np.zeros(SAMPLES // 2 + 1, np.complex64)
    mouths = np.array(
        [[_formant(hz, at, wide) for at, wide in zip(v, (70, 90, 140), strict=True)] for v in _VOWELS]
    )
    weights = np.array([1.0, 0.45, 0.18])
    spectrum[: len(hz)] = np.sum(fft.rfft(sources) * np.einsum("vfk,f->vk", mouths, weights), axis=0)
    spectrum[len(hz) - 600 : len(hz)] *= np.linspace(1, 0, 600)
    out = fft.irfft(spectrum, SAMPLES)
    air = dsp.shaped(draw, ((100, -6), (500, 0), (2000, -14), (7000, -26), (16000, -44)))
    return out / (np.std(out) + 1e-9) + 0.12 * air


def _formant(hz: Signal, at_hz: float, wide_hz: float) -> Signal:
    """A resonance of the mouth: complex gain at each frequency."""
    return at_hz * wide_hz / (at_hz**2 - hz**2 + 1j * hz * wide_hz)


_TONES = {
    "room": ((20, -3), (60, 0), (150, -8), (600, -20), (3000, -34), (12000, -46)),
    "hall": ((20, -8), (80, 0), (300, -3), (900, -12), (4000, -28), (12000, -44)),
    "basement": ((20, -6), (50, 0), (120, -4), (400, -18), (2000, -34), (12000, -52)),
}


def room_tone(draw: Draw, shot: Shot) -> Signal:
    """room_tone: air that hardly moves, far traffic, and a little mains hum; nothing happens in it."""
    ground = str(shot.parameters["ground"])
    tilt = draw.normal(0, 3)
    points = tuple((hz, level + tilt * np.log2(hz / 200) / 6) for hz, level in _TONES[ground])
    air = dsp.shaped(draw, points) * dsp.stretched(np.exp(0.08 * dsp.wander(draw, 0.8)))
    mains = 50.0 if draw.random() < 0.5 else 60.0
    strong = {"room": 0.25, "hall": 0.12, "basement": 0.9}[ground] * (
        0.3 + float(shot.parameters["intensity"])
    )
    buzz = dsp.cycles(dsp.turns(mains), dsp.table(np.exp(draw.normal(0, 0.8, 12)) / np.arange(1, 13), draw))
    return air + strong * buzz / (np.std(buzz) + 1e-9)
