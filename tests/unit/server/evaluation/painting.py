# SPDX-License-Identifier: GPL-3.0-or-later
"""A painter and an embedder of next to nothing, with the faces of the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from footfall.addon.wire.errors import BadInput
from torch import Tensor

WIDTH, LENGTH, SIZE = 6, 4, 32


class FakePainter:
    """Words are random rows; a picture is the colour of its last word that says something."""

    size, width = SIZE, WIDTH

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def word(self, text: str) -> Tensor:
        seed = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
        return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))

    def read(self, prompts: Sequence[str], tokens: Tensor | None = None) -> Tensor:
        rows = torch.zeros(len(prompts), LENGTH, WIDTH)
        for number, prompt in enumerate(prompts):
            rows[number, -1] = self.word(prompt) if tokens is None else tokens[number]
        return rows

    def paint(
        self, conditions: Tensor, *, seed: int, takes: int = 1, steps: int = 0, guidance: float = 0.0,
        control: object = None,
    ) -> np.ndarray:  # fmt: skip
        self.calls.append((len(conditions), seed))
        noise = np.random.default_rng(seed).integers(0, 20, (len(conditions), takes, SIZE, SIZE, 3))
        colour = torch.sigmoid(conditions[:, -1, :3]).numpy()[:, None, None, None] * 200
        return (noise + colour).astype(np.uint8)


class FakeEmbedder:
    """A sound's token is how loud it is in three bands."""

    def tokens(self, waves: Sequence[np.ndarray], rate_hz: int) -> Tensor:
        rows = []
        for wave in waves:
            if not np.abs(wave).max(initial=0.0):
                raise BadInput("There is nothing to hear.")
            power = np.square(np.abs(np.fft.rfft(wave)))
            bands = [float(np.log(part.mean() + 1e-9)) for part in np.array_split(power, 3)]
            rows.append(torch.tensor([*bands, 0.0, 0.0, 0.0]))
        return torch.stack(rows)
