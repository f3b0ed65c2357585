# SPDX-License-Identifier: GPL-3.0-or-later
"""One prediction for many sounds of any length: windows, guidance and batches around the network.

Overlapping windows are denoised together, each under its own condition, and their predictions are averaged
at every step (MultiDiffusion, Bar-Tal et al. 2023), so there is no seam to hide afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .guidance import Guidance
from .windows import Plan

# (rows (R, C, L, F), timestep, conditions (R, 512)) -> predictions (R, C, L, F)
Network = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(slots=True)
class RowLimit:
    """How many rows go through the network at once. Halved when the device has no memory for them.

    ``out_of_memory(error)``: whether an error means that; it may also give memory back.
    """

    rows: int
    out_of_memory: Callable[[BaseException], bool]

    def halve(self) -> bool:
        """False when there is nothing left to halve."""
        if self.rows == 1:
            return False
        self.rows = max(1, self.rows // 2)
        return True


@dataclass(slots=True)
class Denoiser:
    """A ``solvers.Predict`` for ``N`` sounds under ``windows``.

    conditions: (N, W, 512) unit rows; negatives: (N, W, 512), the unconditional side of guidance.
    ``on_pass`` is called before each pass through the network, with the fraction of this step that is done,
    and may raise to stop.
    """

    network: Network
    windows: Plan
    conditions: Tensor
    negatives: Tensor
    guidance: Guidance
    limit: RowLimit
    on_pass: Callable[[float], None]
    _weights: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._weights = self.windows.weights().to(self.conditions)

    def __call__(self, latents: Tensor, timestep: Tensor, sigma: float) -> Tensor:
        rows = torch.cat([latents[:, :, start:stop] for start, stop in self.windows])  # window by window
        given = self.conditions.transpose(0, 1).reshape(len(rows), -1)
        if self.guidance.acts(sigma):
            without = self.negatives.transpose(0, 1).reshape(len(rows), -1)
            # Each row next to its unguided twin, so that a batch that is halved still holds pairs.
            pairs = rows.repeat_interleave(2, dim=0)
            sides = torch.stack((without, given), dim=1).flatten(0, 1)
            both = self._batched(pairs, timestep, sides)
            predictions = self.guidance.combine(both[0::2], both[1::2])
        else:
            predictions = self._batched(rows, timestep, given)
        return self._joined(predictions, latents)

    def _batched(self, rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        """The network over all rows, as many at once as the limit allows."""
        done: list[Tensor] = []
        start = 0
        while start < len(rows):
            self.on_pass(start / len(rows))
            batch = slice(start, start + self.limit.rows)
            found = self._try(rows[batch], timestep, conditions[batch])
            if found is not None:
                done.append(found)
                start += len(found)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _try(self, rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor | None:
        """None: there was no memory, and the limit is now half of what it was."""
        try:
            return self.network(rows, timestep, conditions)
        except (RuntimeError, MemoryError) as error:
            self.limit.rows = min(self.limit.rows, len(rows))
            if not self.limit.out_of_memory(error) or not self.limit.halve():
                raise
        return None

    def _joined(self, predictions: Tensor, latents: Tensor) -> Tensor:
        if len(self.windows) == 1:
            return predictions
        out = torch.zeros_like(latents)
        count = len(latents)
        for index, (start, stop) in enumerate(self.windows):
            weight = self._weights[index, start:stop].view(1, 1, -1, 1)
            out[:, :, start:stop] += predictions[index * count : (index + 1) * count] * weight
        return out
