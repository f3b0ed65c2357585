# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen close around a hit: the right picture, the right place, and nothing beyond the edges."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from footfall.addon.wire.messages import Event
from footfall.server.making.crops import SIDE, crops
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_nearest_picture_and_the_place_are_seen() -> None:
    frames = np.zeros((3, 100, 200, 3), np.uint8)
    frames[1, 60:80, 140:160] = 200  # at (0.75, 0.7), a fifth of the height
    event = Event(time_s=Fraction(11, 10), place=(0.75, 0.7, 0.2))
    [close] = crops(frames, np.array([0.0, 1.0, 2.0]), [event])
    assert close.shape == (SIDE, SIDE, 3)
    middle = close[SIDE // 2 - 40 : SIDE // 2 + 40, SIDE // 2 - 40 : SIDE // 2 + 40]
    assert (middle == 200).all()
    share = 1 / 1.8
    assert abs((close > 100).any(axis=2).mean() - share**2) < 0.05


@settings(max_examples=40, deadline=None)
@given(
    side=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    time=st.fractions(0, 1000, max_denominator=48_000),
)
def test_any_place_gives_a_picture(
    side: tuple[int, int], place: tuple[float, float, float], time: Fraction
) -> None:
    frames = np.full((2, *side, 3), 77, np.uint8)
    close = crops(frames, np.array([0.1, 0.2]), [Event(time_s=time, place=place)] * 2, side=16)
    assert (close == 77).all()
