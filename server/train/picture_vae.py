# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the painter's VAE: diffusers' AutoencoderKL over the world's frames, a quarter of the size.

A finished part is whitened over the world's pictures (autoencoder.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from . import autoencoder
from .autoencoder import build, there_and_back
from .clip import whole
from .kept import Kept, keep
from .picture_layout import PictureLayout, picture_layout
from .seats import Batch, Player
from .settings import Settings

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

    from .shards import Sample

NAME = "picture-vae"
SPLIT = "train"
DEFAULT_STEPS = 3000
NEEDS = ("world",)

BATCH, TINY_BATCH = 16, 4  # pictures in a step
RATE = 1.5e-3
KL = 1e-3  # enough to keep the latents centred
COLOUR = 3.0  # weight of the colour of patches
SHIFT = 3  # pixels that a picture is moved by, at most, each way
WHITENED_OVER = 1024  # pictures
AT_ONCE = 64


class PictureVaeTask:
    """Pictures through four channels and back (loop.Task). ``pictures``: rows (F, S, S, 3) uint8."""

    name = NAME

    def __init__(
        self, pictures: np.ndarray, layout: PictureLayout, *, batch: int, seed: int, warmup: int = 100
    ) -> None:
        self._pictures, self._layout = pictures, layout
        self._batch, self._seed = batch, seed
        torch.manual_seed(seed)
        self.vae = build(layout.vae).to(memory_format=torch.channels_last)
        self.players = (
            Player(
                name=NAME,
                module=self.vae,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=0.01,
                ema=0.998,
                warmup=warmup,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "layout": self._layout.vae,
            "size": self._layout.size,
            "batch": self._batch,
            "kl": KL,
            "colour": COLOUR,
            "pictures": len(self._pictures),
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        """``pictures`` (B, S, S, 3) uint8, half of them mirrored, each moved by some pixels."""
        draw = np.random.default_rng((self._seed, step))
        chosen = draw.integers(0, len(self._pictures), self._batch)
        return {"pictures": torch.from_numpy(np.stack([moved(self._pictures[n], draw) for n in chosen]))}

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        pictures = pixels(batch["pictures"])
        found, kl = there_and_back(self.vae, pictures, generator)
        difference = distance(found, pictures)
        parts = {"distance": difference, "l1": (found - pictures).abs().mean(), "kl": kl}
        return difference + KL * kl, {key: value.detach() for key, value in parts.items()}

    def write_part(self, folder: Path) -> None:
        autoencoder.write(self.vae, self._layout.vae, self._latent_statistics, folder)

    def _latent_statistics(self, vae: AutoencoderKL) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each latent channel, (C,), over pictures spread over the world."""
        count = min(WHITENED_OVER, len(self._pictures))
        chosen = np.linspace(0, len(self._pictures) - 1, count).astype(int)
        every = latents_of(vae, np.stack([self._pictures[n] for n in chosen])).double()
        channels = every.transpose(0, 1).flatten(1)
        return channels.mean(1), channels.std(1).clamp_min(1e-3)


def pixels(pictures: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) in [-1, 1], as the VAE is shown them."""
    return pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def moved(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(S, S, 3), mirrored or not, and moved; what comes in at the edge is mirrored from inside."""
    if draw.random() < 0.5:
        picture = picture[:, ::-1]
    down, right = draw.integers(0, 2 * SHIFT + 1, 2)
    wide = np.pad(picture, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), "reflect")
    height, width = picture.shape[:2]
    return wide[down : down + height, right : right + width]


@torch.inference_mode()
def latents_of(vae: AutoencoderKL, pictures: np.ndarray) -> Tensor:
    """(N, S, S, 3) uint8 to the means of their latents (N, 4, S / 4, S / 4) float32 on the CPU."""
    device, found = next(vae.parameters()).device, []
    for start in range(0, len(pictures), AT_ONCE):
        some = torch.from_numpy(np.ascontiguousarray(pictures[start : start + AT_ONCE])).to(device)
        shown = pixels(some).contiguous(memory_format=torch.channels_last)
        found.append(vae.encode(shown).latent_dist.mean.float().cpu())
    return torch.cat(found)


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """How far two pictures (B, 3, H, W) are apart.

    Point by point; over patches of 2 and 4; in the colour of patches, which takes little room in the latents
    and is given none while light and dark are to be gained; in their slopes, so that edges stay sharp; and in
    how rough each patch of 4 is, because grain that is only averaged away would leave every material smooth.
    """
    apart = found - wanted
    total = apart.abs().mean()
    colour = functional.avg_pool2d(apart - apart.mean(1, keepdim=True), 4)
    total = total + COLOUR * colour.abs().mean()
    for size in (2, 4):
        total = total + 0.5 * functional.avg_pool2d(apart, size).abs().mean()
    for axis in (2, 3):
        total = total + 0.5 * apart.diff(dim=axis).abs().mean()
        total = total + 0.5 * (_roughness(found, axis) - _roughness(wanted, axis)).abs().mean()
    return total


def _roughness(pictures: Tensor, axis: int) -> Tensor:
    return functional.avg_pool2d(pictures.diff(dim=axis).abs(), 4)


def kept_pictures(work: Path, size: int) -> Kept:
    """The train frames at ``size`` pixels each way, (F, S, S, 3) uint8, made at the first call.

    Raises BadInput when the world has no frames, SaveError when the disk is full.
    """

    def small(sample: Sample) -> np.ndarray:
        frames = sample.frames
        if not len(frames):
            return np.zeros((0, size, size, 3), np.uint8)
        shrunk = whole(torch.from_numpy(frames), size).mul(255).round().byte()
        return shrunk.permute(0, 2, 3, 1).contiguous().numpy()

    return keep(work / "world", SPLIT, work / NAME / "kept", small, f"pictures-{size}", frames=True)


def task(work: Path, settings: Settings) -> PictureVaeTask:
    """Raises BadInput when the world has no frames to learn from."""
    layout = picture_layout(tiny=settings.tiny)
    return PictureVaeTask(
        kept_pictures(work, layout.size).rows,
        layout,
        batch=TINY_BATCH if settings.tiny else BATCH,
        seed=settings.seed,
        warmup=2 if settings.tiny else 100,
    )
