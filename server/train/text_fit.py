# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapper from words alone: captions through both text towers, no picture and no sound, no pair of them.

CapDec (Nukrai et al., EMNLP Findings 2022): noise on the embeddings of words makes room for those of
pictures. C3 (Zhang et al., ICLR 2024): the mean of each kind of embedding is taken away first, and that of
the other kind put back later. Both means are folded into the network's own weights, so what comes out is a
plain regression mapper. Pictures and sounds for these means need not belong together, and there may be none:
then the words' own means stand in (CapDec alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput
from ..models.bundle import SpaceId
from ..models.mapper import RegressionNetwork, spaces
from .into import check_fits, put_into
from .loop import Batch
from .mapper import build, recipe, trainable, write_mapper

VARIANCE = 0.016  # CapDec's, of each number of a unit vector
FEWEST = 2  # captions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """seen: (N, C), heard: (N, D): unit rows of the same captions in both text towers. picture, sound: (C,)
    and (D,) means of unit rows of any pictures and any sounds; None: there were none to look at or listen to.
    """

    seen: Tensor
    heard: Tensor
    clip_space: SpaceId
    clap_space: SpaceId
    picture: Tensor | None = None
    sound: Tensor | None = None


class TextTask:
    """The fit, as ``loop.train`` takes it. ``variance``: of the strongest noise; each caption's is drawn."""

    def __init__(
        self,
        words: Words,
        *,
        size: str = "starter",
        seed: int = 0,
        tiny: bool = False,
        variance: float = VARIANCE,
        into: Path | None = None,
    ) -> None:
        """``into``: a bundle that gets the finished part. Raises BadInput for fewer than two captions,
        ModelRefused when the words are of other spaces than that bundle's.
        """
        if into is not None:
            check_fits(into, words.clip_space, words.clap_space)
        self._into = into
        if len(words.seen) < FEWEST or len(words.seen) != len(words.heard):
            raise BadInput("A mapper cannot be fitted to less than two captions; give more words.")
        self.name = "mapper-text"
        self.words, self.recipe, self._size = words, recipe("regression", size, tiny=tiny), size
        self._seed, self._variance = seed, variance
        self._means = words.seen.mean(0), words.heard.mean(0)
        sizes = words.seen.shape[1], words.heard.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build("regression", self.recipe.network, sizes)
        assert isinstance(network, RegressionNetwork)
        self.network = network
        self.players = (self.recipe.player("mapper", network, self.loss),)

    def config(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        return {
            "kind": "text",
            "size": self._size,
            "seed": self._seed,
            "variance": self._variance,
            "captions": len(self.words.seen),
            "network": dict(self.recipe.network),
            **spaces(self.words.clip_space, self.words.clap_space),
        }

    def batch(self, step: int) -> Batch:
        """``clip`` (B, C) centred rows with noise, ``clap`` (B, D) centred targets; by seed and step."""
        draw = np.random.default_rng((self._seed, step))
        numbers = torch.from_numpy(draw.integers(0, len(self.words.seen), self.recipe.batch))
        seen = self.words.seen[numbers] - self._means[0]
        strength = (self._variance * draw.random((len(numbers), 1), np.float32)) ** 0.5
        noise = torch.from_numpy((draw.standard_normal(seen.shape, np.float32) * strength).astype(np.float32))
        return {"clip": seen + noise, "clap": self.words.heard[numbers] - self._means[1]}

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        found = self.network(batch["clip"]).float()
        loss = (found - batch["clap"]).square().sum(-1).mean()
        mean = self._means[1].to(found.device, non_blocking=True)
        cosine = nn.functional.cosine_similarity(found.detach() + mean, batch["clap"] + mean, dim=-1).mean()
        return loss, {"cosine": cosine}

    def write_part(self, folder: Path) -> None:
        """``mappers/regression`` as the bundle lays it out, the means folded in. Raises SaveError."""
        network = dict(self.recipe.network) | {
            "clip_size": self.words.seen.shape[1],
            "clap_size": self.words.heard.shape[1],
        }
        trained: Mapping[str, Any] = {
            "kind": "text",
            "size": self._size,
            "captions": len(self.words.seen),
            "variance": self._variance,
            "means": "of pictures and sounds" if self.words.picture is not None else "of words",
            "parameters": trainable(self.network),
        }
        config = spaces(self.words.clip_space, self.words.clap_space) | {
            "network": network,
            "trained": trained,
        }
        fold(self.network, self.words.picture, self.words.sound, self._means)
        write_mapper(folder, config, self.network)
        if self._into is not None:
            put_into(self._into, folder, "mappers/regression")


@torch.no_grad()
def fold(
    network: RegressionNetwork, picture: Tensor | None, sound: Tensor | None, means: tuple[Tensor, Tensor]
) -> None:
    """Makes a network for centred rows one for rows as they come: W (x - m) + b is W x + (b - W m), and the
    sounds' mean is added at the end. Changes it in place.
    """
    weight = network.rise.weight
    network.rise.bias.sub_(weight @ (means[0] if picture is None else picture).to(weight))
    network.fall.bias.add_((means[1] if sound is None else sound).to(weight))


def task(work: Path, settings: Any) -> TextTask:
    """The fit on the words of ``settings.model``'s towers, else on those of the work folder's.

    Raises BadInput, ModelMissing, ModelRefused.
    """
    from .text_sources import bundle_words, world_words

    tiny = bool(getattr(settings, "tiny", False))
    model = getattr(settings, "model", None)
    data, variance = getattr(settings, "data", None), getattr(settings, "variance", None)
    words = bundle_words(model, data) if model else world_words(work, data)
    return TextTask(
        words,
        size=getattr(settings, "size", "starter"),
        seed=int(getattr(settings, "seed", 0)),
        tiny=tiny,
        variance=VARIANCE if variance is None else float(variance),
        into=getattr(settings, "into", None),
    )


def mean_of(rows: Tensor) -> Tensor:
    """(N, C) rows of any length -> (C,) the mean of their directions."""
    return normalize(rows.float(), dim=-1).mean(0)
