# SPDX-License-Identifier: GPL-3.0-or-later
"""How far sets of sounds, or pairs of them, lie apart: pure functions over rows of embeddings.

All take and give float64. Distances between sets: FD (Heusel et al. 2017, equation 6) and KD (Bińkowski et
al. 2018, equation 4, its unbiased estimator). Of a classifier's answers: an inception-like score (Salimans et
al. 2016) and the class KL of pairs. Of pairs: cosines, and the rank at which the true partner is found.
"""

from __future__ import annotations

import numpy as np

TINY = 1e-12


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of Gaussians fitted to rows (N, D) and (M, D); N, M >= 2.

    The trace of the root is the nuclear norm of A1 A2^T, where C = A^T A: no matrix root, exact for any
    number of rows, fewer than D included.
    """
    first, second = _factor(one), _factor(other)
    root = float(np.linalg.svd(first @ second.T, compute_uv=False).sum())
    apart = float(np.square(one.mean(0) - other.mean(0)).sum())
    spread = float(np.square(first).sum() + np.square(second).sum())
    return max(0.0, apart + spread - 2.0 * root)


def _factor(rows: np.ndarray) -> np.ndarray:
    """A with A^T A the unbiased covariance of rows (N, D), and no more rows than D."""
    if len(rows) < 2:
        raise ValueError("a covariance needs two rows")
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) -> (N, M): (x y / D + 1)^3."""
    return (one @ other.T / one.shape[1] + 1.0) ** 3


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Squared maximum mean discrepancy of (N, D) and (M, D), unbiased: about 0, or below, for one source."""
    if min(len(one), len(other)) < 2:
        raise ValueError("the unbiased estimate needs two rows")
    across = float(kernel(one, other).mean())
    return _pairs_within(kernel(one, one)) + _pairs_within(kernel(other, other)) - 2.0 * across


def _pairs_within(table: np.ndarray) -> float:
    """Mean of (N, N) without its diagonal."""
    count = len(table)
    return float((table.sum() - np.trace(table)) / (count * (count - 1)))


def unit(rows: np.ndarray) -> np.ndarray:
    """(N, D) -> rows of length 1; rows of zeros stay so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), TINY)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, D), (N, D) -> (N,) cosine of each pair."""
    return (unit(one) * unit(other)).sum(-1)


def inception_score(probabilities: np.ndarray) -> float:
    """(N, K) -> exp(mean KL(p(k|x) || p(k))): 1 for answers that are all alike, K for sure and even ones."""
    return float(np.exp(class_divergence(probabilities, probabilities.mean(0, keepdims=True)).mean()))


def class_divergence(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(N, K), (N, K) or (1, K) -> (N,) KL(wanted || found) in nats."""
    ratio = np.log(np.maximum(wanted, TINY)) - np.log(np.maximum(found, TINY))
    return (wanted * ratio).sum(-1)


def top(probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """(N, K), (N,) -> (N,) 1.0 where the label is among the ``count`` most probable.

    A class that ties with others counts as placed behind them.
    """
    own = np.take_along_axis(probabilities, labels[:, None], 1)
    at_least = (probabilities >= own).sum(1)
    return (at_least <= count).astype(np.float64)


def ranks(queries: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(N, D), (N, D) -> (N,) rank, 1 the best, of each query's own answer among all, by cosine.

    Ties count against it, so that answers that are all alike rank last.
    """
    table = unit(queries) @ unit(answers).T
    return (table >= np.diag(table)[:, None] - TINY).sum(1)


def recall(rank: np.ndarray, count: int) -> np.ndarray:
    """(N,) ranks -> (N,) 1.0 where the own answer is among the first ``count``."""
    return (rank <= count).astype(np.float64)


def variety(rows: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine distance between different sounds of a label, averaged over labels; NaN without a pair."""
    found = []
    for label in np.unique(labels):
        kin = unit(rows[labels == label])
        if len(kin) > 1:
            table = kin @ kin.T
            found.append(1.0 - _pairs_within(table))
    return float(np.mean(found)) if found else float("nan")


def above_others(rows: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(N, D), (N, D) -> (N,) the share of other answers that a row is less like than its own; 0.5: chance."""
    table = unit(rows) @ unit(answers).T
    own = np.diag(table)[:, None]
    below = (table < own - TINY).sum(1) + 0.5 * ((np.abs(table - own) <= TINY).sum(1) - 1)
    return below / max(1, len(rows) - 1)
