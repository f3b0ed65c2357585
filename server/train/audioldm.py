# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains AudioLDM's UNet: latents of sounds under what is told of them (conditioning.py).

Its loss is ``velocity``'s. Latents and rows come from ``features``; nothing here decodes a sound.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..models.layouts import Config
from ..sampling.quality import QUALITIES
from .conditioning import CONDITIONS, KINDS, Source, load_source
from .features import Features
from .starter_layout import starter_layout
from .unet import UnetRecipe, build, write, write_scheduler
from .velocity import Velocity

NAME = "audioldm"
DEFAULT_STEPS = 20_000
NEEDS = ("world", "vae", "clap")
FOLDERS = {"clap": NAME, "clip": "clipsonic", "clip_text": "clipsonic-labels"}  # condition -> training

SHOT = 64  # latent columns of a shot
RATE = 5e-4
DROPPED = 0.1  # share of conditions that are the row of no words
BLUR = 0.02  # deviation of the noise on each number of a condition, at most; a mapped row is never exact
ROLLED = 0.5  # share of steady sounds that begin elsewhere
SEAM = 4  # columns over which two shots are cross-faded in a longer sound

# What a UNet of this training wants in bundle.toml (Manifest.sampling). On its schedule the kind of a sound
# is decided at noise levels between 60 and 1, where the common table does not guide. Above, guidance would
# only push the level; with more of it the latents spread wider than those of true sounds.
SAMPLING = {name: {"guidance": 2.0, "low": 0.6, "high": 60.0} for name in QUALITIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(UnetRecipe):
    """``batch``: shots a step. ``lengths``: columns of a sound -> share of the steps with such sounds; a step
    with longer ones has fewer, so that all cost about the same.
    """

    batch: int = 16
    lengths: Mapping[int, float]
    rate: float = RATE
    ema: float = 0.9995
    warmup: int = 300


FULL = Recipe(lengths={64: 0.84, 128: 0.08, 256: 0.08}, fade=(18_000, 400))
TINY = Recipe(batch=4, lengths={64: 0.5, 128: 0.5}, warmup=2, ema=0.9)


class AudioLDMTask:
    """See loop.Task. ``unet``, ``scheduler``: the configurations of these parts."""

    def __init__(
        self, data: Features, source: Source, unet: Config, scheduler: Config, recipe: Recipe, seed: int
    ) -> None:
        self.name = FOLDERS[source.name]
        self._data, self._source, self._recipe, self._seed = data, source, recipe, seed
        self._unet_config, self._scheduler_config = unet, scheduler
        self._velocity = Velocity(scheduler)
        torch.manual_seed(seed)
        self.unet = build(unet)
        spread_out(self.unet.class_embedding, source.known(), BLUR)
        self.players = (recipe.player(NAME, self.unet, self._loss),)

    def config(self) -> dict[str, Any]:
        """What the weights and every batch depend on."""
        told = {} if self._source.name == "clap" else {"condition": self._source.name}
        return told | {
            "unet": self._unet_config,
            "scheduler": self._scheduler_config,
            "batch": self._recipe.batch,
            "lengths": {str(columns): share for columns, share in self._recipe.lengths.items()},
            "rate": self._recipe.rate,
            "ema": self._recipe.ema,
            "shots": len(self._source.shots),
            "seed": self._seed,
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        """``latents`` (B, 8, columns, 16) and ``conditions`` (B, 512), unit."""
        draw = np.random.default_rng((self._seed, step))
        lengths = list(self._recipe.lengths)
        columns = int(draw.choice(lengths, p=list(self._recipe.lengths.values())))
        count = max(1, self._recipe.batch * SHOT // columns)
        chosen = draw.integers(0, len(self._source.shots), count)
        made = [self._sound(self._source.shots[index], columns, draw) for index in chosen]
        return {
            "latents": torch.stack([latents for latents, _ in made]),
            "conditions": torch.stack([self._condition(shots, draw) for _, shots in made]),
        }

    def _sound(self, shot: int, columns: int, draw: np.random.Generator) -> tuple[Tensor, list[int]]:
        """(8, columns, 16) float32, and the shots it is of: ``shot`` first, then some that sound like it."""
        shots, joined = [shot], self._latents(shot, draw)
        while joined.shape[1] < columns:
            shots.append(int(draw.choice(self._source.kin[shot])))
            joined = cross_faded(joined, self._latents(shots[-1], draw), SEAM)
        return joined[:, :columns], shots

    def _latents(self, shot: int, draw: np.random.Generator) -> Tensor:
        latents = self._data.latents[shot].float()
        if shot in self._source.steady and draw.random() < ROLLED:
            return latents.roll(int(draw.integers(latents.shape[1])), 1)
        return latents

    def _condition(self, shots: Sequence[int], draw: np.random.Generator) -> Tensor:
        """(D,) what is told of a sound, blurred and of length 1; or that nothing is."""
        if draw.random() < DROPPED:
            return self._source.empty
        row = self._source.row(shots, draw)
        blur = BLUR * draw.random() * draw.standard_normal(len(row))
        return normalize(normalize(row, dim=0) + torch.from_numpy(blur).float(), dim=0)

    def _loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            return self._predict(noisy, times, batch["conditions"])

        return self._velocity.loss(batch["latents"], predict, generator)

    def _predict(self, rows: Tensor, times: Tensor, conditions: Tensor) -> Tensor:
        return self.unet(rows, times, None, class_labels=conditions, return_dict=False)[0]

    def write_part(self, folder: Path) -> None:
        write(self.unet.state_dict(), self._unet_config, folder)
        write_scheduler(self._scheduler_config, folder)


@torch.no_grad()
def spread_out(linear: nn.Linear, rows: Tensor, blur: float) -> None:
    """Starts the projection of conditions so that what sets them apart comes out: mean 0, deviation 1.

    Rows of length 1 in one narrow cone would be nearly the same numbers for the network, and small ones.
    Their principal directions, the widest first, are brought to one scale, as far as they stand out of the
    noise that the training puts on them.
    """
    rows = rows.double()
    mean = rows.mean(0)
    spread = (rows - mean).T @ (rows - mean) / len(rows)
    strength, axes = torch.linalg.eigh(spread)
    wanted = min(linear.out_features, len(strength))
    strength, axes = strength.flip(0)[:wanted].clamp_min(0.0), axes.flip(1)[:, :wanted]
    scaled = (axes / (strength + blur**2).sqrt()).T
    linear.weight[:wanted] = scaled.float()
    linear.bias[:wanted] = -(scaled @ mean).float()


def cross_faded(first: Tensor, second: Tensor, seam: int) -> Tensor:
    """(C, A, F) and (C, B, F) -> (C, A + B - seam, F); what each is on average goes over in a straight line,
    and what varies in time so that its deviation stays.
    """
    rise = torch.linspace(0.0, 1.0, seam + 2)[1:-1].view(1, -1, 1)
    fall = rise.flip(1)
    before, after = (piece.mean(1, keepdim=True) for piece in (first, second))
    varying = (first[:, -seam:] - before) * fall.sqrt() + (second[:, :seam] - after) * rise.sqrt()
    return torch.cat([first[:, :-seam], before * fall + after * rise + varying, second[:, seam:]], dim=1)


def task(work: Path, settings: Any) -> AudioLDMTask:
    """Makes the features first, if they are missing or stale. Raises ModelMissing, BadInput."""
    data, source = load_source(work, getattr(settings, "condition", "clap"))
    layout = starter_layout(tiny=settings.tiny)
    recipe = TINY if settings.tiny else FULL
    return AudioLDMTask(data, source, layout.unet, layout.scheduler, recipe, settings.seed)


def needs(settings: Any) -> tuple[str, ...]:
    """What must be there before, by what is learnt from."""
    return (*NEEDS[:2], *KINDS[getattr(settings, "condition", "clap")][1:])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``footfall train audioldm`` that no other part has."""
    parser.add_argument(
        "--condition",
        choices=CONDITIONS,
        default="clap",
        help="learn from rows of CLAP, from frames alone (CLIPSonic), or from CLIP's words (clap)",
    )
