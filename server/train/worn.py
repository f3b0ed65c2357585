# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a recording on its way into a file: band limits, cuts and fades, dead silence.

A vocoder that has heard only full, open sounds hisses above the cut-off of a coded one and in its pauses.
Pure functions of a random generator, at 16 kHz.
"""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
ROLLED_OFF, COUPLED = 0.8, 0.3  # shares
FADED, LATE, CUT = 0.2, 0.12, 0.12

Draw = np.random.Generator


def worn(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """(N,) -> (N,) float32: limited in frequency, then in time."""
    return _in_time(draw, _in_frequency(draw, sound)).astype(np.float32)


def _in_frequency(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """Without what resamplers and codecs take from the top, and microphones from the bottom."""
    hz = np.fft.rfftfreq(len(sound), 1.0 / RATE_HZ)
    gains = np.ones(len(hz))
    if draw.random() < ROLLED_OFF:
        near = draw.random() < 0.6
        edge = draw.uniform(7000.0, 7950.0) if near else np.exp(draw.uniform(np.log(2500.0), np.log(7900.0)))
        width = np.exp(draw.uniform(np.log(30.0), np.log(800.0)))
        gains *= 10.0 ** (-np.clip((hz - edge) / width, 0.0, 1.0) * draw.uniform(50.0, 110.0) / 20.0)
    if draw.random() < COUPLED:
        gains *= np.minimum(1.0, hz / draw.uniform(20.0, 160.0)) ** draw.choice([1, 2, 4])
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * gains, len(sound)))


def _in_time(draw: Draw, sound: np.ndarray) -> np.ndarray:
    """Faded out from somewhere on, begun late or cut off, each now and then."""
    samples = len(sound)
    time = np.arange(samples)
    if draw.random() < FADED:
        decay = RATE_HZ * 10.0 ** draw.uniform(-2.3, -0.3)
        sound = sound * np.exp(-np.maximum(0.0, time - draw.uniform(0, samples)) / decay)
    if draw.random() < LATE:
        sound = sound * (time > draw.uniform(0.0, 0.6 * samples))
    if draw.random() < CUT:
        sound = sound * (time < draw.uniform(0.3 * samples, samples))
    return sound
