# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that depends on the seed and on a name, and on nothing else: not on device, batch or other takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def seed_of(seed: int, *names: object) -> int:
    """A 63-bit seed of its own for each (seed, names); neighbouring seeds have nothing in common."""
    text = "\0".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def noise(seed: int, names: Sequence[object], shape: Sequence[int]) -> Tensor:
    """Standard normal float32 on the CPU from a generator of its own."""
    generator = torch.Generator("cpu").manual_seed(seed_of(seed, *names))
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)
