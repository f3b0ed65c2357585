# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that depends on the seed and on a name, and on nothing else: not on device, batch or other takes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 256  # columns that are drawn together: as many as the models were trained on


def seed_of(seed: int, *names: object) -> int:
    """A 63-bit seed of its own for each (seed, names); neighbouring seeds have nothing in common."""
    text = "\0".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def noise(seed: int, names: Sequence[object], shape: Sequence[int]) -> Tensor:
    """Standard normal float32 on the CPU from a generator of its own."""
    generator = torch.Generator("cpu").manual_seed(seed_of(seed, *names))
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)


def columns_of_noise(seed: int, names: Sequence[object], channels: int, columns: int, bins: int) -> Tensor:
    """(channels, columns, bins) of noise. A longer sound begins with the same columns."""
    blocks = [
        noise(seed, (*names, index) if index else names, (channels, BLOCK, bins))
        for index in range(math.ceil(columns / BLOCK))
    ]
    return torch.cat(blocks, dim=1)[:, :columns].contiguous()


def turned(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Independent noise ``one`` turned towards ``other`` by ``share`` of a right angle; it stays as loud.

    0 gives ``one`` and 1 ``other``, bit by bit.
    """
    if share <= 0.0:
        return one
    if share >= 1.0:
        return other
    angle = share * math.pi / 2
    return math.cos(angle) * one + math.sin(angle) * other
