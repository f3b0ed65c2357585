# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds of no world in particular, for a vocoder that must play whatever it is shown.

Voices without words, strings, sweeps, noises of any colour and rhythm, struck modes, clicks; alone and mixed,
near and in rooms. All are drawn from numbers, none from a recording. Pure functions of a random generator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import signal

RATE_HZ = 16_000
HIGHEST_HZ = 7900.0

Draw = np.random.Generator
Maker = Callable[[Draw, int], np.ndarray]


def general(draw: Draw, samples: int) -> np.ndarray:
    """(samples,) float32 at 16 kHz, peak 1 at most: one kind, or two or three mixed, with a noise floor."""
    kinds = int(draw.choice([1, 1, 2, 3]))
    sound = np.zeros(samples)
    for _ in range(kinds):
        maker = MAKERS[int(draw.integers(len(MAKERS)))]
        sound += _unit(maker(draw, samples)) * 10.0 ** (draw.uniform(-20.0, 0.0) / 20.0)
    if draw.random() < 0.35:
        sound = _room(draw, sound)
    if draw.random() < 0.35:
        sound = _coloured(draw, sound)
    sound = _unit(sound)
    if draw.random() < 0.6:  # the rest is as clean as a game's sound: silence is silence
        sound += 10.0 ** (draw.uniform(-100.0, -40.0) / 20.0) * draw.standard_normal(samples)
    if draw.random() < 0.3:
        sound *= _gate(draw, samples)
    return _unit(sound).astype(np.float32)


def _unit(sound: np.ndarray) -> np.ndarray:
    return sound / max(float(np.abs(sound).max()), 1e-9)


def _curve(draw: Draw, samples: int, low: float, high: float, points: int) -> np.ndarray:
    """A smooth line between ``low`` and ``high`` through random points."""
    knots = draw.uniform(low, high, max(2, points))
    return np.interp(np.arange(samples), np.linspace(0, samples, len(knots)), knots)


def _envelope(draw: Draw, samples: int) -> np.ndarray:
    """From even to pulsing: decibels over time, now and then with sudden starts."""
    deepest = draw.choice([-10.0, -30.0, -80.0])
    shape = 10.0 ** (_curve(draw, samples, deepest, 0.0, int(draw.integers(2, 12))) / 20.0)
    for start in draw.integers(0, samples, int(draw.integers(0, 3))):
        decay = np.exp(-np.arange(samples - start) / (RATE_HZ * 10.0 ** draw.uniform(-2.5, -0.3)))
        shape[start:] = np.maximum(shape[start:] * 0.3, decay)
    return shape


def _gate(draw: Draw, samples: int) -> np.ndarray:
    """Open for one stretch and shut before and after, with edges of 1 to 30 ms."""
    start, stop = np.sort(draw.integers(-samples // 2, samples + samples // 2, 2))
    edge = RATE_HZ * 10.0 ** draw.uniform(-3.0, -1.5)
    index = np.arange(samples)
    return np.clip((index - start) / edge, 0.0, 1.0) * np.clip((stop - index) / edge, 0.0, 1.0)


def harmonic(draw: Draw, samples: int) -> np.ndarray:
    """A gliding fundamental with partials of any brightness: strings, engines, birds."""
    base = np.log2(draw.uniform(40.0, 300.0) if draw.random() < 0.6 else draw.uniform(300.0, 4000.0))
    glide = draw.choice([0.0, 0.05, 0.5]) * _curve(draw, samples, -1.0, 1.0, int(draw.integers(2, 8)))
    vibrato = draw.choice([0.0, 0.02]) * np.sin(
        2 * np.pi * draw.uniform(3.0, 9.0) * np.arange(samples) / RATE_HZ
    )
    hz = 2.0 ** (base + glide + vibrato)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    count = int(min(40, HIGHEST_HZ // hz.max()))
    tilt = draw.uniform(0.3, 2.0)
    stretch = draw.choice([0.0, 1e-4, 1e-3])
    sound = np.zeros(samples)
    for k in range(1, max(1, count) + 1):
        ratio = k * np.sqrt(1.0 + stretch * k * k)
        if ratio * hz.max() > HIGHEST_HZ:
            break
        sound += k**-tilt * draw.uniform(0.2, 1.0) * np.sin(ratio * phase + draw.uniform(0, 2 * np.pi))
    return sound * _envelope(draw, samples)


def voice(draw: Draw, samples: int) -> np.ndarray:
    """Pulses or breath through three wandering resonances, as a throat does it."""
    hz = 2.0 ** (np.log2(draw.uniform(80.0, 400.0)) + _curve(draw, samples, -0.3, 0.3, 5))
    turns = np.floor(np.cumsum(hz) / RATE_HZ)
    source = np.diff(turns, prepend=0.0) * draw.uniform(0.7, 1.3, samples)
    source += draw.uniform(0.0, 0.15) * draw.standard_normal(samples)
    if draw.random() < 0.2:
        source = draw.standard_normal(samples)
    sound = np.zeros(samples)
    for low, high in ((250, 900), (800, 2500), (2000, 4500)):
        sound += _resonated(source, draw.uniform(low, high), draw.uniform(60.0, 250.0))
    return sound * _envelope(draw, samples)


def sweep(draw: Draw, samples: int) -> np.ndarray:
    """One to three chirps, straight or bent, up or down."""
    sound = np.zeros(samples)
    for _ in range(int(draw.integers(1, 4))):
        octaves = _curve(draw, samples, np.log2(80.0), np.log2(7500.0), int(draw.integers(2, 5)))
        phase = 2 * np.pi * np.cumsum(2.0**octaves) / RATE_HZ
        sound += np.sin(phase) * _envelope(draw, samples)
    return sound


def noise(draw: Draw, samples: int) -> np.ndarray:
    """Wind, hiss, surf, a roar: noise of a random colour that comes and goes."""
    return _coloured(draw, draw.standard_normal(samples)) * _envelope(draw, samples)


def grains(draw: Draw, samples: int) -> np.ndarray:
    """Crackle, rain, gravel: sparse impulses through short resonances."""
    rate = 10.0 ** draw.uniform(0.5, 3.2)
    source = (draw.random(samples) < rate / RATE_HZ) * draw.standard_normal(samples) ** 3
    sound = 0.3 * source
    for _ in range(int(draw.integers(1, 4))):
        sound += _resonated(source, draw.uniform(150.0, 7000.0), 10.0 ** draw.uniform(1.7, 3.3))
    return sound


def struck(draw: Draw, samples: int) -> np.ndarray:
    """Hits of something that rings: decaying modes after a sharp start."""
    sound = np.zeros(samples)
    modes = int(draw.integers(1, 14))
    hz = np.exp(draw.uniform(np.log(80.0), np.log(7500.0), modes))
    decay_s = 10.0 ** draw.uniform(-2.3, 0.3) * (hz / hz.min()) ** -draw.uniform(0.0, 1.2)
    gains = draw.exponential(size=modes)
    for start in draw.integers(0, samples, int(draw.integers(1, 5))):
        time = np.arange(samples - start) / RATE_HZ
        ring = np.sin(2 * np.pi * hz[:, None] * time) * np.exp(-time / decay_s[:, None])
        burst = draw.standard_normal(len(time)) * np.exp(-time / 10.0 ** draw.uniform(-3.5, -1.7))
        sound[start:] += draw.uniform(0.2, 1.0) * (gains @ ring + draw.uniform(0.0, 2.0) * burst)
    return sound


def clicks(draw: Draw, samples: int) -> np.ndarray:
    """Single samples and short pulses in silence: what shows whether a vocoder keeps time."""
    sound = np.zeros(samples)
    for start in draw.integers(0, samples, int(draw.integers(1, 7))):
        width = int(draw.integers(1, 12))
        sound[start : start + width] += draw.choice([-1.0, 1.0]) * draw.uniform(0.3, 1.0)
    return sound


def tones(draw: Draw, samples: int) -> np.ndarray:
    """One to four sines that do not waver, even, dying away or switched on and off: bells, alarms, beeps."""
    time = np.arange(samples) / RATE_HZ
    sound = np.zeros(samples)
    for _ in range(int(draw.integers(1, 5))):
        hz = np.exp(draw.uniform(np.log(80.0), np.log(7600.0)))
        tone = draw.uniform(0.1, 1.0) * np.sin(2 * np.pi * hz * time + draw.uniform(0, 2 * np.pi))
        kind = draw.random()
        if kind < 0.35:
            tone *= np.exp(-time / 10.0 ** draw.uniform(-1.0, 0.7))
        elif kind < 0.55:
            tone *= (time * draw.uniform(1.0, 12.0) + draw.random()) % 1.0 < draw.uniform(0.3, 0.8)
        sound += tone
    return sound


MAKERS: tuple[Maker, ...] = (harmonic, voice, sweep, noise, grains, struck, clicks, tones)


def _resonated(source: np.ndarray, hz: float, width_hz: float) -> np.ndarray:
    """A two-pole resonance of gain one at its top."""
    radius = np.exp(-np.pi * width_hz / RATE_HZ)
    angle = 2 * np.pi * hz / RATE_HZ
    gain = (1.0 - radius) * np.sqrt(1.0 - 2.0 * radius * np.cos(2 * angle) + radius**2)
    return np.asarray(signal.lfilter([gain], [1.0, -2.0 * radius * np.cos(angle), radius**2], source))


def _coloured(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """Through a random smooth curve over frequency: decibels at a few knots, in octaves."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 30.0))
    knots = np.linspace(np.log2(30.0), np.log2(8000.0), int(draw.integers(3, 9)))
    gains = np.interp(octaves, knots, draw.uniform(-40.0, 0.0, len(knots)))
    return np.asarray(np.fft.irfft(spectrum * 10.0 ** (gains / 20.0), len(sound)))


def _room(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """With the decaying noise of a room behind it, of 0.05 to 0.8 seconds."""
    length = min(len(sound), round(RATE_HZ * 10.0 ** draw.uniform(-1.3, -0.1)))
    tail = draw.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= 10.0 ** (draw.uniform(-20.0, 0.0) / 20.0) / np.sqrt(np.square(tail).sum())
    tail[0] += 1.0
    return np.asarray(signal.fftconvolve(sound, tail)[: len(sound)])


def as_recorded(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """A sound of the world a little changed: another speed, and so another pitch; another colour; a room."""
    if draw.random() < 0.5:
        speed = 2.0 ** draw.uniform(-0.7, 0.7)
        places = (np.arange(len(sound)) * speed) % max(1, len(sound) - 1)
        sound = np.interp(places, np.arange(len(sound)), sound)
    if draw.random() < 0.25:
        sound = _coloured(draw, sound)
    if draw.random() < 0.15:
        sound = _room(draw, sound)
    return _unit(sound).astype(np.float32)
