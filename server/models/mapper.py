# SPDX-License-Identifier: GPL-3.0-or-later
"""V2A-Mapper (Wang et al., AAAI 2024): from a CLIP image embedding to a CLAP audio embedding.

Three kinds behind one face: ``bridge`` needs no training (softmax over the caption bank), ``regression`` is
an MLP, ``generative`` a diffusion prior. A trained mapper lies in ``mappers/KIND/`` of its bundle as
``config.json`` and ``model.safetensors``; the configuration names the two spaces that it joins, by name and
hash, and any other pair is refused, because a wrong pair raises no error and only sounds wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelMissing, ModelRefused
from .bundle import Bundle, SpaceId
from .captions import Bank
from .prior import GenerativePrior
from .weights import load_weights

BRIDGE_TEMPERATURE = 100.0  # CLIP's own logit scale
HIDDEN = 2048
PREFERRED = ("generative", "regression", "bridge")  # what ``auto`` takes first


class Mapper(Protocol):
    """``name`` is one of messages.MAPPERS."""

    name: str

    def map(self, clip_rows: Tensor, seed: int) -> Tensor:
        """clip_rows: (W, C) image embeddings, not normalised -> (W, D) unit rows in CLAP's audio space."""


class Bridge:
    """w = softmax(100 A v), e = normalise(B^T w) over the bank's unit rows A (CLIP text) and B (CLAP
    text).
    """

    name = "bridge"

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def map(self, clip_rows: Tensor, seed: int) -> Tensor:
        unit = normalize(clip_rows.float(), dim=-1)
        weights = torch.softmax(BRIDGE_TEMPERATURE * unit @ self._bank.clip.T, dim=-1)
        return normalize(weights @ self._bank.clap, dim=-1)


class RegressionNetwork(nn.Module):
    """Linear C -> hidden, SiLU, LayerNorm, Linear hidden -> D. 2,103,808 parameters at 512, 2048, 512."""

    def __init__(self, clip_size: int, clap_size: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.rise = nn.Linear(clip_size, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.fall = nn.Linear(hidden, clap_size)

    def forward(self, clip_rows: Tensor) -> Tensor:
        """(W, C) unit rows -> (W, D), not normalised: the loss sees the plain output."""
        return self.fall(self.norm(nn.functional.silu(self.rise(clip_rows))))


class Regression:
    name = "regression"

    def __init__(self, network: RegressionNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def map(self, clip_rows: Tensor, seed: int) -> Tensor:
        return normalize(self._network(normalize(clip_rows.float(), dim=-1)), dim=-1)


class Generative:
    name = "generative"

    def __init__(self, prior: GenerativePrior, steps: int) -> None:
        self._prior = prior
        self._steps = steps

    @torch.inference_mode()
    def map(self, clip_rows: Tensor, seed: int) -> Tensor:
        return self._prior.sample(normalize(clip_rows.float(), dim=-1), seed=seed, steps=self._steps)


def choose(bundle: Bundle, kind: str) -> str:
    """The mapper that ``kind`` means for this bundle; ``auto`` is the best that it has.

    Raises ModelMissing.
    """
    available = bundle.mappers
    if kind == "auto":
        return next(name for name in PREFERRED if name in available)
    if kind not in available:
        raise ModelMissing(
            f"The model {bundle.title} has no {kind} mapper; choose one of: {', '.join(available)}."
        )
    return kind


def load_mapper(bundle: Bundle, kind: str, bank: Bank, device: torch.device) -> Mapper:
    """The mapper of this bundle in float32, which is small and keeps its result the same on every device.

    Raises ModelMissing, ModelRefused.
    """
    name = choose(bundle, kind)
    if name == "bridge":
        return Bridge(bank.to(device))
    config = bundle.json(f"mappers/{name}/config.json")
    check_spaces(config, bundle)
    path = bundle.weights(f"mappers/{name}")
    try:
        network = dict(config["network"])
        if name == "regression":
            return Regression(load_weights(lambda: RegressionNetwork(**network), path, device=device))
        prior = load_weights(lambda: GenerativePrior(**network), path, device=device)
        return Generative(prior, int(config.get("steps", GenerativePrior.STEPS)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(
            f"The {name} mapper of {bundle.title} has a configuration that makes no sense; pull it again.",
            repr(error),
        ) from error


def check_spaces(config: Mapping[str, Any], bundle: Bundle) -> None:
    """Refuses a mapper made for other CLIP or CLAP weights than the bundle's. Raises ModelRefused."""
    for side, space in (("clip", bundle.clip_space), ("clap", bundle.clap_space)):
        said = config.get(side)
        if not isinstance(said, dict) or said.get("sha256") != space.sha256:
            name = said.get("name", "unnamed") if isinstance(said, dict) else "unnamed"
            raise ModelRefused(
                f"This mapper was made for another {side.upper()} ({str(name)[:60]}) than the one in "
                f"{bundle.title} ({space.name}); use the bridge mapper, or one made for this model."
            )


def spaces(clip: SpaceId, clap: SpaceId) -> dict[str, dict[str, str]]:
    """What a mapper's configuration says of its two spaces (``check_spaces`` reads it)."""
    return {
        "clip": {"name": clip.name, "sha256": clip.sha256},
        "clap": {"name": clap.name, "sha256": clap.sha256},
    }
