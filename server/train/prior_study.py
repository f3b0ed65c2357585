# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prior from words to pictures is worth on shots that it never saw, beside simpler ways.

Each held-out shot is asked for by one of its captions, and what comes is compared with its frames: how near
(cosine with its middle frame), whether that frame is found among those of all shots (retrieval), whether the
nearest shot shows the right kind of thing, and how the whole set lies to the set of true frames (Frechet
distance, distance of the means). Beside the prior: the words as they are, the words moved by the difference
of the means, a ridge regression on the prior's own training pairs, and another frame of the same shot, which
is as near as anything that has seen it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput, ModelMissing, ModelRefused
from ..models.prior import GenerativePrior
from ..models.weights import load_weights
from .checkpoints import full_disk
from .loop import PART
from .mapped import sampled, scores
from .pairs import write_whole
from .prior import NAME, Captioned

STEPS = (1, 2, 4, 8, 16, 32, 64)
GUIDANCE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
RIDGE = 10.0
FEWEST = 2
WORDS, FRAME = "the words as they are", "another frame of the shot"

Table = list[dict[str, Any]]
Told = Callable[[str, float], None]  # (what is measured, how much is done)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPrior:
    network: GenerativePrior
    steps: int
    clip_sha256: str


def work_prior(work: Path) -> TrainedPrior:
    """The finished prior of a work folder. Raises ModelMissing, ModelRefused."""
    folder = work / NAME / PART
    try:
        config = json.loads((folder / "config.json").read_bytes())
        sizes, steps, sha256 = dict(config["network"]), int(config["steps"]), str(config["clip"]["sha256"])
    except OSError as error:
        raise ModelMissing(
            f"There is no finished prior in {folder}; train it first with: footfall train {NAME}", str(error)
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelRefused(f"The prior in {folder} has a damaged configuration.", repr(error)) from error
    network = load_weights(lambda: GenerativePrior(**sizes), folder / "model.safetensors")
    return TrainedPrior(network=network, steps=steps, clip_sha256=sha256)


def study_prior(
    prior: TrainedPrior,
    learnt: Captioned,
    held_out: Captioned,
    out: Path,
    *,
    seed: int = 0,
    steps: Sequence[int] = STEPS,
    guidance: Sequence[float] = GUIDANCE,
    told: Told = lambda what, done: None,
) -> dict[str, Any]:
    """Measures the prior and writes prior.json and prior.md into ``out``. Returns what prior.json holds.

    Raises BadInput for less than two held-out shots, ModelRefused for another CLIP's, SaveError.
    """
    if len(held_out) < FEWEST:
        raise BadInput("The study needs at least two held-out shots with pictures and words; make more.")
    if {learnt.space.sha256, held_out.space.sha256} != {prior.clip_sha256}:
        raise ModelRefused(f"The prior was made for another CLIP; train it again with: footfall train {NAME}")
    words = asked(held_out, seed)
    told("ways", 0.0)
    report: dict[str, Any] = {
        "shots": len(held_out),
        "seed": seed,
        "ways": _ways(prior, learnt, held_out, words, seed),
    }
    sweeps: list[tuple[dict[str, float], int, float]] = [({"steps": count}, count, 1.0) for count in steps]
    sweeps += [({"guidance": strength}, prior.steps, strength) for strength in guidance]
    table: Table = []
    for number, (said, count, strength) in enumerate(sweeps):
        told("sampling", (number + 1) / (len(sweeps) + 1))
        found = _sampled(prior, words, seed, count, strength)
        table.append(said | measured(found, held_out))
    report["steps"] = [row for row in table if "steps" in row]
    report["guidance"] = [row for row in table if "guidance" in row]
    report["closed"] = closed(report["ways"])
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "prior.json", (json.dumps(report, indent=2) + "\n").encode())
        write_whole(out / "prior.md", markdown(report).encode())
    except OSError as error:
        raise full_disk(out, error, "The prior is untouched.") from error
    told("done", 1.0)
    return report


def asked(data: Captioned, seed: int) -> Tensor:
    """(S, C) one caption of each shot, always the same for a seed."""
    draw = np.random.default_rng(seed)
    return data.texts[[int(draw.choice(captions)) for captions in data.captions]]


def measured(found: Tensor, data: Captioned) -> dict[str, float]:
    """(S, C) unit rows against the frames of the shots that they were asked for.

    ``scores`` against the middle frames, and ``family``: share whose nearest shot is of the right family;
    ``centres``: distance of the two means.
    """
    true = data.pictures[:, data.pictures.shape[1] // 2]
    nearest = (found @ normalize(data.pictures.mean(1), dim=-1).T).argmax(1).tolist()
    right = [data.families[place] == data.families[shot] for shot, place in enumerate(nearest)]
    apart = (found.double().mean(0) - true.double().mean(0)).norm()
    return scores(found, true) | {"family": sum(right) / len(right), "centres": float(apart)}


def ridge(learnt: Captioned) -> Callable[[Tensor], Tensor]:
    """From words to pictures by the linear map that fits the training pairs best."""
    places = [(shot, caption) for shot, captions in enumerate(learnt.captions) for caption in captions]
    words = learnt.texts[[caption for _, caption in places]]
    seen = learnt.pictures.mean(1)[[shot for shot, _ in places]]
    means = words.mean(0), seen.mean(0)
    centred = words - means[0]
    square = centred.T @ centred + RIDGE * torch.eye(words.shape[1])
    weights = torch.linalg.solve(square, centred.T @ (seen - means[1]))
    return lambda rows: normalize((rows - means[0]) @ weights + means[1], dim=-1)


def _ways(prior: TrainedPrior, learnt: Captioned, held_out: Captioned, words: Tensor, seed: int) -> Table:
    moved = learnt.pictures.mean((0, 1)) - learnt.texts.mean(0)
    ways: Mapping[str, Tensor] = {
        WORDS: words,
        "the words, moved by the means": normalize(words + moved, dim=-1),
        "ridge regression": ridge(learnt)(words),
        NAME: _sampled(prior, words, seed, prior.steps, 1.0),
        FRAME: held_out.pictures[:, 0],
    }
    return [{"way": way} | measured(rows, held_out) for way, rows in ways.items()]


@torch.no_grad()
def _sampled(prior: TrainedPrior, words: Tensor, seed: int, steps: int, guidance: float) -> Tensor:
    return sampled(prior.network, words, seed=seed, steps=steps, guidance=guidance)


def closed(ways: Table) -> dict[str, float]:
    """Share of the way from the words to another frame of the shot that the prior goes: 1 is all of it."""
    by_name = {row["way"]: row for row in ways}
    words, prior, frame = by_name[WORDS], by_name[NAME], by_name[FRAME]
    return {
        key: (prior[key] - words[key]) / (frame[key] - words[key]) if frame[key] != words[key] else 1.0
        for key in ("cosine", "fd", "centres")
    }


_HEADS = ("cosine", "r1", "r10", "family", "fd", "centres", "spread")


def markdown(report: Mapping[str, Any]) -> str:
    """The report in words and tables."""
    lines = [
        "# From words to pictures",
        "",
        f"{report['shots']} held-out shots, each asked for by one of its captions. Cosine with the shot's "
        "middle frame (with half its 95 % interval), share of shots whose frame is the first or among the "
        "first ten, share whose nearest shot is of the right family, Frechet distance and distance of the "
        "means to the true frames, spread as a share of theirs.",
        "",
    ]
    for key, head in (("ways", "way"), ("steps", "steps"), ("guidance", "guidance")):
        lines += [f"| {head} | {' | '.join(_HEADS)} |", "|---" * (len(_HEADS) + 1) + "|"]
        for row in report[key]:
            cells = [f"{row[name]:.3f}" for name in _HEADS]
            cells[0] += f" ± {row['cosine_half']:.3f}"
            lines.append(f"| {row[head]} | {' | '.join(cells)} |")
        lines.append("")
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report["closed"].items())
    lines.append(f"Of the way from the words to another frame of the shot, the prior goes: {shares}.")
    return "\n".join(lines) + "\n"
