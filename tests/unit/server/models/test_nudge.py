# SPDX-License-Identifier: GPL-3.0-or-later
"""Nudges stay on the sphere, go the short way, and reach exactly both ends."""

from __future__ import annotations

import math

import pytest
import torch
from footfall.server.models.nudge import move, pulled
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

SIZE = 512


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def angle(left: torch.Tensor, right: torch.Tensor) -> float:
    """Radians between two vectors, from half their chord and half their sum: exact near 0 and near pi."""
    a, b = normalize(left.double(), dim=-1), normalize(right.double(), dim=-1)
    return 2.0 * math.atan2(float((a - b).norm()), float((a + b).norm()))


def at_angle(row: torch.Tensor, radians: float) -> torch.Tensor:
    """A unit vector that far from ``row``."""
    aside = unit(SIZE, seed=77).double()
    aside = normalize(aside - (aside @ row.double()) * row.double(), dim=-1)
    return (math.cos(radians) * row.double() + math.sin(radians) * aside).float()


def test_strength_zero_is_the_picture_bit_by_bit() -> None:
    rows = unit(4, SIZE)
    assert move(rows, unit(SIZE, seed=1), 0.0) is rows
    assert move(rows, None, 1.0) is rows


def test_strength_one_is_the_text_bit_by_bit() -> None:
    text = unit(SIZE, seed=1)
    moved = move(unit(4, SIZE), text, 1.0)
    assert torch.equal(moved, text.expand(4, -1))
    moved.zero_()
    assert text.norm() > 0.9  # the result is nobody else's memory


def test_no_rows_give_no_rows() -> None:
    assert move(torch.zeros(0, SIZE), unit(SIZE), 0.5).shape == (0, SIZE)


@given(seed=st.integers(0, 2**31), strength=st.floats(0.0, 1.0), radians=st.floats(0.0, math.pi))
def test_always_on_the_sphere_and_by_the_share_of_the_angle(
    seed: int, strength: float, radians: float
) -> None:
    row = unit(1, SIZE, seed=seed)
    text = at_angle(row[0], radians)
    moved = move(row, text, strength)
    assert torch.isfinite(moved).all()
    assert abs(float(moved.norm()) - 1.0) < 1e-6
    assert angle(moved[0], row[0]) == pytest.approx(strength * radians, abs=2e-5)
    assert angle(moved[0], text) == pytest.approx((1.0 - strength) * radians, abs=2e-5)


@given(
    radians=st.floats(0.01, math.pi - 0.01),
    strengths=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)).map(sorted),
)
def test_more_strength_is_never_less_of_the_words(radians: float, strengths: list[float]) -> None:
    row = unit(1, SIZE, seed=5)
    text = at_angle(row[0], radians)
    less, more = (angle(move(row, text, strength)[0], text) for strength in strengths)
    assert more <= less + 1e-6


@pytest.mark.parametrize("radians", [0.0, 1e-7, 1e-5, 1e-3])
def test_words_that_say_what_is_seen_already(radians: float) -> None:
    row = unit(2, SIZE, seed=3)
    moved = move(row, at_angle(row[0], radians), 0.5)
    assert angle(moved[0], row[0]) <= radians + 1e-6


@pytest.mark.parametrize("short_of", [0.0, 1e-7, 1e-4, 1e-2])
def test_words_that_say_the_opposite(short_of: float) -> None:
    """All ways to the opposite are equally long; one is taken, and half-way is half-way."""
    row = unit(1, SIZE, seed=4)
    text = -at_angle(row[0], short_of)
    for share in (0.25, 0.5, 0.75):
        moved = move(row, text, share)
        assert abs(float(moved.norm()) - 1.0) < 1e-6
        assert angle(moved[0], row[0]) == pytest.approx(share * (math.pi - short_of), abs=1e-4)


def test_each_row_goes_its_own_way() -> None:
    rows, text = unit(3, SIZE, seed=8), unit(SIZE, seed=9)
    together = move(rows, text, 0.3)
    for index in range(3):
        torch.testing.assert_close(together[index], move(rows[index : index + 1], text, 0.3)[0])


def test_words_in_another_precision() -> None:
    moved = move(unit(2, SIZE), unit(SIZE, seed=1).double(), 0.5)
    assert moved.dtype == torch.float32
    half = move(unit(2, SIZE).half(), unit(SIZE, seed=1), 0.5)
    assert half.dtype == torch.float16
    assert torch.isfinite(half).all()


# Pulls


def test_no_pulls_change_nothing_bit_by_bit() -> None:
    rows = unit(3, SIZE)
    assert pulled(rows, []) is rows
    assert pulled(rows, [(unit(SIZE, seed=1), 0.0)]) is rows


def test_a_pull_upwards_is_a_nudge() -> None:
    rows, words = unit(3, SIZE), unit(SIZE, seed=1)
    assert torch.equal(pulled(rows, [(words, 0.4)]), move(rows, words, 0.4))


@given(seed=st.integers(0, 999), weight=st.floats(-1.0, 0.0), radians=st.floats(0.0, math.pi))
def test_a_push_takes_its_share_of_what_is_missing_to_a_right_angle(
    seed: int, weight: float, radians: float
) -> None:
    row = unit(1, SIZE, seed=seed)
    words = at_angle(row[0], radians)
    pushed = pulled(row, [(words, weight)])[0]
    assert abs(float(pushed.norm()) - 1) < 1e-5
    wanted = radians + max(0.0, math.pi / 2 - radians) * -weight
    assert abs(angle(pushed, words) - wanted) < 2e-3
    if radians > math.pi / 2 + 1e-3:
        assert torch.equal(pushed, row[0])


@given(seed=st.integers(0, 999), bans=st.integers(1, 5), pulls=st.integers(0, 3))
def test_what_is_banned_is_gone_whatever_else_pulls(seed: int, bans: int, pulls: int) -> None:
    rows = unit(2, SIZE, seed=seed)
    banned = [normalize(rows[0] + 0.05 * unit(SIZE, seed=seed + n), dim=-1) for n in range(bans)]
    others = [(unit(SIZE, seed=seed + 50 + n), 0.5) for n in range(pulls)]
    made = pulled(rows, [*((words, -1.0) for words in banned), *others])
    assert torch.isfinite(made).all()
    assert (made.norm(dim=-1) - 1).abs().max() < 1e-4
    for words in banned:
        assert (made @ words).max() < 2e-3
