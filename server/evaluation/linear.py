# SPDX-License-Identifier: GPL-3.0-or-later
"""A straight line from one space to another, in closed form: a judge of pictures, and a plain baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTH = 1e-3  # of the mean variance of an input


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """y = (x - mean) weights + bias: mean (D,), weights (D, E), bias (E,)."""

    mean: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, E)."""
        return (rows - self.mean) @ self.weights + self.bias


def ridge(inputs: np.ndarray, targets: np.ndarray, strength: float = STRENGTH) -> Linear:
    """The ridge regression of (N, E) on (N, D), N >= 1; the constant is not shrunk."""
    mean, bias = inputs.mean(0), targets.mean(0)
    centred = inputs - mean
    spread = centred.T @ centred / len(inputs)
    shrink = strength * max(float(np.trace(spread)) / len(spread), 1e-12)
    across = centred.T @ (targets - bias) / len(inputs)
    return Linear(mean, np.linalg.solve(spread + shrink * np.eye(len(spread)), across), bias)


@dataclass(frozen=True, slots=True, eq=False)
class PictureJudge:
    """Names the family that a picture shows, from CLIP's row of it: a ridge on true pictures' families."""

    families: tuple[str, ...]
    line: Linear

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(N, D) unit rows -> (N, K) scores in the order of ``families``, the highest the likeliest."""
        return self.line(rows)


def picture_judge(rows: np.ndarray, families: Sequence[str]) -> PictureJudge:
    """From (N, D) unit rows of true pictures and the N families that they show."""
    names = tuple(sorted(set(families)))
    wanted = np.zeros((len(rows), len(names)))
    wanted[np.arange(len(rows)), [names.index(name) for name in families]] = 1.0
    return PictureJudge(names, ridge(rows, wanted))
