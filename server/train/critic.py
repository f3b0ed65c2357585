# SPDX-License-Identifier: GPL-3.0-or-later
"""Critics that tell recorded sound from made sound by its spectra, for the vocoder's last polish.

One small network for each resolution (UnivNet, Jang et al., Interspeech 2021), with least-squares losses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.mel import magnitude

SIZES = (1024, 512, 256)


class _Critic(nn.Module):
    """(B, 1, F, T) -> features of every layer and a map of verdicts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        sizes = (1, channels, channels, channels, channels)
        strides = ((2, 1), (2, 2), (2, 2), (2, 1))
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, (5, 3), stride, (2, 1))
            for before, after, stride in zip(sizes[:-1], sizes[1:], strides, strict=True)
        )
        self.verdict = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        features = []
        for layer in self.layers:
            rows = functional.leaky_relu(layer(rows), 0.1)
            features.append(rows)
        return features, self.verdict(rows)


class Critic(nn.Module):
    """(B, samples) -> for each resolution features and verdicts: 1 for recorded, 0 for made."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.critics = nn.ModuleList(_Critic(channels) for _ in SIZES)

    def forward(self, waves: Tensor) -> list[tuple[list[Tensor], Tensor]]:
        said = []
        for size, critic in zip(SIZES, self.critics, strict=True):
            spectra = magnitude(waves, size, size // 4).clamp_min(1e-4).log()
            rows = 0.3 * (spectra + 4.0).transpose(1, 2).unsqueeze(1)
            said.append(critic(rows.contiguous(memory_format=torch.channels_last)))
        return said


def critic_loss(critic: Critic, recorded: Tensor, made: Tensor) -> Tensor:
    """What the critics minimise. Both (B, samples)."""
    said = critic(torch.cat((recorded, made.detach())))
    total = recorded.new_zeros(())
    for _, verdicts in said:
        real, fake = verdicts.float().chunk(2)
        total = total + (real - 1.0).square().mean() + fake.square().mean()
    return total / len(said)


def fooled(critic: Critic, recorded: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """What the vocoder minimises: how surely it is found out, and how far the critics' features are apart."""
    with torch.no_grad():
        wanted = critic(recorded)
    found = critic(made)
    adversarial = features = recorded.new_zeros(())
    for (theirs, _), (ours, verdicts) in zip(wanted, found, strict=True):
        adversarial = adversarial + (verdicts.float() - 1.0).square().mean()
        for one, other in zip(theirs, ours, strict=True):
            scale = one.float().abs().mean().clamp_min(1e-3)
            features = features + (one.float() - other.float()).abs().mean() / scale / len(theirs)
    return adversarial / len(found), features / len(found)
