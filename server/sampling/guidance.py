# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifier-free guidance: how two predictions become one, and when the second is worth its time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Interval:
    """Noise levels sigma at which guidance acts: ``low`` <= sigma <= ``high``."""

    low: float = 0.0
    high: float = float("inf")

    def has(self, sigma: float) -> bool:
        return self.low <= sigma <= self.high


ALWAYS = Interval()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """``scale`` 1 or less means none, as in diffusers; ``rescale`` 0..1."""

    scale: float
    interval: Interval = ALWAYS
    rescale: float = 0.0

    def acts(self, sigma: float) -> bool:
        return self.scale > 1.0 and self.interval.has(sigma)

    def combine(self, without: Tensor, given: Tensor) -> Tensor:
        """(B, C, T, F) predictions without and with the condition -> the guided one (Ho & Salimans 2022)."""
        guided = without + self.scale * (given - without)
        if self.rescale == 0.0:
            return guided
        # Lin et al. 2023, equations 15 and 16: as loud as the conditional prediction.
        axes = tuple(range(1, given.dim()))
        ratio = given.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True).clamp_min(1e-12)
        return guided * (self.rescale * ratio + (1.0 - self.rescale))
