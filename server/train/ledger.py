# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses between two lines of the log: on the device as long as possible, then checked and averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...addon.wire.errors import ModelError
from .seats import Team


class Diverged(ModelError):
    """A loss or a gradient became infinite or no number; the last saved state is good."""

    code = "diverged"


@dataclass(slots=True)
class Ledger:
    """Losses since the last line of the log: ``fresh`` on the device, ``settled`` as numbers."""

    strict: frozenset[str]
    fresh: list[tuple[int, dict[str, Tensor]]] = field(default_factory=list)
    settled: list[dict[str, float]] = field(default_factory=list)
    last: dict[str, float | None] = field(default_factory=dict)

    def settle(self, name: str, team: Team) -> None:
        """Waits for the device. Raises Diverged, naming the first step whose loss is no number."""
        if not self.fresh:
            return
        flat = torch.stack([value.float().reshape(()) for _, row in self.fresh for value in row.values()])
        if team.count > 1:
            from accelerate.utils import reduce

            flat = reduce(flat, "mean")
        numbers = iter(flat.tolist())
        for step, row in self.fresh:
            settled = {key: next(numbers) for key in row}
            for key in sorted(self.strict & settled.keys()):
                if not math.isfinite(settled[key]):
                    what = key.replace("/", "'s ")
                    raise Diverged(
                        f"Training {name} failed at step {step}: {what} is {settled[key]}. The last "
                        "saved state is good: go on with --precision float32, or begin anew with a new seed."
                    )
            self.settled.append(settled)
        self.fresh.clear()

    def means(self) -> dict[str, float | None]:
        """Of each loss since the last line; null where it is no number. Begins a new line."""
        keys = sorted({key for row in self.settled for key in row})
        found: dict[str, float | None] = {}
        for key in keys:
            values = [row[key] for row in self.settled if key in row]
            mean = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else None
            found[key] = mean
        self.settled.clear()
        self.last = found
        return found
