# SPDX-License-Identifier: GPL-3.0-or-later
"""V2A-Mapper (Wang et al., AAAI 2024): from a CLIP image embedding to a CLAP audio embedding.

Three kinds behind one face: ``bridge`` needs no training (softmax over the caption bank), ``regression`` is
an MLP, ``generative`` a diffusion prior. A trained mapper lies in ``mappers/KIND/`` of its bundle as
``config.json`` and ``model.safetensors``; the configuration names the two spaces that it joins, by name and
hash, and any other pair is refused, because a wrong pair raises no error and only sounds wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelMissing, ModelRefused
from .bundle import Bundle, SpaceId
from .captions import Side
from .device import memory_guard
from .prior import TRAIN_STEPS, GenerativePrior
from .weights import load_weights

BRIDGE_TEMPERATURE = 100.0  # CLIP's own logit scale
HIDDEN = 2048
_MOST_DRAWS = 64
PREFERRED = ("generative", "regression", "bridge")  # what ``auto`` takes first
# What a configuration may say of its network; how large, says bounds.py.
_REGRESSION = frozenset({"clip_size", "clap_size", "hidden"})
_GENERATIVE = frozenset({"size", "clip_size", "layers", "heads", "head_size"})

Progress = Callable[[float], None]


class Mapper(Protocol):
    """``name`` is one of messages.MAPPERS."""

    name: str

    def map(self, clip_rows: Tensor, seed: int, progress: Progress | None = None) -> Tensor:
        """clip_rows: (W, C) CLIP embeddings of any length, on any device -> (W, D) unit rows of CLAP's audio
        space, float32 on the mapper's device. ``progress`` is called with 0..1, and may raise to stop.
        """


class Bridge:
    """w = softmax(100 A v), e = normalise(B^T w) over the bank's unit rows A (``seen``, CLIP text) and B
    (``heard``, CLAP text).
    """

    name = "bridge"

    def __init__(self, seen: Side, heard: Side) -> None:
        self._seen = seen.rows
        self._heard = heard.rows

    def map(self, clip_rows: Tensor, seed: int, progress: Progress | None = None) -> Tensor:
        unit = normalize(clip_rows.detach().to(self._seen), dim=-1)
        weights = torch.softmax(BRIDGE_TEMPERATURE * (unit @ self._seen.T), dim=-1)
        return normalize(weights @ self._heard, dim=-1)


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

    @torch.no_grad()
    def map(self, clip_rows: Tensor, seed: int, progress: Progress | None = None) -> Tensor:
        weight = self._network.rise.weight
        return normalize(self._network(normalize(clip_rows.to(weight), dim=-1)), dim=-1)


class Generative:
    name = "generative"

    def __init__(self, prior: GenerativePrior, steps: int, draws: int = 1) -> None:
        self._prior = prior
        self._steps = steps
        self._draws = draws

    @torch.no_grad()
    def map(self, clip_rows: Tensor, seed: int, progress: Progress | None = None) -> Tensor:
        weight = self._prior.transformer.proj_in.weight
        unit = normalize(clip_rows.to(weight), dim=-1)
        with memory_guard(weight.device, "the generative mapper"):
            return self._prior.sample(
                unit, seed=seed, steps=self._steps, draws=self._draws, progress=progress
            )


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


def load_mapper(bundle: Bundle, name: str, sizes: tuple[int, int], device: torch.device) -> Mapper:
    """A trained mapper of this bundle in float32, which is small and keeps its result the same on every
    device. sizes: numbers in a row of CLIP's and of CLAP's.

    Raises ModelMissing, ModelRefused, OutOfMemory.
    """
    folder = f"mappers/{name}"
    config = bundle.json(f"{folder}/config.json")
    check_spaces(config, bundle)
    if name == "generative":
        prior, steps = load_prior(bundle, folder, config, device)
        check_sizes(bundle, folder, (prior.clip_size, prior.size), sizes)
        draws = config.get("draws", 1)
        if type(draws) is not int or not 1 <= draws <= _MOST_DRAWS:
            raise _nonsense(bundle, folder, f"draws: {draws!r}"[:200])
        return Generative(prior, steps, draws)
    network = _sizes(bundle, folder, config, _REGRESSION, needed=("clip_size", "clap_size"))
    check_sizes(bundle, folder, (network["clip_size"], network["clap_size"]), sizes)
    path = bundle.weights(folder)
    with memory_guard(device, "the regression mapper"):
        return Regression(load_weights(lambda: RegressionNetwork(**network), path, device=device))


def load_prior(
    bundle: Bundle, folder: str, config: Mapping[str, Any], device: torch.device
) -> tuple[GenerativePrior, int]:
    """The network in ``folder`` and its steps. Raises ModelMissing, ModelRefused, OutOfMemory."""
    sizes = _sizes(bundle, folder, config, _GENERATIVE)
    steps = config.get("steps", GenerativePrior.STEPS)
    if type(steps) is not int or not 1 <= steps <= TRAIN_STEPS:
        raise _nonsense(bundle, folder, f"steps: {steps!r}"[:200])
    path = bundle.weights(folder)
    with memory_guard(device, "the generative mapper"):
        return load_weights(lambda: GenerativePrior(**sizes), path, device=device), steps


def _sizes(
    bundle: Bundle,
    folder: str,
    config: Mapping[str, Any],
    known: frozenset[str],
    needed: tuple[str, ...] = (),
) -> dict[str, int]:
    """The network's sizes out of a configuration, each known. Raises ModelRefused."""
    network = config.get("network")
    if not isinstance(network, dict) or not set(needed) <= set(network) <= known:
        raise _nonsense(bundle, folder, f"network: {network!r}"[:200])
    for name, size in network.items():
        if type(size) is not int or size < 1:
            raise _nonsense(bundle, folder, f"{name}: {size!r}"[:200])
    return dict(network)


def check_sizes(bundle: Bundle, folder: str, own: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Raises ModelRefused."""
    if own != given:
        raise _nonsense(bundle, folder, f"rows of {own} numbers, not of {given}")


def _nonsense(bundle: Bundle, folder: str, detail: str) -> ModelRefused:
    return ModelRefused(
        f"{folder} of the model {bundle.title} has a damaged configuration; pull the model again.",
        detail,
    )


def check_spaces(config: Mapping[str, Any], bundle: Bundle) -> None:
    """Refuses a mapper made for other CLIP or CLAP weights than the bundle's. Raises ModelRefused."""
    check_space(config, "clip", bundle.clip_space, bundle)
    check_space(config, "clap", bundle.clap_space, bundle)


def check_space(
    config: Mapping[str, Any],
    side: str,
    space: SpaceId,
    bundle: Bundle,
    what: str = "mapper",
    instead: str = "use the bridge mapper",
) -> None:
    """Refuses ``what`` made for another ``clip`` or ``clap`` than ``space``. Raises ModelRefused."""
    said = config.get(side)
    if isinstance(said, dict) and said.get("sha256") == space.sha256:
        return
    name = said.get("name", "unnamed") if isinstance(said, dict) else "unnamed"
    raise ModelRefused(
        f"This {what} was made for another {side.upper()} ({str(name)[:60]}) than the one in "
        f"{bundle.title} ({space.name}); {instead}, or one made for this model."
    )


def spaces(clip: SpaceId, clap: SpaceId) -> dict[str, dict[str, str]]:
    """What a mapper's configuration says of its two spaces (``check_spaces`` reads it)."""
    return {
        "clip": {"name": clip.name, "sha256": clip.sha256},
        "clap": {"name": clap.name, "sha256": clap.sha256},
    }
