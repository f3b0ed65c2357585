# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows cover every column, cost little more than the sound is long, and join to what was cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from footfall.server.sampling import windows
from hypothesis import given
from hypothesis import strategies as st

COLUMNS = st.integers(1, 30_000)  # to 20 minutes


@given(columns=COLUMNS)
def test_every_column_counts_exactly_once(columns: int) -> None:
    plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
    weights = plan.weights()
    assert weights.shape == (len(plan), columns)
    torch.testing.assert_close(weights.sum(0), torch.ones(columns), rtol=0, atol=1e-6)
    assert float(weights.min()) >= 0
    for row, (start, stop) in zip(weights, plan, strict=True):
        assert not row[:start].any()
        assert not row[stop:].any()


@given(columns=COLUMNS)
def test_windows_are_equal_known_to_the_model_and_overlap(columns: int) -> None:
    plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
    starts = plan.starts
    assert starts[0] == 0
    assert starts[-1] + plan.length == columns
    assert plan.length <= windows.LONGEST or len(plan) == 1
    if len(plan) > 1:
        assert plan.length % windows.GRID == 0
        overlaps = [a + plan.length - b for a, b in pairwise(starts)]
        assert min(overlaps) >= windows.OVERLAP


@given(columns=st.integers(257, 30_000))
def test_a_long_sound_costs_little_more_than_its_length(columns: int) -> None:
    plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
    count = len(plan)
    assert count * plan.length <= columns + (count - 1) * windows.OVERLAP + count * windows.GRID


def test_a_minute_is_seven_windows() -> None:
    plan = windows.plan(1504, windows.LONGEST, windows.OVERLAP)
    assert len(plan) == 7


@given(columns=st.integers(1, 2_000), scale=st.sampled_from([1, 4]))
def test_what_was_cut_joins_again(columns: int, scale: int) -> None:
    whole = torch.linspace(-3, 3, columns * scale).view(1, -1, 1)
    plan = windows.plan(columns, windows.LONGEST, windows.MEL_OVERLAP)
    joined = windows.join(
        lambda _, start, stop: whole[:, start * scale : stop * scale], plan, scale=scale, axis=1
    )
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "columns"), [(1, 16), (800, 16), (16 * 640, 16), (16 * 640 + 1, 24), (163_840, 256)]
)
def test_columns_fit_the_unet(samples: int, columns: int) -> None:
    assert windows.columns_for(samples, 640) == columns
