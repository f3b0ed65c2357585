# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the VAE: diffusers' AutoencoderKL over AudioLDM's log-mel, a quarter of the size each way.

A finished part is whitened over the world's sounds (autoencoder.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..models.layouts import Config
from . import autoencoder, mel
from .autoencoder import build, there_and_back
from .general import as_recorded
from .seats import Batch, Player
from .settings import Settings
from .sounds import SAMPLES, Sounds, load_sounds
from .starter_layout import starter_layout

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

NAME = "vae"
SPLIT = "train"
DEFAULT_STEPS = 2000
NEEDS = ("world",)

BATCH, FRAMES = 8, 128  # sounds in a step, and mel frames of each
RATE = 1.5e-3
KL = 2e-3  # enough to keep the latents centred, little enough to keep crackles
CHANGED = 0.3  # share of sounds that are played at another speed, in another colour or room
WHITENED_OVER = 256  # sounds
AT_ONCE = 16


class VaeTask:
    """Log-mels through eight channels and back (loop.Task). ``layout``: the VAE's configuration."""

    name = NAME

    def __init__(
        self, sounds: Sounds, layout: Config, *, batch: int, frames: int, seed: int, warmup: int = 100
    ) -> None:
        self._sounds, self._layout = sounds, layout
        self._batch, self._frames, self._seed = batch, frames, seed
        torch.manual_seed(seed)
        self.vae = build(layout)
        _scale_to(self.vae, self._mels(np.random.default_rng((seed, 0)), 32, changed=0.0))
        self.vae.to(memory_format=torch.channels_last)
        self.players = (
            Player(
                name=NAME,
                module=self.vae,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=0.01,
                ema=0.995,
                warmup=warmup,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "layout": self._layout,
            "batch": self._batch,
            "frames": self._frames,
            "kl": KL,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        draw = np.random.default_rng((self._seed, 1, step))
        return {"mels": self._mels(draw, self._batch, changed=CHANGED)}

    def _mels(self, draw: np.random.Generator, count: int, changed: float) -> Tensor:
        """(count, 1, frames, 64): crops of random sounds."""
        samples = self._frames * mel.HOP
        waves = np.empty((count, samples), np.float32)
        for row in waves:
            number = int(draw.integers(len(self._sounds)))
            start = int(draw.integers(SAMPLES - samples + 1))
            row[:] = self._sounds.wave(number, start, samples)
            if draw.random() < changed:
                row[:] = mel.level(as_recorded(draw, row))
        return mel.log_mel(torch.from_numpy(waves)).unsqueeze(1)

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        mels = batch["mels"].contiguous(memory_format=torch.channels_last)
        found, kl = there_and_back(self.vae, mels, generator)
        difference = distance(found, mels.float())
        parts = {"distance": difference, "l1": (found - mels).abs().mean(), "kl": kl}
        return difference + KL * kl, {key: value.detach() for key, value in parts.items()}

    def write_part(self, folder: Path) -> None:
        autoencoder.write(self.vae, self._layout, self._latent_statistics, folder)

    @torch.inference_mode()
    def _latent_statistics(self, vae: AutoencoderKL) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each latent channel, (C,), over whole sounds spread over the world."""
        device = next(vae.parameters()).device
        chosen = np.linspace(0, len(self._sounds) - 1, min(WHITENED_OVER, len(self._sounds))).astype(int)
        means = []
        for start in range(0, len(chosen), AT_ONCE):
            waves = np.stack([self._sounds.wave(int(number)) for number in chosen[start : start + AT_ONCE]])
            rows = mel.log_mel(torch.from_numpy(waves)).unsqueeze(1).to(device)
            found = vae.encode(rows.contiguous(memory_format=torch.channels_last)).latent_dist.mean
            means.append(found.transpose(0, 1).flatten(1).double().cpu())
        every = torch.cat(means, 1)
        return every.mean(1), every.std(1).clamp_min(1e-3)


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """How far two log-mels (B, 1, T, F) are apart.

    Point by point; over patches of 2 and 4, so that their mean is right where their grain cannot be; in their
    slopes, so that partials and crackles stay sharp; and in the energy of patches, which the logarithm
    underestimates for noise.
    """
    apart = found - wanted
    total = apart.abs().mean()
    for size in (2, 4):
        total = total + 0.5 * functional.avg_pool2d(apart, size).abs().mean()
    for axis in (2, 3):
        total = total + 0.25 * apart.diff(dim=axis).abs().mean()
    return total + 0.5 * (_energy(found) - _energy(wanted)).abs().mean()


def _energy(mels: Tensor) -> Tensor:
    return functional.avg_pool2d(mels.clamp_max(8.0).exp(), 4).clamp_min(1e-6).log()


@torch.no_grad()
def _scale_to(vae: AutoencoderKL, mels: Tensor) -> None:
    """Lets a fresh VAE begin with numbers of size one inside, and of the mels' own scale outside."""
    mean, deviation = mels.mean(), mels.std()
    first, last = vae.encoder.conv_in, vae.decoder.conv_out
    first.weight /= deviation
    first.bias -= first.weight.sum((1, 2, 3)) * mean
    last.weight *= deviation
    last.bias.copy_(mean.expand_as(last.bias))


def task(work: Path, settings: Settings) -> VaeTask:
    """Raises BadInput when the world has no sounds to learn from."""
    small = settings.tiny
    return VaeTask(
        load_sounds(work, SPLIT),
        starter_layout(tiny=small).vae,
        batch=4 if small else BATCH,
        frames=32 if small else FRAMES,
        seed=settings.seed,
        warmup=2 if small else 100,
    )
