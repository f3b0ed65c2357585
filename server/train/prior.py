# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior from words to pictures, both in CLIP's space: the diffusion prior that CLIPSonic asks when a
sound is wanted from words alone (Dong et al. 2023, arXiv:2306.09635), after Ramesh et al. 2022.

It learns from shots that have pictures and words: one caption of a shot is the condition, one of its frames
the target, drawn anew each time. No sound takes part. The network is the lean class of the generative mapper.
The world's shots are such; so are the embeddings of one's own videos, whose labels are their captions.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput
from ..models.bundle import Bundle, SpaceId, open_bundle
from ..models.bundle_parts import TEXT_PRIOR
from ..models.clip import ClipEncoder
from ..models.prior import GenerativePrior
from . import features
from .into import check_clip, put_into
from .loop import Batch
from .mapper import Recipe, build, prior_loss, trainable, write_mapper
from .pairs import Pairs, read_pairs
from .settings import Settings
from .world_pairs import TRAIN, grouped, space_of

NAME = "prior"
DEFAULT_STEPS = 3000
NEEDS = ("world", "clip", "clap")
RECIPE = Recipe(
    network={"layers": 4, "heads": 4, "head_size": 32},
    rate=1e-3,
    weight_decay=1e-2,
    ema=0.999,
    warmup=100,
    batch=64,
    drop=0.1,
    dropout=0.05,
    noise=0.2,
    steps=16,
)
_TINY = {"layers": 1, "heads": 2, "head_size": 8}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captioned:
    """Pictures and what is said of them, as CLIP's rows.

    pictures: (S, F, C) unit rows of the frames of S shots; texts: (U, C) unit rows of all captions;
    ``captions[i]``: which of them are shot ``i``'s; ``families[i]``: what it shows.
    """

    pictures: Tensor
    texts: Tensor
    captions: tuple[tuple[int, ...], ...]
    families: tuple[str, ...]
    space: SpaceId

    def __len__(self) -> int:
        return len(self.pictures)

    def some(self, most: int) -> Captioned:
        """At most so many shots, spread evenly over all."""
        kept = [place * len(self) // min(most, len(self)) for place in range(min(most, len(self)))]
        return replace(
            self,
            pictures=self.pictures[kept],
            captions=tuple(self.captions[shot] for shot in kept),
            families=tuple(self.families[shot] for shot in kept),
        )


class PriorTask:
    """The prior's training, as ``loop.train`` takes it."""

    name = NAME

    def __init__(
        self, data: Captioned, chosen: Recipe = RECIPE, *, seed: int = 0, into: Path | None = None
    ) -> None:
        """``into``: a bundle that gets the finished part. Raises BadInput when no shot has both a picture and
        words, ModelRefused when they are of another CLIP than that bundle's.
        """
        if not len(data):
            raise BadInput("No shot has pictures and words; make some with: footfall train world")
        if into is not None:
            check_clip(into, data.space)
        self._into = into
        self.data, self.recipe, self._seed = data, chosen, seed
        size = data.pictures.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build("generative", chosen.network, (size, size), chosen.dropout)
        assert isinstance(network, GenerativePrior)
        self.network = network
        self.players = (chosen.player(NAME, network, self.loss),)

    def config(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        return {
            "seed": self._seed,
            "recipe": self.recipe.said(),
            "shots": len(self.data),
            "captions": len(self.data.texts),
            "clip": asdict(self.data.space),
        }

    def batch(self, step: int) -> Batch:
        """``words`` (B, C) rows of captions with noise, ``picture`` (B, C) unit rows of a frame of the same
        shots; by seed and step alone.
        """
        draw = np.random.default_rng((self._seed, step))
        shots = draw.integers(len(self.data), size=self.recipe.batch)
        frames = draw.integers(self.data.pictures.shape[1], size=self.recipe.batch)
        words = self.data.texts[[int(draw.choice(self.data.captions[shot])) for shot in shots]]
        noise = torch.from_numpy(draw.standard_normal(words.shape, np.float32))
        words = words + self.recipe.noise / words.shape[1] ** 0.5 * noise
        return {"words": words, "picture": self.data.pictures[shots, frames]}

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The generative mapper's, from another condition to another target."""
        rows = {"clip": batch["words"], "clap": batch["picture"]}
        return prior_loss(self.network, rows, generator, self.recipe.drop)

    def write_part(self, folder: Path) -> None:
        """``text_prior`` as the bundle lays it out. Raises SaveError."""
        size = self.data.pictures.shape[-1]
        config = {
            "clip": asdict(self.data.space),
            "network": dict(self.recipe.network) | {"clip_size": size, "size": size},
            "steps": self.recipe.steps,
            "trained": {
                "shots": len(self.data),
                "captions": len(self.data.texts),
                "parameters": trainable(self.network),
            },
        }
        write_mapper(folder, config, self.network)
        if self._into is not None:
            put_into(self._into, folder, TEXT_PRIOR)


def task(work: Path, settings: Settings) -> PriorTask:
    """Raises BadInput when no shot has pictures and words, ModelMissing when CLIP or CLAP is not trained yet,
    ModelRefused.
    """
    data, model = getattr(settings, "data", None), getattr(settings, "model", None)
    if (data is None) != (model is None):
        raise BadInput(
            "--data needs --model, the model that the videos were embedded with, and it needs --data."
        )
    found = labelled(read_pairs(data), open_bundle(model)) if data and model else captioned(work, TRAIN)
    chosen = replace(RECIPE, network=_TINY, batch=8, ema=0.9, steps=4, warmup=2) if settings.tiny else RECIPE
    return PriorTask(found, chosen, seed=settings.seed, into=getattr(settings, "into", None))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``footfall train prior`` that no other part has."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="embeddings of footfall embed with labels, not the world's"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="with --data: the model that they were made with"
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="a model's folder that gets the prior once it is finished"
    )


def captioned(work: Path, split: str) -> Captioned:
    """The shots of a split that have pictures. Makes the features first, if missing or stale.

    Raises BadInput, ModelMissing.
    """
    features.make(work, (split,), ("clip", "clap"))  # CLAP's say which captions a shot has
    found = features.load(work, split, ("clip", "clap"))
    seen, numbers = grouped(found.pictures, found.start)
    said = [found.captions[number] for number in numbers]
    used = sorted({place for places in said for place in places})
    order = {place: number for number, place in enumerate(used)}
    texts = features.clip_texts(work, [found.words[place] for place in used])
    return Captioned(
        pictures=normalize(seen.float(), dim=-1),
        texts=normalize(texts, dim=-1),
        captions=tuple(tuple(order[place] for place in places) for places in said),
        families=tuple(found.families[number] for number in numbers),
        space=space_of(work, "clip"),
    )


def labelled(pairs: Pairs, bundle: Bundle) -> Captioned:
    """The videos that are not held out and have a label, which is their caption.

    Raises ModelRefused when ``bundle`` has another CLIP than the one that saw them.
    """
    check_clip(bundle.root, pairs.clip_space)
    known, _ = pairs.parted()
    numbers = [number for number in range(len(known)) if known.row(number).label.strip()]
    words = sorted({known.row(number).label for number in numbers})
    place = {text: index for index, text in enumerate(words)}
    texts = ClipEncoder.load(bundle, torch.device("cpu"), torch.float32).encode_text(words)
    said = tuple(known.row(number).label for number in numbers)
    return Captioned(
        pictures=normalize(known.take(numbers)[0], dim=-1),
        texts=normalize(texts, dim=-1),
        captions=tuple((place[text],) for text in said),
        families=said,
        space=pairs.clip_space,
    )
