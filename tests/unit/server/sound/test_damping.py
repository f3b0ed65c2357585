# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing that is hit again stops ringing, smoothly, and the new hit is heard."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.server.sound import damping, onsets
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import RATE, bell


def summed(parts: list[np.ndarray], starts: list[int]) -> np.ndarray:
    total = np.zeros(max(start + len(part) for part, start in zip(parts, starts, strict=True)), np.float64)
    for part, start in zip(parts, starts, strict=True):
        total[start : start + len(part)] += part
    return total


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound.astype(float)).mean() + 1e-20))


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.1, 0.03])
def test_a_soft_hit_is_heard_over_the_ringing_before_it(strength: float) -> None:
    starts = [0, RATE // 4]
    parts = damping.damp([bell(), bell() * np.float32(strength)], starts, RATE)
    sound = summed(parts, starts)
    second = starts[1]
    rise = level_db(sound[second : second + 480]) - level_db(sound[second - 96 : second])
    assert rise > damping.UNDER_DB - 3
    near = sound[second - 960 : second + 960].astype(np.float32)
    assert abs(onsets.attack(near, RATE, first=480) - 960) < 0.005 * RATE


def test_alone_it_rings_on() -> None:
    [part] = damping.damp([bell()], [0], RATE)
    assert np.array_equal(part, bell())
    later = damping.damp([bell(), bell()], [0, 3 * RATE], RATE)
    assert all(np.array_equal(part, bell()) for part in later)


def test_damping_has_no_click() -> None:
    low = bell(pitch_hz=60.0)
    parts = damping.damp([low, low * np.float32(0.1)], [0, RATE // 3], RATE)
    steps = np.abs(np.diff(parts[0].astype(float)))
    assert steps.max() <= 1.5 * np.abs(np.diff(low.astype(float))).max()
    assert abs(parts[0][-1]) < 1e-3


def test_a_hundred_and_twenty_a_second_stay_sane() -> None:
    starts = [round(number * RATE / 120) for number in range(240)]
    parts = damping.damp([bell()] * 240, starts, RATE)
    sound = summed(parts, starts)
    assert np.abs(sound).max() < 2.0 * np.abs(bell()).max()
    assert max(len(part) for part in parts[:-20]) < RATE // 5  # not smeared


@settings(max_examples=40, deadline=None)
@given(
    starts=st.lists(st.integers(0, 20_000), min_size=1, max_size=20),
    gains=st.lists(st.floats(0.0, 1.0), min_size=20, max_size=20),
)
def test_nothing_gets_louder_and_all_stays_finite(starts: list[int], gains: list[float]) -> None:
    starts = sorted(starts)
    parts = [bell(0.2) * np.float32(gain) for gain, _ in zip(gains, starts, strict=False)]
    made = damping.damp(parts, starts, RATE)
    for part, one in zip(parts, made, strict=True):
        assert 1 <= len(one) <= len(part)
        assert (np.abs(one) <= np.abs(part[: len(one)]) + 1e-7).all()


@given(
    starts=st.lists(st.integers(0, 2_000), min_size=1, max_size=30),
    levels=st.lists(st.floats(0, 1), min_size=30, max_size=30),
)
def test_hits_at_once_are_one(starts: list[int], levels: list[float]) -> None:
    kept = damping.at_once(starts, levels, RATE)
    assert [starts[index] for index in kept] == sorted(starts[index] for index in kept)
    assert len(set(kept)) == len(kept)
    loudest = max(range(len(starts)), key=lambda index: (levels[index], -starts[index]))
    assert max(levels[index] for index in kept) == levels[loudest]
    assert damping.at_once([0, 5000, 40, 10_000], [0.1, 1, 0.5, 1], RATE) == [2, 1, 3]
