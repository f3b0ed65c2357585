# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound from the magnitudes of its spectrum: the fast Griffin-Lim algorithm.

Perraudin, Balazs & Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013; momentum 0.99.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .mel import HOP, N_FFT

MOMENTUM = 0.99
SHORTEST = 8  # frames; the analysis window has to fit in

Check = Callable[[int], None]


def sound_of(magnitudes: Tensor, *, rounds: int, seed: int = 0, check: Check = lambda round: None) -> Tensor:
    """(B, T, 513) magnitudes >= 0, frame k around sample 160 k -> (B, 160 T) float32 at 16 kHz.

    Phases begin at random, the same for every row and on every device. ``check`` is called with the number of
    each round and may raise to stop; nothing else in the loop waits for the device.
    """
    frames = magnitudes.shape[1]
    held = magnitudes[:, -1:].expand(-1, max(1, SHORTEST + 1 - frames), -1)  # also the frame around the end
    wanted = torch.cat((magnitudes, held), 1).transpose(1, 2)
    samples = (wanted.shape[2] - 1) * HOP
    window = torch.hann_window(N_FFT, device=wanted.device)
    generator = torch.Generator().manual_seed(seed)
    phase = 2 * torch.pi * torch.rand(wanted.shape[1:], generator=generator)
    spectrum = torch.polar(wanted, phase.to(wanted.device).expand_as(wanted))
    before = torch.zeros_like(spectrum)
    for number in range(rounds):
        check(number)
        sound = torch.istft(spectrum, N_FFT, HOP, window=window, length=samples)
        found = torch.stft(sound, N_FFT, HOP, window=window, pad_mode="reflect", return_complex=True)
        ahead = found + MOMENTUM * (found - before)
        spectrum = wanted * ahead / ahead.abs().clamp_min(1e-12)
        before = found
    return torch.istft(spectrum, N_FFT, HOP, window=window, length=samples)[:, : frames * HOP]
