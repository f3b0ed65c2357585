# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights that pack well."""

from __future__ import annotations

import zlib

import pytest
import torch
from footfall.server.train.packing import rounded
from hypothesis import given
from hypothesis import strategies as st

finite = st.floats(width=16, allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=50), st.integers(2, 9))
def test_no_weight_moves_far_and_twice_is_once(numbers: list[float], bits: int) -> None:
    weights = torch.tensor(numbers, dtype=torch.float16)
    found = rounded(weights, bits)
    largest = torch.finfo(torch.float16)
    room = weights.double().abs().clamp_min(largest.smallest_normal) / 2 ** (bits + 1)
    assert found.dtype == torch.float16
    assert found.isfinite().all()
    assert ((found.double() - weights.double()).abs() <= room).all()
    assert torch.equal(rounded(found, bits), found)


def test_what_is_not_finite_stays() -> None:
    weights = torch.tensor([float("inf"), -float("inf"), float("nan"), 65504.0, -0.0], dtype=torch.float16)
    found = rounded(weights)
    assert torch.equal(found.isnan(), weights.isnan())
    assert torch.equal(found.nan_to_num(1.0), weights.nan_to_num(1.0))


def test_it_packs_better() -> None:
    weights = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).half()

    def packed(of: torch.Tensor) -> int:
        return len(zlib.compress(of.numpy().tobytes()))

    assert packed(rounded(weights)) < 0.85 * packed(weights)


@pytest.mark.parametrize("shape", [(), (3, 0), (2, 3, 4)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    assert rounded(torch.ones(shape)).shape == shape
