# SPDX-License-Identifier: GPL-3.0-or-later
"""V2A-Mapper's training (Wang et al., AAAI 2024, arXiv:2308.09300): from CLIP's pictures to CLAP's sounds.

Three kinds: ``regression`` (mean squared error), ``generative`` (a diffusion prior that predicts the target)
and ``text`` (no pair at all, see text_fit.py). Two sizes: ``paper``, and ``starter``, which fits into a small
bundle. The prior's settings are those of the public network whose parameter count the paper publishes; what
the paper does not say (batch, steps, which frames) is said here and in the part's configuration.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput
from ..models.mapper import RegressionNetwork, spaces
from ..models.prior import TRAIN_STEPS, GenerativePrior, signal_power
from .checkpoints import full_disk
from .into import check_fits, put_into
from .loop import Batch, Player
from .pairs import Pairs, read_pairs, write_whole
from .seats import Loss
from .world_pairs import world_pairs

if TYPE_CHECKING:
    from .text_fit import TextTask

KINDS = ("regression", "generative", "text")
SIZES = ("starter", "paper")
DEFAULT_STEPS = 4000
NEEDS = ("world", "clip", "clap")
FRAMES = ("some", "all")
PUBLISHED_PARAMETERS = 48.83e6  # of the generative mapper, trained, as its authors give them


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one mapper is trained. ``network``: its sizes beyond those of the spaces. ``ema`` None: no average.

    ``drop``: share of the conditions that are left out, so that guidance can be tried; ``clip``: largest norm
    of the gradient; ``frames``: ``all`` of a clip count each time, or ``some`` (a run of them, drawn anew),
    so that any number will do later; ``noise``: deviation of the noise on the condition, as a share of its
    length; ``steps``: of sampling; ``draws``: how many sampled rows are averaged.
    """

    network: Mapping[str, int]
    rate: float
    weight_decay: float
    ema: float | None
    warmup: int
    batch: int
    drop: float = 0.0
    dropout: float = 0.0
    clip: float = 1.0
    frames: str = "all"
    noise: float = 0.0
    steps: int = 0
    draws: int = 1
    betas: tuple[float, float] = (0.9, 0.999)

    def player(self, name: str, module: nn.Module, loss: Loss) -> Player:
        """``module`` trained by this recipe."""
        return Player(
            name=name,
            module=module,
            loss=loss,
            rate=self.rate,
            betas=self.betas,
            weight_decay=self.weight_decay,
            ema=self.ema,
            warmup=self.warmup,
            clip=self.clip,
        )

    def said(self) -> dict[str, Any]:
        """As a checkpoint keeps it: all but the draws, which change nothing that is learnt."""
        said = asdict(self) | {"network": dict(self.network), "betas": list(self.betas)}
        del said["draws"]
        return said


# Rate, decay, average, warm-up, batch, dropouts, clipping and 64 steps of the public prior's example
# configuration.
_PRIOR = Recipe(
    network={"layers": 15, "heads": 8, "head_size": 64},
    rate=1.1e-4,
    weight_decay=6.02e-2,
    ema=0.9999,
    warmup=50,
    batch=128,
    drop=0.1,
    dropout=0.05,
    clip=0.5,
    steps=GenerativePrior.STEPS,
)
_SMALL_PRIOR = replace(
    _PRIOR,
    network={"layers": 3, "heads": 4, "head_size": 64},
    rate=5e-4,
    weight_decay=1e-2,
    ema=0.999,
    frames="some",
    steps=32,
    draws=8,
)
_MLP = Recipe(
    network={"hidden": 2048}, rate=1e-3, weight_decay=1e-2, ema=0.999, warmup=50, batch=128, frames="all"
)
RECIPES = {
    ("regression", "paper"): _MLP,
    ("regression", "starter"): replace(_MLP, network={"hidden": 512}, batch=256, frames="some", noise=0.05),
    ("generative", "paper"): _PRIOR,
    ("generative", "starter"): _SMALL_PRIOR,
}
_TINY = {"regression": {"hidden": 16}, "generative": {"layers": 1, "heads": 2, "head_size": 8}}


def recipe(kind: str, size: str, *, tiny: bool = False) -> Recipe:
    """Raises BadInput for a kind or size that is none."""
    if (kind, size) not in RECIPES:
        raise BadInput(f"There is no {size[:40]} {kind[:40]} mapper; choose of {KINDS} and of {SIZES}.")
    full = RECIPES[kind, size]
    if not tiny:
        return full
    return replace(
        full, network=_TINY[kind], batch=8, ema=full.ema and 0.9, steps=min(full.steps, 4), warmup=2
    )


def build(kind: str, network: Mapping[str, int], sizes: tuple[int, int], dropout: float = 0.0) -> nn.Module:
    """The mapper's network with its starting weights, drawn from torch's own generator.

    ``sizes``: C of the condition, D of the target.
    """
    if kind == "regression":
        return RegressionNetwork(clip_size=sizes[0], clap_size=sizes[1], **network)
    prior = GenerativePrior(size=sizes[1], clip_size=sizes[0], **network)
    # The class keeps a mean and a deviation of its targets that play no part here (see GenerativePrior).
    for unused in (prior.transformer.clip_mean, prior.transformer.clip_std):
        unused.requires_grad_(False)
    for module in prior.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return prior


def trainable(network: nn.Module) -> int:
    """Number of parameters that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def regression_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean over the batch of the squared distance, which is the mean squared error times D.

    batch: ``clip`` (B, C) conditions, ``clap`` (B, D) unit targets.
    """
    found = network(normalize(batch["clip"], dim=-1)).float()
    loss = (found - batch["clap"]).square().sum(-1).mean()
    return loss, {"cosine": _cosine(found, batch["clap"])}


def prior_loss(
    prior: GenerativePrior, batch: Batch, generator: torch.Generator, drop: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of the target that is predicted from a noisy one, at times drawn evenly.

    A condition that is left out is all zeros, which no picture's is.
    """
    target = batch["clap"] * prior.scale
    time, noise, kept = _drawn(target, generator, drop)
    power = _power(target.device)[time].unsqueeze(-1)
    noisy = power.sqrt() * target + (1.0 - power).sqrt() * noise
    found = prior(noisy, time, normalize(batch["clip"], dim=-1) * kept).float()
    loss = (found - target).square().mean()
    return loss, {"cosine": _cosine(found, target)}


def _drawn(target: Tensor, generator: torch.Generator, drop: float) -> tuple[Tensor, Tensor, Tensor]:
    """Times (B,), noise (B, D) and which conditions stay (B, 1), from wherever the generator lives."""
    count, home = len(target), generator.device
    time = torch.randint(TRAIN_STEPS, (count,), generator=generator, device=home)
    noise = torch.randn(target.shape, generator=generator, device=home)
    kept = (torch.rand(count, 1, generator=generator, device=home) >= drop).float()
    there = target.device
    return time.to(there), noise.to(there), kept.to(there)


@cache
def _power(device: torch.device) -> Tensor:
    """(1000,) share of the target's power left at each time, kept where it is used."""
    return torch.tensor(signal_power(), dtype=torch.float32, device=device)


def _cosine(found: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cosine_similarity(found.detach(), target, dim=-1).mean()


def some_frames(frames: Tensor, draw: np.random.Generator) -> Tensor:
    """(B, F, C) -> (B, C): the mean of a run of frames of each clip, its length and place drawn anew."""
    count, total = frames.shape[:2]
    lengths = draw.integers(1, total + 1, count)
    starts = (draw.random(count) * (total - lengths + 1)).astype(np.int64)
    places = np.arange(total)
    weights = (places >= starts[:, None]) & (places < (starts + lengths)[:, None])
    shares = torch.from_numpy((weights / lengths[:, None]).astype(np.float32))
    return torch.einsum("bf,bfc->bc", shares, frames)


class MapperTask:
    """One mapper's training, as ``loop.train`` takes it. ``held_out`` are the pairs that it never sees."""

    def __init__(
        self,
        kind: str,
        chosen: Recipe,
        pairs: Pairs,
        *,
        seed: int = 0,
        size: str = "starter",
        into: Path | None = None,
    ) -> None:
        """``into``: a bundle that gets the finished part. Raises BadInput when there is nothing to train on,
        ModelRefused when the pairs are of other spaces than that bundle's.
        """
        if into is not None:
            check_fits(into, pairs.clip_space, pairs.clap_space)
        self._into = into
        self.name = f"mapper-{kind}"
        self.kind, self.recipe, self.size, self._seed = kind, chosen, size, seed
        self.pairs, self.held_out = pairs.parted()
        if not len(self.pairs):
            raise BadInput("There are no pairs to train a mapper on; embed more videos, or build the world.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = build(kind, chosen.network, pairs.sizes, chosen.dropout)
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self.players = (chosen.player("mapper", self.network, self.loss),)

    def config(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        return {
            "kind": self.kind,
            "size": self.size,
            "seed": self._seed,
            "recipe": self.recipe.said(),
            "sizes": list(self.pairs.sizes),
            "pairs": len(self.pairs),
            **spaces(self.pairs.clip_space, self.pairs.clap_space),
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        """``clip`` (B, C) mean of a clip's frames as CLIP gave them, ``clap`` (B, D) unit; by seed and step
        alone.
        """
        draw = np.random.default_rng((self._seed, step))
        frames, heard = self.pairs.take(self._numbers(step))
        seen = some_frames(frames, draw) if self.recipe.frames == "some" else frames.mean(1)
        if self.recipe.noise:
            noise = torch.from_numpy(draw.standard_normal(seen.shape, np.float32))
            share = self.recipe.noise * seen.norm(dim=-1, keepdim=True) / seen.shape[-1] ** 0.5
            seen = seen + noise * share
        return {"clip": seen, "clap": heard}

    def _numbers(self, step: int) -> np.ndarray:
        """Every pair once before any comes again; the order is another one in each round."""
        total, size = len(self.pairs), self.recipe.batch
        places = np.arange(step * size, (step + 1) * size)
        rounds = places // total
        numbers = np.empty(size, np.int64)
        for epoch in np.unique(rounds):
            if self._epoch[0] != epoch:
                order = np.random.default_rng((self._seed, 1, int(epoch))).permutation(total)
                self._epoch = (int(epoch), order)
            here = rounds == epoch
            numbers[here] = self._epoch[1][places[here] % total]
        return numbers

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if self.kind == "regression":
            return regression_loss(self.network, batch)
        assert isinstance(self.network, GenerativePrior)
        return prior_loss(self.network, batch, generator, self.recipe.drop)

    def write_part(self, folder: Path) -> None:
        """``mappers/KIND`` as the bundle lays it out. Raises SaveError."""
        clip_size, clap_size = self.pairs.sizes
        network = dict(self.recipe.network)
        if self.kind == "regression":
            network |= {"clip_size": clip_size, "clap_size": clap_size}
        else:
            network |= {"clip_size": clip_size, "size": clap_size}
        trained = {"kind": self.kind, "size": self.size, "pairs": len(self.pairs)}
        trained["parameters"] = trainable(self.network)
        config: dict[str, Any] = spaces(self.pairs.clip_space, self.pairs.clap_space)
        config |= {"network": network, "trained": trained}
        if self.kind == "generative":
            config |= {"steps": self.recipe.steps, "draws": self.recipe.draws}
        write_mapper(folder, config, self.network)
        if self._into is not None:
            put_into(self._into, folder, f"mappers/{self.kind}")


def write_mapper(folder: Path, config: Mapping[str, Any], network: nn.Module) -> None:
    """``config.json`` and ``model.safetensors`` in float16, which costs nothing. Raises SaveError."""
    state = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    try:
        write_whole(folder / "model.safetensors", save(state, metadata={"format": "pt"}))
        write_whole(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    except OSError as error:
        raise full_disk(folder, error, "The training itself is kept.") from error


def task(work: Path, settings: Any) -> MapperTask | TextTask:
    """The training that ``settings`` asks for (``add_arguments``, and ``seed`` and ``tiny``).

    Raises BadInput when there is no data, ModelMissing when CLIP or CLAP is not trained yet.
    """
    kind, size = getattr(settings, "kind", KINDS[0]), getattr(settings, "size", SIZES[0])
    tiny, seed = bool(getattr(settings, "tiny", False)), int(getattr(settings, "seed", 0))
    data = getattr(settings, "data", None)
    if kind == "text":
        from . import text_fit

        return text_fit.task(work, settings)
    chosen = recipe(kind, size, tiny=tiny)
    frames = getattr(settings, "frames", None)
    if frames:
        chosen = replace(chosen, frames=frames)
    pairs = read_pairs(data) if data else world_pairs(work, "train")
    return MapperTask(kind, chosen, pairs, seed=seed, size=size, into=getattr(settings, "into", None))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``footfall train mapper`` that no other part has."""
    parser.add_argument("--kind", choices=KINDS, default="regression", help="which mapper (regression)")
    parser.add_argument("--size", choices=SIZES, default="starter", help="small, or the paper's (starter)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="embeddings of footfall embed, not the world's"
    )
    parser.add_argument("--frames", choices=FRAMES, help="of each clip: a run drawn anew, or all")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="text: the bundle whose words are read, not the work folder's",
    )
    parser.add_argument(
        "--variance", type=float, metavar="V", help="text: of the strongest noise on the words (0.016)"
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="a model's folder that gets the mapper once it is finished"
    )
