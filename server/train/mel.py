# SPDX-License-Identifier: GPL-3.0-or-later
"""How every training hears: 16 kHz, one common level, AudioLDM's log-mel. Pure functions.

The level is taken out before anything is learnt, so that no latent is spent on it; the loudness of a finished
sound is set where it is placed.
"""

from __future__ import annotations

import numpy as np
import soxr
import torch
from torch import Tensor

from ..models import mel
from ..models.mel import HOP, MELS, RATE_HZ

SOURCE_HZ = 48_000
TARGET_DB = -23.0  # root mean square of the active part, relative to full scale
PEAK = 0.95
MOST_GAIN_DB = 40.0  # as for finished sounds: near-silence is not blown up into its own noise
ACTIVE_DB = 20.0  # what is this far below the loudest moment is a pause, not the sound
BLOCK_S, STEP_S = 0.04, 0.01

__all__ = ["HOP", "MELS", "RATE_HZ", "frames_of", "level", "log_mel", "log_mel_of", "prepare", "to_16k"]


def log_mel(waves_16k: Tensor) -> Tensor:
    """(N, samples) at 16 kHz -> (N, samples // 160, 64) float32; frame k around sample 160 k."""
    return mel.log_mel(waves_16k)[..., : frames_of(waves_16k.shape[-1]), :]


def frames_of(samples: int) -> int:
    """Mel frames of so many samples: a shot of 40,960 has 256."""
    return samples // HOP


def to_16k(sound_48k: np.ndarray) -> np.ndarray:
    """(3 N,) at 48 kHz -> (N,) float32 at 16 kHz by soxr's highest quality: nothing moves in time."""
    sound = np.asarray(sound_48k, np.float32)
    if not len(sound):
        return sound
    found = np.asarray(soxr.resample(sound, SOURCE_HZ, RATE_HZ, quality="VHQ"), np.float32)
    wanted = len(sound) * RATE_HZ // SOURCE_HZ
    return np.pad(found, (0, max(0, wanted - len(found))))[:wanted]


def level(sound: np.ndarray, rate_hz: int = RATE_HZ) -> np.ndarray:
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


def prepare(sound_48k: np.ndarray) -> np.ndarray:
    """What every part is trained on: (122,880,) at 48 kHz -> (40,960,) float32 at 16 kHz, levelled."""
    return level(to_16k(sound_48k))


def log_mel_of(sound_16k: np.ndarray) -> np.ndarray:
    """(N,) -> (N // 160, 64) float32: ``log_mel`` of one sound as an array."""
    with torch.inference_mode():
        return log_mel(torch.from_numpy(np.ascontiguousarray(sound_16k, np.float32))[None])[0].numpy()
