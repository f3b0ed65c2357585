# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances and scores against closed forms and answers known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from footfall.server.evaluation import metrics
from hypothesis import given
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def gaussian(count: int, mean: np.ndarray, covariance: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rows (N, D) whose sample mean and sample covariance are exactly those asked for."""
    rows = np.random.default_rng(seed).standard_normal((count, len(mean)))
    rows -= rows.mean(0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(rows.T))).T)
    return rows @ np.linalg.cholesky(covariance).T + mean


def root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T


@given(SEEDS, st.integers(2, 30), st.integers(1, 12))
def test_frechet_distance_to_itself_is_nothing(seed: int, count: int, size: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((count, size)) * 10
    assert metrics.frechet_distance(rows, rows) == pytest.approx(0.0, abs=1e-9 * (1 + np.square(rows).sum()))


@given(SEEDS, st.integers(2, 20), st.integers(2, 20), st.integers(1, 8))
def test_frechet_distance_is_symmetric_and_never_negative(seed: int, n: int, m: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    one, other = draw.standard_normal((n, size)), draw.standard_normal((m, size)) + 1
    there, back = metrics.frechet_distance(one, other), metrics.frechet_distance(other, one)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
    assert there >= 0


@given(SEEDS, st.floats(-5, 5), st.floats(-5, 5))
def test_frechet_distance_of_a_shift_is_its_square(seed: int, right: float, up: float) -> None:
    rows = np.random.default_rng(seed).standard_normal((12, 2))
    moved = rows + np.array([right, up])
    assert metrics.frechet_distance(rows, moved) == pytest.approx(right**2 + up**2, abs=1e-8)


def test_frechet_distance_of_gaussians_on_a_line() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2."""
    one = gaussian(50, np.array([1.0]), np.array([[4.0]]))
    other = gaussian(70, np.array([-2.0]), np.array([[0.25]]), seed=1)
    assert metrics.frechet_distance(one, other) == pytest.approx(9.0 + 1.5**2)


def test_frechet_distance_of_gaussians_that_do_not_commute() -> None:
    """Against the matrix roots of the definition."""
    draw = np.random.default_rng(5)
    first, second = (a @ a.T + np.eye(5) for a in draw.standard_normal((2, 5, 5)))
    means = draw.standard_normal((2, 5))
    middle = root(root(first) @ second @ root(first))
    wanted = np.square(means[0] - means[1]).sum() + np.trace(first + second - 2 * middle)
    found = metrics.frechet_distance(gaussian(40, means[0], first), gaussian(60, means[1], second, seed=2))
    assert found == pytest.approx(wanted)


def test_frechet_distance_with_fewer_rows_than_columns_is_that_of_the_same_rows_in_few_columns() -> None:
    """A turn into many columns changes no distance."""
    draw = np.random.default_rng(3)
    one, other = draw.standard_normal((9, 4)), draw.standard_normal((7, 4)) * 2
    turn, _ = np.linalg.qr(draw.standard_normal((64, 4)))
    wide = metrics.frechet_distance(one @ turn.T, other @ turn.T)
    assert wide == pytest.approx(metrics.frechet_distance(one, other))


def test_one_row_has_no_distance() -> None:
    with pytest.raises(ValueError, match="two rows"):
        metrics.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="two rows"):
        metrics.kernel_distance(np.zeros((5, 3)), np.zeros((1, 3)))


def test_kernel_distance_by_hand() -> None:
    """Two rows each of one number: k(x, y) = (xy + 1)^3, and own pairs are left out."""
    one, other = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    across = (1 + 1 + 27 + 64) / 4
    assert metrics.kernel_distance(one, other) == pytest.approx(1.0 + 343.0 - 2 * across)


def test_kernel_distance_is_unbiased() -> None:
    """Over many draws from one source its mean is nothing, and some are below."""
    draw = np.random.default_rng(0)
    found = [
        metrics.kernel_distance(draw.standard_normal((12, 3)), draw.standard_normal((15, 3)))
        for _ in range(800)
    ]
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    assert min(found) < 0 < max(found)


def test_kernel_distance_sees_a_shift() -> None:
    draw = np.random.default_rng(0)
    one, other = draw.standard_normal((200, 4)), draw.standard_normal((200, 4))
    assert metrics.kernel_distance(one, other + 1) > 10 * abs(metrics.kernel_distance(one, other))


def test_inception_score_at_both_ends() -> None:
    assert metrics.inception_score(np.full((9, 4), 0.25)) == pytest.approx(1.0)
    assert metrics.inception_score(np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]]) == pytest.approx(4.0)
    assert metrics.inception_score(np.eye(4)[[2, 2, 2]]) == pytest.approx(1.0)


def test_class_divergence_by_hand() -> None:
    wanted, found = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.25, 0.75], [1.0, 0.0]])
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert metrics.class_divergence(wanted, found) == pytest.approx([by_hand, 0.0])


@given(SEEDS)
def test_class_divergence_is_never_negative(seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(5), 20)
    assert (metrics.class_divergence(rows[:10], rows[10:]) >= -1e-12).all()


def test_top_counts_the_places_and_ties_count_against_it() -> None:
    said = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]])
    labels = np.array([0, 1, 0])
    assert metrics.top(said, labels, 1).tolist() == [1, 0, 0]
    assert metrics.top(said, labels, 2).tolist() == [1, 0, 1]
    assert metrics.top(said, labels, 3).tolist() == [1, 1, 1]


def test_ranks_of_perfect_wrong_and_equal_answers() -> None:
    eye = np.eye(4)
    assert metrics.ranks(eye * 3, eye).tolist() == [1, 1, 1, 1]
    assert metrics.ranks(eye, np.roll(eye, 1, axis=0)).tolist() == [4, 4, 4, 4]
    assert metrics.ranks(eye, np.ones((4, 4))).tolist() == [4, 4, 4, 4]
    assert metrics.recall(np.array([1, 5, 6]), 5).tolist() == [1, 1, 0]


def test_recall_of_random_rows_is_chance() -> None:
    draw = np.random.default_rng(1)
    found = [
        metrics.recall(metrics.ranks(draw.standard_normal((40, 8)), draw.standard_normal((40, 8))), 10).mean()
        for _ in range(60)
    ]
    assert np.mean(found) == pytest.approx(10 / 40, abs=0.03)


def test_cosines_and_rows_of_nothing() -> None:
    one = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    other = np.array([[5.0, 0.0], [-1.0, -1.0], [1.0, 0.0]])
    assert metrics.cosines(one, other) == pytest.approx([1.0, -1.0, 0.0])


def test_variety_of_copies_and_of_rows_at_right_angles() -> None:
    labels = np.array([0, 0, 1, 1])
    assert metrics.variety(np.ones((4, 3)), labels) == pytest.approx(0.0)
    assert metrics.variety(np.eye(4), labels) == pytest.approx(1.0)
    assert math.isnan(metrics.variety(np.eye(2), np.array([0, 1])))
