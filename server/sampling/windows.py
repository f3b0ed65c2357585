# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows over time: how a sound of any length is cut into pieces that the model knows, and joined.

All windows of a plan have the same length, so that they can go through the network in one batch. Where two
meet they overlap, and their weights there are a linear cross-fade; at each column the weights sum to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

GRID = 8  # the UNet halves the time three times
LONGEST = 256  # columns; 10.24 s is what the models were trained on
OVERLAP = 48  # columns shared by windows that are denoised together
MEL_OVERLAP = 32  # columns shared by windows that are decoded one by one
SHORTEST = 16  # columns; below 0.64 s the model has never heard anything


def columns_for(samples: int, samples_per_column: int) -> int:
    """Latent columns to make for a sound: enough, on the UNet's grid, and not shorter than it can imagine."""
    columns = math.ceil(samples / samples_per_column)
    return max(SHORTEST, GRID * math.ceil(columns / GRID))


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows [start, start + length) over ``columns``; ``length`` and the first and last start fit
    exactly.
    """

    columns: int
    length: int
    starts: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((start, start + self.length) for start in self.starts)

    def __len__(self) -> int:
        return len(self.starts)

    def weights(self) -> Tensor:
        """(W, columns) float32: how much each window counts at each column; each column sums to one."""
        if len(self.starts) == 1:
            return torch.ones(1, self.columns)
        column = torch.arange(self.columns, dtype=torch.float64) + 0.5
        rows = []
        for index, (start, stop) in enumerate(self):
            rise = fall = torch.ones(self.columns, dtype=torch.float64)
            if index > 0:
                before = self.starts[index - 1] + self.length
                rise = (column - start) / (before - start)
            if index < len(self) - 1:
                after = self.starts[index + 1]
                fall = (stop - column) / (stop - after)
            rows.append(torch.minimum(rise, fall).clamp(0.0, 1.0))
        table = torch.stack(rows)
        return (table / table.sum(0, keepdim=True)).float()


def plan(columns: int, longest: int, overlap: int) -> Plan:
    """The fewest equal windows of at most ``longest`` columns that overlap by at least ``overlap``.

    ``longest`` must be a multiple of GRID and more than ``overlap`` + GRID.
    """
    if columns <= longest:
        return Plan(columns, columns, (0,))
    count = math.ceil((columns - overlap) / (longest - overlap))
    length = math.ceil((columns + (count - 1) * overlap) / count)
    length = min(longest, GRID * math.ceil(length / GRID))
    last = columns - length
    return Plan(columns, length, tuple(round(index * last / (count - 1)) for index in range(count)))


def join(pieces: Callable[[int, int, int], Tensor], windows: Plan, scale: int, axis: int) -> Tensor:
    """One tensor from windows that are ``scale`` times as long along ``axis`` as planned, cross-faded.

    ``pieces(index, start, stop)`` gives a window. One at a time is held, so memory is the result's plus a
    window's.
    """
    fine = Plan(
        windows.columns * scale, windows.length * scale, tuple(start * scale for start in windows.starts)
    )
    weights = fine.weights()
    out: Tensor | None = None
    for index, (start, stop) in enumerate(windows):
        piece = pieces(index, start, stop)
        if len(windows) == 1:
            return piece
        if out is None:
            shape = list(piece.shape)
            shape[axis] = fine.columns
            out = torch.zeros(shape, dtype=piece.dtype, device=piece.device)
        shape = [1] * piece.dim()
        shape[axis] = -1
        weight = weights[index, start * scale : stop * scale].to(piece).view(shape)
        out.narrow(axis, start * scale, fine.length).add_(piece * weight)
    assert out is not None
    return out
