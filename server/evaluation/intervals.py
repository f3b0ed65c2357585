# SPDX-License-Identifier: GPL-3.0-or-later
"""Confidence intervals: the bootstrap for what is a mean over shots, the jackknife for what sets decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
GROUPS = 10
LEVEL = 0.95
_NORMAL = 1.959964  # of the standard normal, two-sided at LEVEL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, from ``count`` shots; all NaN where there was nothing to measure."""

    value: float
    low: float
    high: float
    count: int

    def plain(self) -> dict[str, float | int | None]:
        """For JSON, which knows no NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: float(x) if np.isfinite(x) else None for name, x in numbers.items()} | {
            "count": self.count
        }


NOTHING = Estimate(float("nan"), float("nan"), float("nan"), 0)


def bootstrap(
    values: np.ndarray,
    seed: int = 0,
    statistic: Callable[[np.ndarray], np.ndarray] = lambda drawn: drawn.mean(-1),
) -> Estimate:
    """Percentile interval of ``statistic`` (over the last axis) of the finite ones among ``values`` (N,)."""
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return NOTHING
    draw = np.random.default_rng(seed)
    found = statistic(kept[draw.integers(0, len(kept), (DRAWS, len(kept)))])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(statistic(kept[None])[0]), float(low), float(high), len(kept))


def median(values: np.ndarray, seed: int = 0) -> Estimate:
    return bootstrap(values, seed, lambda drawn: np.median(drawn, -1))


def jackknife(
    statistic: Callable[..., float], sets: Sequence[np.ndarray], groups: int = GROUPS, seed: int = 0
) -> Estimate:
    """Delete-a-group interval of ``statistic(*sets)``; the sets (N_i, D) were drawn apart from each other.

    For distances between sets, which a bootstrap would push up: a row that is drawn twice is no new sound.
    The groups are of rows drawn at random; sets of fewer than four rows give no interval.
    """
    value = statistic(*sets)
    if min(len(rows) for rows in sets) < 4:
        return Estimate(value, float("nan"), float("nan"), len(sets[0]))
    variance = 0.0
    for index, rows in enumerate(sets):
        order = np.random.default_rng((seed, index)).permutation(len(rows))
        parts = np.array_split(order, min(groups, len(rows) // 2))
        found = []
        for part in parts:
            kept = np.delete(rows, part, axis=0)
            found.append(statistic(*sets[:index], kept, *sets[index + 1 :]))
        spread = np.square(np.asarray(found) - np.mean(found)).sum()
        variance += (len(parts) - 1) / len(parts) * float(spread)
    half = _NORMAL * float(np.sqrt(variance))
    return Estimate(value, value - half, value + half, len(sets[0]))
