# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound from a log-mel without any training: what a vocoder must beat.

The mel is spread back over frequencies by non-negative least squares, and phases are found by the fast
Griffin-Lim algorithm (``models/phases.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.mel import mel_bands
from ..models.phases import sound_of

ITERATIONS = 60  # 100 are no closer to recordings
SPREAD_STEPS = 200


def griffin_lim(mels: Tensor, *, iterations: int = ITERATIONS, seed: int = 0) -> Tensor:
    """(T, 64) log-mel -> (160 T,) float32 at 16 kHz."""
    wanted = spread(mels.double().exp()).float()
    return sound_of(wanted[None], rounds=iterations, seed=seed)[0]


def spread(energies: Tensor, steps: int = SPREAD_STEPS) -> Tensor:
    """(T, mels) magnitudes in bands -> (T, bins) magnitudes >= 0 whose bands they are.

    Begins at the smallest such spectrum, by pseudo-inverse, and goes on by accelerated projected gradient.
    """
    bands = mel_bands().double()
    inverse = torch.linalg.pinv(bands)
    found = (energies @ inverse).clamp_min(0.0)
    rate = 1.0 / torch.linalg.matrix_norm(bands, 2) ** 2
    ahead = found
    for step in range(steps):
        following = (ahead - rate * (ahead @ bands - energies) @ bands.T).clamp_min(0.0)
        ahead = following + step / (step + 3.0) * (following - found)
        found = following
    return found
