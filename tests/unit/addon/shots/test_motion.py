# SPDX-License-Identifier: GPL-3.0-or-later
"""Small grey pictures: never too many, never too large, and as bright as what they show."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.shots.motion import FINE, MOST_BYTES, SIDE, MotionFrames, MotionPlan, plan_motion
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st


@given(
    frames=st.integers(1, 400_000),
    rate=st.fractions(Fraction(1), Fraction(500), max_denominator=1001),
    height=st.integers(1, 10_000),
    width=st.integers(1, 10_000),
)
def test_a_plan_always_fits_a_message(frames: int, rate: Fraction, height: int, width: int) -> None:
    plan = plan_motion(frames, rate, height, width)
    low, high = limits.MOTION_SIDE
    assert all(low <= side <= high for side in plan.size)
    assert 1 <= plan.count <= limits.MOTION
    assert (plan.count - 1) * plan.step < frames <= plan.count * plan.step
    assert plan.rate * plan.step == rate
    assert plan.count * plan.size[0] * plan.size[1] <= max(MOST_BYTES, plan.count * 32 * high)
    assert plan.count * plan.size[0] * plan.size[1] <= limits.FRAME_BYTES


def test_usual_shots_keep_every_frame() -> None:
    assert plan_motion(240, Fraction(24), 1080, 1920) == MotionPlan(1, 240, Fraction(24), (FINE, 398))
    assert plan_motion(600, Fraction(60000, 1001), 720, 1280).step == 1
    assert plan_motion(600, Fraction(120), 720, 1280).step == 2


def test_the_longer_the_smaller() -> None:
    sizes = [plan_motion(frames, Fraction(24), 1080, 1920).size for frames in (1_440, 2_400, 14_400, 28_800)]
    assert sizes[0] == (FINE, 398)
    assert sizes[1] == (SIDE, 256)
    assert SIDE > sizes[2][0] > sizes[3][0]


@given(
    shorter=st.integers(1, 400_000),
    more=st.integers(0, 400_000),
    height=st.integers(1, 3_000),
    width=st.integers(1, 3_000),
)
def test_a_longer_shot_never_gets_larger_pictures(shorter: int, more: int, height: int, width: int) -> None:
    one, other = (plan_motion(frames, Fraction(60), height, width) for frames in (shorter, shorter + more))
    if one.step == other.step:
        assert other.size[0] <= one.size[0]
        assert other.size[1] <= one.size[1]


def test_nothing_to_look_at_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="empty"):
        plan_motion(0, Fraction(24), 10, 10)


def test_pictures_are_as_bright_as_they_look() -> None:
    store = MotionFrames(MotionPlan(1, 2, Fraction(24), (8, 12)))
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8] = (255, 0, 0)
    store.put(0, pixels)
    store.put(1, np.full((16, 24, 4), 1.0, np.float32), bottom_up=True)
    assert store.grey[0, 0, 0] == 54
    assert store.grey[0, -1, 0] == 0
    assert (store.grey[1] == 255).all()
