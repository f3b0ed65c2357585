# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise is the same wherever it is asked for, and is turned without growing louder."""

from __future__ import annotations

import pytest
import torch
from footfall.server.sampling.noise import BLOCK, columns_of_noise, noise, turned
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=20, deadline=None)
@given(short=st.integers(1, 2 * BLOCK), more=st.integers(0, 2 * BLOCK))
def test_a_longer_sound_begins_with_the_same_noise(short: int, more: int) -> None:
    one = columns_of_noise(3, ("bed", 0), 2, short, 4)
    longer = columns_of_noise(3, ("bed", 0), 2, short + more, 4)
    assert torch.equal(longer[:, :short], one)


def test_ten_seconds_have_the_noise_that_they_always_had() -> None:
    assert torch.equal(columns_of_noise(3, ("a",), 8, BLOCK, 16), noise(3, ("a",), (8, BLOCK, 16)))


def test_blocks_are_independent() -> None:
    both = columns_of_noise(3, ("a",), 8, 2 * BLOCK, 16)
    first, second = both[:, :BLOCK].flatten(), both[:, BLOCK:].flatten()
    assert abs(float(torch.corrcoef(torch.stack((first, second)))[0, 1])) < 0.02


def test_turning_reaches_both_ends_bit_by_bit_and_keeps_the_level() -> None:
    one, other = noise(1, ("a",), (8, 256, 16)), noise(2, ("a",), (8, 256, 16))
    assert turned(one, other, 0.0) is one
    assert turned(one, other, 1.0) is other
    likeness = []
    for share in (0.1, 0.3, 0.5, 0.9):
        made = turned(one, other, share)
        assert float(made.std()) == pytest.approx(1.0, abs=0.01)
        likeness.append(float(torch.corrcoef(torch.stack((made.flatten(), one.flatten())))[0, 1]))
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.97
