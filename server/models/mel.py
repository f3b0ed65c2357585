# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioLDM's log-mel: what its VAE packs and its vocoder reads. The one place that knows its numbers.

Magnitudes of a Hann-windowed short-time Fourier transform in Slaney bands, clamped and in natural logarithm
(AudioLDM's ``TacotronSTFT``). Frame k is centred on sample k * hop.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

RATE_HZ = 16_000
HOP = 160
MELS = 64
LOW_HZ, HIGH_HZ = 0.0, 8000.0
FLOOR = 1e-5  # log-mel of silence is log(1e-5)
SILENCE = math.log(FLOOR)
N_FFT = 1024


def log_mel(waves: Tensor, *, hop: int = HOP, mels: int = MELS, rate_hz: int = RATE_HZ) -> Tensor:
    """(..., samples) float -> (..., samples // hop + 1, mels) float32. More than half a window of samples."""
    size = fft_size(hop)
    magnitudes = magnitude(waves.float(), size, hop)
    bands = mel_bands(size, mels, min(HIGH_HZ, rate_hz / 2), rate_hz).to(waves.device)
    with torch.autocast(waves.device.type, enabled=False):
        return (magnitudes @ bands).clamp_min(FLOOR).log()


def fft_size(hop: int) -> int:
    """Samples of the analysis window: 1024 at a hop of 160."""
    return 2 ** round(math.log2(N_FFT / HOP * hop))


def magnitude(waves: Tensor, size: int, hop: int) -> Tensor:
    """(..., samples) -> (..., frames, size // 2 + 1): magnitudes, frame k around sample k * hop."""
    flat = waves.reshape(-1, waves.shape[-1])
    window = _window(size).to(waves.device)
    spectrum = torch.stft(flat, size, hop, window=window, pad_mode="reflect", return_complex=True)
    # Not abs(): its gradient at exactly nothing is not a number.
    power = spectrum.real.square() + spectrum.imag.square()
    found = power.clamp_min(1e-14).sqrt().transpose(1, 2)
    return found.reshape(*waves.shape[:-1], *found.shape[1:])


@functools.cache
def mel_bands(
    size: int = N_FFT, mels: int = MELS, high_hz: float = HIGH_HZ, rate_hz: int = RATE_HZ
) -> Tensor:
    """(size // 2 + 1, mels) float32: weights of each frequency in each band, every band of the same area."""
    from transformers.audio_utils import mel_filter_bank

    bands = mel_filter_bank(size // 2 + 1, mels, LOW_HZ, high_hz, rate_hz, norm="slaney", mel_scale="slaney")
    with torch.inference_mode(False):  # kept, and training must be able to use it too
        return torch.from_numpy(bands).float()


@functools.cache
def _window(size: int) -> Tensor:
    with torch.inference_mode(False):
        return torch.hann_window(size)
