# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the painter: a UNet that makes latents of the world's frames under the captions of their shots.

Its loss is ``velocity``'s, as for sounds. What reads the captions is our CLIP's text tower, which stays as it
is. The finished part holds ``unet``, ``scheduler``,
``text_encoder`` and ``tokenizer``; with the VAE they are a pipeline that diffusers opens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.picture_words import Reader
from ..models.weights import load_weights
from . import parts
from .autoencoder import build as build_vae
from .clip import whole
from .kept import Kept, keep
from .picture_layout import PictureLayout, picture_layout
from .picture_text import write_text
from .picture_vae import latents_of
from .settings import Settings
from .shards import Sample
from .unet import UnetRecipe, build, write, write_scheduler
from .velocity import Velocity

NAME = "painter"
SPLIT = "train"
DEFAULT_STEPS = 3500
NEEDS = ("world", "clip", "picture-vae")

DROPPED = 0.1  # share of prompts that say nothing
PHOTO = 0.4  # share of the others that begin as a prompt with a sound's token does
_ARTICLES = ("a ", "an ", "the ")


FULL = UnetRecipe(batch=48, rate=8e-4, ema=0.999, warmup=200)
TINY = replace(FULL, batch=4, warmup=2, ema=0.9)


class PainterTask:
    """See loop.Task. ``data``: rows of latents (C, H, W) float16, each shot's frames plain and mirrored."""

    name = NAME

    def __init__(
        self, data: Kept, reader: Reader, clip: Path, layout: PictureLayout, recipe: UnetRecipe, seed: int
    ) -> None:
        """``clip``: the finished CLIP part that ``reader`` is made of."""
        self._data, self._reader, self._clip = data, reader, clip
        self._layout, self._recipe, self._seed = layout, recipe, seed
        self._velocity = Velocity(layout.scheduler)
        torch.manual_seed(seed)
        self.unet = build(layout.unet)
        self.players = (recipe.player(NAME, self.unet, self._loss),)

    def config(self) -> dict[str, Any]:
        """What the weights and every batch depend on."""
        return {
            "unet": self._layout.unet,
            "scheduler": self._layout.scheduler,
            "batch": self._recipe.batch,
            "rate": self._recipe.rate,
            "ema": self._recipe.ema,
            "shots": len(self._data),
            "words": self._reader.space.sha256,
            "seed": self._seed,
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        """``latents`` (B, C, H, W) and ``states`` (B, L, W) of what is said of them."""
        draw = np.random.default_rng((self._seed, step))
        latents, prompts = [], []
        for shot in draw.integers(0, len(self._data), self._recipe.batch):
            first, stop = self._data.start[shot], self._data.start[shot + 1]
            latents.append(self._data.rows[draw.integers(first, stop)])
            prompts.append(prompt(self._data.shots[shot].captions, draw))
        with torch.inference_mode():
            states = self._reader.read(prompts)
        return {"latents": torch.from_numpy(np.stack(latents)).float(), "states": states.clone()}

    def _loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            return self.unet(noisy, times, batch["states"], return_dict=False)[0]

        return self._velocity.loss(batch["latents"], predict, generator)

    def write_part(self, folder: Path) -> None:
        write(self.unet.state_dict(), self._layout.unet, folder / "unet")
        write_scheduler(self._layout.scheduler, folder / "scheduler")
        write_text(self._clip, folder)


def prompt(captions: Sequence[str], draw: np.random.Generator) -> str:
    """One caption, as it is or behind "a photo of a"; or nothing."""
    if draw.random() < DROPPED:
        return ""
    words = str(draw.choice(list(captions)))
    if draw.random() < PHOTO:
        for article in _ARTICLES:
            words = words.removeprefix(article)
        return f"a photo of a {words}"
    return words


def load_reader(clip: Path) -> Reader:
    """Our CLIP's text tower as the painter reads with it. Raises ModelRefused."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_text(clip, root / "pictures")
        bundle = parts.opened(root)
        return Reader.load(bundle, torch.device("cpu"), torch.float32)


def kept_latents(work: Path, layout: PictureLayout) -> Kept:
    """Every train frame and its mirror image in the VAE's latents, made at the first call.

    Raises BadInput when the world has no frames, ModelMissing without a finished VAE, SaveError.
    """
    mark = parts.fingerprint(work, "pictures/vae")
    folder = parts.part_folder(work, "pictures/vae")
    vae = load_weights(lambda: build_vae(layout.vae), folder / parts.DIFFUSERS_WEIGHTS)
    vae.to(memory_format=torch.channels_last)

    def make(sample: Sample) -> np.ndarray:
        frames, side = sample.frames, layout.size // 4
        if not len(frames):
            return np.zeros((0, layout.vae["latent_channels"], side, side), np.float16)
        shrunk = whole(torch.from_numpy(frames), layout.size).mul(255).round().byte().permute(0, 2, 3, 1)
        both = torch.cat([shrunk, shrunk.flip(2)]).numpy()
        return latents_of(vae, both).half().numpy()

    version = f"latents-{layout.size}-{mark}"
    return keep(work / "world", SPLIT, work / NAME / "kept", make, version, frames=True)


def task(work: Path, settings: Settings) -> PainterTask:
    """Raises ModelMissing, BadInput."""
    layout = picture_layout(tiny=settings.tiny)
    recipe = TINY if settings.tiny else FULL
    clip = parts.part_folder(work, "clip")
    return PainterTask(kept_latents(work, layout), load_reader(clip), clip, layout, recipe, settings.seed)
