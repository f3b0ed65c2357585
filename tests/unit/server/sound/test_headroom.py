# SPDX-License-Identifier: GPL-3.0-or-later
"""What falls together never clips, and what does not is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.server.sound import headroom
from footfall.server.sound.finishing import true_peak
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import RATE, bell

CEILING = 10 ** (headroom.CEILING_DB / 20)


def summed(parts: list[np.ndarray], starts: list[int]) -> np.ndarray:
    total = np.zeros((max(start + len(part) for part, start in zip(parts, starts, strict=True)), 2))
    for part, start in zip(parts, starts, strict=True):
        total[start : start + len(part)] += part
    return total


@settings(max_examples=30, deadline=None)
@given(
    hits=st.lists(
        st.tuples(st.integers(0, 40_000), st.floats(0, 2), st.sampled_from([1, 2])), min_size=1, max_size=12
    ),
    rate_hz=st.sampled_from([8_000, 44_100, 48_000]),
)
def test_the_sum_never_passes_the_ceiling(hits: list[tuple[int, float, int]], rate_hz: int) -> None:
    starts = [start for start, _, _ in hits]
    parts = [np.repeat(bell(0.4)[:, None] * np.float32(gain), sides, 1) for _, gain, sides in hits]
    fitted = headroom.fitted(parts, starts, rate_hz)
    assert np.abs(summed(fitted, starts)).max() <= CEILING * 1.0001
    for one, part in zip(fitted, parts, strict=True):
        assert np.abs(one).max() <= CEILING * 1.0001
        assert (np.abs(one) <= np.abs(part) + 1e-7).all()


def test_a_crowd_does_not_turn_the_rest_down() -> None:
    alone = bell()[:, None]
    starts = [0, 5 * RATE, 5 * RATE + 7, 5 * RATE + 20, 9 * RATE]
    fitted = headroom.fitted([alone] * 5, starts, RATE)
    assert np.array_equal(fitted[0], alone)
    assert np.array_equal(fitted[4], alone)
    total = summed(fitted, starts).astype(np.float32)
    assert true_peak(total, RATE) < 10 ** (-1 / 20)
    assert np.abs(total).max() == pytest.approx(CEILING, rel=0.1)


def test_what_fits_is_untouched() -> None:
    part = bell()[:, None]
    [same] = headroom.fitted([part], [100], RATE)
    assert same is part
    assert headroom.fitted([], [], RATE) == []


def test_the_peaks_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [np.repeat(bell()[:, None], 2, 1)] * 5
    starts = [0, 999, 40_000, 140_000, 300_001]
    whole = headroom.fitted(parts, starts, RATE)
    monkeypatch.setattr(headroom, "BLOCK", 10_000)
    for one, other in zip(whole, headroom.fitted(parts, starts, RATE), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
