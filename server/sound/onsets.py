# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a sound begins: the attack of a short sound, to the sample.

Pure functions over (samples,) float32.
"""

from __future__ import annotations

import numpy as np

SMOOTH_S = 0.001  # width of the energy envelope
FLUX_S = 0.005  # how far apart before and after are compared
THRESHOLD = 0.1  # of the peak of the envelope: where the rise is taken to begin
NOISE_RISE = 2.0  # an attack stands out by at least this factor


def envelope(sound: np.ndarray, rate_hz: int, seconds: float = SMOOTH_S) -> np.ndarray:
    """(N,) -> (N,) root of the mean square over ``seconds``, centred on each sample."""
    width = max(1, round(seconds * rate_hz))
    power = np.concatenate(([0.0], np.cumsum(np.square(sound, dtype=np.float64))))
    index = np.arange(len(sound))
    low = np.maximum(index - width // 2, 0)
    high = np.minimum(index + (width + 1) // 2, len(sound))
    return np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1))


def attack(sound: np.ndarray, rate_hz: int, first: int = 0) -> int:
    """The sample at which the strongest attack of ``sound`` (N,) begins, from ``first`` on; that for silence.

    What lies before ``first`` is only compared with; where there is nothing before, silence is taken for it.

    The steepest rise of the logarithmic envelope marks the attack; from there the beginning is walked back to
    where the envelope leaves the level before it. Robust to a noise floor, which generated sounds have.
    """
    if not len(sound) or float(np.abs(sound).max()) == 0.0:
        return first
    shape = envelope(sound, rate_hz)
    peak = float(shape.max())
    step = max(1, round(FLUX_S * rate_hz))
    before = np.concatenate((np.zeros(step), shape[:-step])) if len(shape) > step else np.zeros_like(shape)
    rise = np.log(shape + 0.02 * peak) - np.log(before + 0.02 * peak)
    steepest = first + int(np.argmax((rise * (shape / peak))[first:]))
    floor = float(before[steepest])
    level = max(THRESHOLD * float(shape[steepest]), NOISE_RISE * floor)
    start = steepest
    while start > first and shape[start - 1] > level and steepest - start < 2 * step:
        start -= 1
    return start
