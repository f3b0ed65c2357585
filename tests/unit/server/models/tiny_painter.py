# SPDX-License-Identifier: GPL-3.0-or-later
"""A painter of next to nothing, with the face of the real one: what AudioToken's tests learn against.

Its pictures are their mean colour, its words random rows, and what it reads is the mean of a prompt's rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from footfall.server.models.bundle import SpaceId
from torch import Tensor, nn

WORDS = 64


class TinyPainter:
    size = 8

    def __init__(self, width: int = 12, seed: int = 0) -> None:
        self.width = width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._words = nn.Embedding(WORDS, width)
            self._shape = nn.Conv2d(3, 4, 1)
            self._mind = nn.Linear(width, 4)
        self.modules = {"text_encoder": self._words, "vae": self._shape, "unet": self._mind}
        for module in self.modules.values():
            module.requires_grad_(False)
        bits = self._words.weight.numpy().tobytes()
        self.device = torch.device("cpu")
        self.backbone = SpaceId(name="tiny", sha256=hashlib.sha256(bits).hexdigest())

    def _ids(self, text: str) -> list[int]:
        return [int(hashlib.sha256(word.encode()).hexdigest(), 16) % WORDS for word in text.split()]

    def word(self, text: str) -> Tensor:
        return self._words.weight[self._ids(text)].mean(0)

    def read(self, prompts: Sequence[str], tokens: Tensor | None = None) -> Tensor:
        rows = [self._words.weight[self._ids(prompt)] for prompt in prompts]
        if tokens is not None:
            rows = [torch.cat([row, token[None]]) for row, token in zip(rows, tokens, strict=True)]
        return torch.stack(rows)

    def latents(self, pixels: np.ndarray) -> Tensor:
        colours = torch.from_numpy(pixels).float().mean((1, 2)) / 127.5 - 1.0
        return self._shape(colours[:, :, None, None].expand(-1, -1, 2, 2))

    def loss(self, latents: Tensor, conditions: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        found = self._mind(conditions[:, -1])[:, :, None, None]
        return (found - latents + 0.1 * noise).square().mean((1, 2, 3))
