# SPDX-License-Identifier: GPL-3.0-or-later
"""The study of the V2A-Mapper's paper, made anew with one's own mappers and held-out pairs.

The gap between the two spaces before and after mapping, regression against generative, which frames and how
many, steps, guidance, parameters. It judges embeddings: fidelity is FD of mapped rows against those of the
true sounds, relevance their cosine, pair by pair. What the sounds made from them are like, ``footfall eval``
tells.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput
from ..models.prior import GenerativePrior
from . import mapped
from .checkpoints import full_disk
from .mapped import AGGREGATIONS, Trained
from .mapper import PUBLISHED_PARAMETERS
from .pairs import Pairs, write_whole

MOST = 400  # pairs: enough for three digits of a cosine, and minutes on a processor
STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
GUIDANCE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
FEWEST = 2

Told = Callable[[str, float], None]  # (what is measured, how much is done)
Table = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much is measured."""

    most: int = MOST
    steps: Sequence[int] = STEPS
    guidance: Sequence[float] = GUIDANCE
    seed: int = 0


def study(
    pairs: Pairs,
    mappers: Sequence[Trained],
    out: Path,
    scope: Scope | None = None,
    told: Told = lambda what, done: None,
) -> dict[str, Any]:
    """Measures ``mappers`` on held-out ``pairs`` and writes study.json, study.md, study-gap.png and
    study-curves.png into ``out``. Returns what study.json holds.

    Raises BadInput for no mapper or less than two pairs, SaveError.
    """
    from .study_report import curves, markdown, pictures

    scope = scope or Scope()
    if not mappers or len(pairs) < FEWEST:
        raise BadInput("The study needs a trained mapper and at least two held-out pairs; make more of them.")
    some = pairs.some(scope.most, scope.seed)
    frames, true = some.take(range(len(some)))
    seen = _Seen(frames, true, mappers, scope)
    report: dict[str, Any] = {"pairs": len(some), "frames": frames.shape[1], "seed": scope.seed}
    report["spaces"] = {"clip": pairs.clip_space.name, "clap": pairs.clap_space.name}
    parts: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("parameters", seen.parameters),
        ("gap", seen.gap),
        ("mappers", seen.kinds),
        ("aggregation", seen.aggregation),
        ("frame_count", seen.counts),
        ("steps", seen.steps),
        ("guidance", seen.guidance),
    )
    for index, (name, measure) in enumerate(parts):
        told(name.replace("_", " "), index / len(parts))
        report[name] = measure()
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "study.json", (json.dumps(report, indent=2) + "\n").encode())
        write_whole(out / "study.md", markdown(report).encode())
        write_whole(out / "study-gap.png", pictures(seen.panels(), true))
        write_whole(out / "study-curves.png", curves(report))
    except OSError as error:
        raise full_disk(out, error, "The mappers are untouched.") from error
    told("done", 1.0)
    return report


class _Seen:
    """One set of held-out pairs: frames (N, F, C), true (N, D), and what every mapper says of the mean."""

    def __init__(self, frames: Tensor, true: Tensor, mappers: Sequence[Trained], scope: Scope) -> None:
        self._frames, self._true, self._mappers, self._scope = frames, true, mappers, scope
        self._mean = mapped.mean_plain(frames)
        self._found: dict[str, Tensor] = {}
        self._seconds: dict[str, float] = {}
        for mapper in mappers:
            began = time.perf_counter()
            self._found[mapper.name] = mapper.map(self._mean, seed=scope.seed)
            self._seconds[mapper.name] = time.perf_counter() - began

    def parameters(self) -> Table:
        """Trainable parameters, beside what the paper publishes for its generative mapper."""
        return [
            {
                "mapper": mapper.name,
                "parameters": mapper.parameters,
                "of_published": mapper.parameters / PUBLISHED_PARAMETERS,
                "trained_on": mapper.trained.get("pairs", mapper.trained.get("captions")),
            }
            for mapper in self._mappers
        ]

    def gap(self) -> Table:
        """Distances between pictures and sounds, plain and after each mapper."""
        sides = {"before mapping": self._mean} | {f"after {name}": rows for name, rows in self._found.items()}
        rows: Table = [{"rows": name} | (mapped.gap(side, self._true) or {}) for name, side in sides.items()]
        real = mapped.gap(self._true, self._true)
        return [*rows, {"rows": "real against real"} | (real or {})]

    def kinds(self) -> Table:
        """Every mapper, and what the numbers are for true sounds given to the wrong pictures and to the
        right.
        """
        order = torch.randperm(len(self._true), generator=torch.Generator().manual_seed(self._scope.seed))
        even = normalize(self._true.mean(0, keepdim=True), dim=-1).expand_as(self._true)
        table: Table = [
            {"mapper": name, "seconds": self._seconds[name]} | mapped.scores(rows, self._true)
            for name, rows in self._found.items()
        ]
        for name, rows in (
            ("true sounds", self._true),
            ("shuffled", self._true[order]),
            ("their mean", even),
        ):
            table.append({"mapper": name} | mapped.scores(rows, self._true))
        return table

    def aggregation(self) -> Table:
        """One row out of many frames, in several ways; the last knows the truth: an upper bound."""
        table = []
        for mapper in self._mappers:
            for name, aggregate in AGGREGATIONS.items():
                table.append(self._row(mapper, {"frames": name}, aggregate(self._frames)))
            each = torch.stack(
                [
                    mapper.map(self._frames[:, index], seed=self._scope.seed)
                    for index in range(self._frames.shape[1])
                ],
                dim=1,
            )
            apart = normalize(each.mean(1), dim=-1)
            best = (each * self._true[:, None]).sum(-1).argmax(1)
            chosen = each[torch.arange(len(each)), best]
            for name, rows in (
                ("each mapped, then the mean", apart),
                ("best frame, told by the truth", chosen),
            ):
                table.append({"mapper": mapper.name, "frames": name} | mapped.scores(rows, self._true))
        return table

    def counts(self) -> Table:
        """Fewer frames, evenly spread."""
        total = self._frames.shape[1]
        numbers = sorted({number for number in (1, 2, 4, 8, 16, 32) if number <= total} | {total})
        return [
            self._row(mapper, {"count": count}, mapped.mean_plain(mapped.evenly(self._frames, count)))
            for mapper in self._mappers
            for count in numbers
        ]

    def steps(self) -> Table:
        table = []
        for mapper in self._priors():
            for steps in self._scope.steps:
                began = time.perf_counter()
                found = mapper.map(self._mean, seed=self._scope.seed, steps=steps)
                said = {"mapper": mapper.name, "steps": steps, "seconds": time.perf_counter() - began}
                table.append(said | mapped.scores(found, self._true))
        return table

    def guidance(self) -> Table:
        return [
            self._row(mapper, {"guidance": strength}, self._mean, guidance=strength)
            for mapper in self._priors()
            for strength in self._scope.guidance
        ]

    def panels(self) -> Mapping[str, Tensor]:
        """Unit rows for the plot of the gap: the pictures', where they have as many numbers, and each
        mapper's.
        """
        plain = {"before mapping": normalize(self._mean, dim=-1)}
        fits = self._mean.shape[1] == self._true.shape[1]
        return (plain if fits else {}) | {f"after {name}": rows for name, rows in self._found.items()}

    def _priors(self) -> list[Trained]:
        return [mapper for mapper in self._mappers if isinstance(mapper.network, GenerativePrior)]

    def _row(
        self, mapper: Trained, said: dict[str, Any], rows: Tensor, guidance: float = 1.0
    ) -> dict[str, Any]:
        found = mapper.map(rows, seed=self._scope.seed, guidance=guidance)
        return {"mapper": mapper.name} | said | mapped.scores(found, self._true)


def work_mappers(work: Path, pairs: Pairs, device: torch.device) -> list[Trained]:
    """The finished mappers of a work folder, or of a bundle's ``mappers``. Raises BadInput, ModelRefused."""
    folders = [*sorted(work.glob("mapper-*/part")), *sorted(work.glob("mappers/*"))]
    found = [
        mapped.open_mapper(folder, pairs.clip_space, pairs.clap_space, device)
        for folder in folders
        if (folder / "config.json").is_file()
    ]
    if not found:
        raise BadInput(f"There is no trained mapper in {work}; make one with: footfall train mapper")
    return found
