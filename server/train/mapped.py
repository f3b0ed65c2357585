# SPDX-License-Identifier: GPL-3.0-or-later
"""What the study of mappers measures: pure functions from rows of embeddings to numbers, and trained mappers
opened from their own folders.

Rows are float32 on the CPU unless a network is asked; FD and spread are taken in float64.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelMissing, ModelRefused
from ..models.bundle import SpaceId
from ..models.mapper import RegressionNetwork
from ..models.prior import GenerativePrior, reverse_steps
from ..models.weights import load_weights

CONFIDENCE = 1.96  # standard errors on either side: 95 %

Aggregate = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A mapper out of its folder. ``steps``: of sampling, 0 where there is none."""

    name: str
    network: nn.Module
    steps: int
    trained: Mapping[str, Any]

    @property
    def parameters(self) -> int:
        """Numbers that training changed; the prior's class has some more that play no part."""
        unused = ("transformer.clip_mean", "transformer.clip_std")
        return sum(p.numel() for name, p in self.network.named_parameters() if name not in unused)

    @torch.no_grad()
    def map(self, clip_rows: Tensor, *, seed: int = 0, steps: int = 0, guidance: float = 1.0) -> Tensor:
        """(N, C) rows of any length -> (N, D) unit rows on the CPU. Each row has noise of its own, as each
        shot would.
        """
        weight = next(self.network.parameters())
        unit = normalize(clip_rows.to(weight), dim=-1)
        if isinstance(self.network, GenerativePrior):
            return sampled(self.network, unit, seed=seed, steps=steps or self.steps, guidance=guidance).cpu()
        return normalize(self.network(unit).float(), dim=-1).cpu()


def open_mapper(folder: Path, clip: SpaceId, clap: SpaceId, device: torch.device) -> Trained:
    """A mapper as training leaves it, or as it lies in a bundle. Raises ModelMissing, ModelRefused."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        said = config["clip"]["sha256"], config["clap"]["sha256"]
        sizes, steps = dict(config["network"]), int(config.get("steps", 0))
    except OSError as error:
        raise ModelMissing(f"There is no mapper in {folder}; train one first.", str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelRefused(f"The mapper in {folder} has a damaged configuration.", repr(error)) from error
    if said != (clip.sha256, clap.sha256):
        raise ModelRefused(f"The mapper in {folder} was made for other spaces than these pairs are of.")
    path = folder / "model.safetensors"
    name = str(config.get("trained", {}).get("kind", folder.name))
    try:
        if "steps" in config:
            build: Callable[[], nn.Module] = lambda: GenerativePrior(**sizes)  # noqa: E731
        else:
            build = lambda: RegressionNetwork(**sizes)  # noqa: E731
        network = load_weights(build, path, device=device)
    except TypeError as error:
        raise ModelRefused(f"The mapper in {folder} has a damaged configuration.", repr(error)) from error
    return Trained(name=name, network=network, steps=steps, trained=config.get("trained", {}))


def sampled(prior: GenerativePrior, unit: Tensor, *, seed: int, steps: int, guidance: float = 1.0) -> Tensor:
    """(N, C) unit rows -> (N, D) unit rows: ``GenerativePrior.sample`` with noise of its own for each row,
    and classifier-free guidance (Ho and Salimans 2022): 1 is none, 0 forgets the condition.
    """
    device = unit.device
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(len(unit), prior.size, generator=generator).to(device)
    plan = reverse_steps(steps)
    times = torch.tensor([step.time for step in plan]).to(device)
    for time, step in zip(times, plan, strict=True):
        target = prior(sample, time, unit)
        if guidance != 1.0:
            without = prior(sample, time, torch.zeros_like(unit))
            target = without + guidance * (target - without)
        sample = step.target * target + step.sample * sample
        if step.noise:
            noise = torch.randn(len(unit), prior.size, generator=generator).to(device)
            sample = sample + step.noise * noise
    return normalize(sample.float(), dim=-1)


# Frames to one row: (N, F, C) -> (N, C) ------------------------------------------------------------------


def mean_plain(frames: Tensor) -> Tensor:
    """The mean of the rows as CLIP gives them: what the worker does."""
    return frames.mean(1)


def mean_unit(frames: Tensor) -> Tensor:
    return normalize(frames, dim=-1).mean(1)


def first_frame(frames: Tensor) -> Tensor:
    return frames[:, 0]


def middle_frame(frames: Tensor) -> Tensor:
    return frames[:, frames.shape[1] // 2]


def typical_frame(frames: Tensor) -> Tensor:
    """The frame that is most like all others of its clip."""
    unit = normalize(frames, dim=-1)
    likeness = torch.einsum("nfc,nc->nf", unit, unit.mean(1))
    return frames[torch.arange(len(frames)), likeness.argmax(1)]


AGGREGATIONS: Mapping[str, Aggregate] = {
    "mean, as CLIP gives them": mean_plain,
    "mean of unit rows": mean_unit,
    "first frame": first_frame,
    "middle frame": middle_frame,
    "most typical frame": typical_frame,
}


def evenly(frames: Tensor, count: int) -> Tensor:
    """(N, F, C) -> (N, count, C): frames spread evenly over the clip; count <= F."""
    total = frames.shape[1]
    return frames[:, [(2 * index + 1) * total // (2 * count) for index in range(count)]]


# Numbers -------------------------------------------------------------------------------------------------


def scores(found: Tensor, true: Tensor) -> dict[str, float]:
    """Mapped rows against the true sounds' rows, pair by pair (N, D): relevance, fidelity, variety,
    retrieval.

    ``cosine`` with half its 95 % interval; ``fd``: Frechet distance of the two sets; ``spread``: how widely
    found rows scatter, of the true rows' scatter; ``r1``, ``r10``: share of pictures whose own sound is among
    the one or ten nearest; ``chance10`` what guessing gives.
    """
    cosine = (normalize(found, dim=-1) * normalize(true, dim=-1)).sum(-1).double()
    ranks = rank(found, true)
    count = len(true)
    return {
        "cosine": float(cosine.mean()),
        "cosine_half": CONFIDENCE * float(cosine.std()) / math.sqrt(count) if count > 1 else 0.0,
        "fd": frechet(found, true),
        "spread": scatter(found) / max(scatter(true), 1e-12),
        "r1": float((ranks < 1).double().mean()),
        "r10": float((ranks < 10).double().mean()),
        "chance10": min(10, count) / count,
    }


def rank(found: Tensor, true: Tensor) -> Tensor:
    """(N,) how many other sounds lie nearer to a found row than its own; a tie counts against it."""
    table = normalize(found, dim=-1) @ normalize(true, dim=-1).T
    own = table.diagonal().unsqueeze(1)
    return (table >= own).sum(1) - 1


def frechet(one: Tensor, other: Tensor) -> float:
    """Squared Frechet distance of the Gaussians through two sets of rows (Heusel et al. 2017)."""
    left, right = (_factor(rows.double()) for rows in (one, other))
    apart = (one.double().mean(0) - other.double().mean(0)).square().sum()
    common = torch.linalg.svdvals(left @ right.T).sum()  # tr (C1 C2)^(1/2), of the factors' product
    return max(0.0, float(apart + left.square().sum() + right.square().sum() - 2.0 * common))


def _factor(rows: Tensor) -> Tensor:
    """A with A^T A the covariance, and no more rows than columns."""
    centred = (rows - rows.mean(0)) / math.sqrt(max(len(rows) - 1, 1))
    return torch.linalg.qr(centred, mode="r").R if len(rows) > rows.shape[1] else centred


def scatter(rows: Tensor) -> float:
    """Mean squared distance of rows from their mean."""
    return float((rows.double() - rows.double().mean(0)).square().sum(-1).mean())


def gap(seen: Tensor, true: Tensor) -> dict[str, float] | None:
    """How far two sets of unit rows lie apart; None where they have not as many numbers.

    ``pairs``: mean cosine of pairs; ``strangers``: of rows that do not belong together; ``centres``: distance
    of the two means; ``angle``: between them, degrees; ``cone_seen``, ``cone_true``: mean cosine of two rows
    of one set, near 1 for a narrow cone (Liang et al. 2022).
    """
    if seen.shape[1] != true.shape[1]:
        return None
    left, right = normalize(seen, dim=-1).double(), normalize(true, dim=-1).double()
    table, count = left @ right.T, len(left)
    means = left.mean(0), right.mean(0)
    angle = torch.nn.functional.cosine_similarity(means[0], means[1], dim=0).clamp(-1, 1).acos()
    return {
        "pairs": float(table.diagonal().mean()),
        "strangers": float((table.sum() - table.diagonal().sum()) / max(count * (count - 1), 1)),
        "centres": float((means[0] - means[1]).norm()),
        "angle": math.degrees(float(angle)),
        "cone_seen": _cone(left),
        "cone_true": _cone(right),
    }


def _cone(unit: Tensor) -> float:
    count = len(unit)
    return float((unit.sum(0).square().sum() - count) / max(count * (count - 1), 1))


def flat(rows: Tensor, axes: tuple[Tensor, Tensor]) -> Tensor:
    """(N, D) -> (N, 2) along ``principal``'s axes."""
    return (rows - axes[0]) @ axes[1].T


def principal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) -> their mean (D,) and the two directions (2, D) in which they scatter most."""
    mean = rows.mean(0)
    directions = torch.linalg.svd(rows - mean, full_matrices=False).Vh
    short = directions.new_zeros(max(0, 2 - len(directions)), rows.shape[1])
    return mean, torch.cat((directions[:2], short))
