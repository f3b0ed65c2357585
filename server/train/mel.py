# SPDX-License-Identifier: GPL-3.0-or-later
"""How every training hears: 16 kHz, one common level, AudioLDM's log-mel. Pure functions."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from torch import Tensor

from ..models import mel
from ..models.level import PEAK, TARGET_DB, active_rms
from ..models.level import level as at_level
from ..models.mel import HOP, MELS, RATE_HZ

SOURCE_HZ = 48_000

__all__ = [
    "HOP",
    "MELS",
    "PEAK",
    "RATE_HZ",
    "TARGET_DB",
    "active_rms",
    "frames_of",
    "level",
    "log_mel",
    "log_mel_of",
    "prepare",
    "to_16k",
]


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
    return at_level(sound, rate_hz)


def prepare(sound_48k: np.ndarray) -> np.ndarray:
    """What every part is trained on: (122,880,) at 48 kHz -> (40,960,) float32 at 16 kHz, levelled."""
    return level(to_16k(sound_48k))


def log_mel_of(sound_16k: np.ndarray) -> np.ndarray:
    """(N,) -> (N // 160, 64) float32: ``log_mel`` of one sound as an array."""
    with torch.inference_mode():
        return log_mel(torch.from_numpy(np.ascontiguousarray(sound_16k, np.float32))[None])[0].numpy()
