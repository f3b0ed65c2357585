# SPDX-License-Identifier: GPL-3.0-or-later
"""The one level at which every network hears a sound. Pure functions on arrays.

The level is taken out before anything is learnt or heard, so that no number is spent on it; the loudness of a
finished sound is set where it is placed.
"""

from __future__ import annotations

import numpy as np

TARGET_DB = -23.0  # root mean square of the active part, relative to full scale
PEAK = 0.95
MOST_GAIN_DB = 40.0  # as for finished sounds: near-silence is not blown up into its own noise
ACTIVE_DB = 20.0  # what is this far below the loudest moment is a pause, not the sound
BLOCK_S, STEP_S = 0.04, 0.01


def level(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """(N,) -> the same sound at the common level: -23 dB over its active part, no peak above 0.95."""
    sound = np.asarray(sound, np.float32)
    peak = float(np.abs(sound).max(initial=0.0))
    loud = active_rms(sound, rate_hz)
    if not np.isfinite(peak) or loud <= 0.0:
        return sound
    gain = min(10.0 ** (TARGET_DB / 20.0) / loud, PEAK / peak, 10.0 ** (MOST_GAIN_DB / 20.0))
    return (sound * np.float32(gain)).astype(np.float32)


def active_rms(sound: np.ndarray, rate_hz: int) -> float:
    """Root mean square over the blocks of 40 ms that are within 20 dB of the loudest one."""
    block = min(max(1, round(BLOCK_S * rate_hz)), len(sound))
    step = max(1, round(STEP_S * rate_hz))
    if not block:
        return 0.0
    sums = np.concatenate(([0.0], np.cumsum(np.square(sound, dtype=np.float64))))
    starts = np.arange(0, len(sound) - block + 1, step)
    power = np.maximum(sums[starts + block] - sums[starts], 0.0) / block
    active = power[power >= power.max() * 10.0 ** (-ACTIVE_DB / 10.0)]
    return float(np.sqrt(active.mean()))
