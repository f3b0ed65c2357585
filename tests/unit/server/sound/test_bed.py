# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed under cuts, loops and spots: exact lengths, no seams, no steps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from footfall.server.sound import bed
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import RATE


def hum(seconds: Fraction, seed: int = 0) -> np.ndarray:
    """(N, 1) of noise that a bed could be."""
    random = np.random.default_rng(seed)
    return random.normal(0, 0.1, (round(seconds * RATE), 1)).astype(np.float32)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound.astype(float)).mean() + 1e-20))


@settings(max_examples=60)
@given(
    duration_s=st.fractions(Fraction(1, 100), 60, max_denominator=1000),
    cuts=st.lists(st.fractions(0, 60, max_denominator=1000), max_size=12),
    loop=st.booleans(),
)
def test_parts_cover_the_shot_and_reach_a_little_further(
    duration_s: Fraction, cuts: list[Fraction], loop: bool
) -> None:
    parts = bed.segments(duration_s, cuts, loop=loop)
    assert parts[0].start_s == 0
    assert parts[-1].stop_s == duration_s
    for before, after in pairwise(parts):
        assert before.stop_s == after.start_s in cuts
        assert after.from_s < before.stop_s < before.from_s + before.length_s
    assert all(part.stop_s - part.start_s >= bed.SHORTEST_S for part in parts) or len(parts) == 1
    assert (parts[-1].tail_s > 0) == loop
    assert len(parts) > 1 or loop or parts[0] == bed.Segment(start_s=Fraction(0), stop_s=duration_s)


def test_a_hard_cut_is_exact_and_as_loud() -> None:
    cut = Fraction(4999, 2000)
    parts = bed.segments(Fraction(5), [cut], loop=False)
    low, high = (hum(part.length_s, number) for number, part in enumerate(parts))
    sound = bed.joined([low, high], parts, RATE)
    assert len(sound) == 5 * RATE
    at, half = round(cut * RATE), round(bed.CUT_S / 2 * RATE)
    assert np.array_equal(sound[: at - half], low[: at - half])
    lead = round(parts[1].lead_s * RATE)
    assert np.array_equal(sound[at + half :], high[lead + half : lead + half + len(sound) - at - half])
    levels = [float(np.square(sound[at - half + n * 48 :][:48]).mean()) for n in range(10)]
    assert np.mean(levels) == pytest.approx(0.01, rel=0.2)


@settings(max_examples=20, deadline=None)
@given(
    duration_s=st.fractions(Fraction(1, 2), 4, max_denominator=600),
    cuts=st.lists(st.fractions(0, 4, max_denominator=600), max_size=3),
    loop=st.booleans(),
    rate_hz=st.sampled_from([8_000, 44_100]),
)
def test_any_parts_can_be_joined(
    duration_s: Fraction, cuts: list[Fraction], loop: bool, rate_hz: int
) -> None:
    parts = bed.segments(duration_s, cuts, loop=loop)
    pieces = [np.ones((round(part.length_s * rate_hz) + 2, 1), np.float32) for part in parts]
    sound = bed.joined(pieces, parts, rate_hz)
    samples = round(duration_s * rate_hz)
    assert len(bed.looped(sound, samples) if loop else sound) == samples
    assert sound.min() > 0.99
    assert sound.max() < 1.4143


def test_a_loop_has_no_seam() -> None:
    """Its last sample is followed by its first as in one sound, and it is as loud there as elsewhere."""
    [part] = bed.segments(Fraction(3), [], loop=True)
    time = np.arange(round(part.length_s * RATE)) / RATE - float(part.lead_s)
    wave = (0.3 * np.sin(2 * np.pi * 211.3 * time + 0.4 * np.sin(7 * time)))[:, None].astype(np.float32)
    sound = bed.looped(bed.joined([wave], [part], RATE), 3 * RATE)
    twice = np.concatenate((sound, sound))[:, 0]
    steps = np.abs(np.diff(twice))
    assert steps[len(sound) - 1] <= steps[: len(sound) - 1].max()
    noise = bed.looped(bed.joined([hum(part.length_s)], [part], RATE), 3 * RATE)
    levels = np.square(noise).reshape(-1, 2400).mean(1)
    assert levels[:10].mean() == pytest.approx(float(levels[10:].mean()), rel=0.05)


@settings(max_examples=30, deadline=None)
@given(
    spans=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 0.5)), max_size=12),
    by_db=st.floats(0, 40),
    loop=st.booleans(),
)
def test_ducking_is_bounded_and_smooth(spans: list[tuple[float, float]], by_db: float, loop: bool) -> None:
    ones = np.ones((2 * 8_000, 2), np.float32)
    made = bed.ducked(ones, [(start, start + length) for start, length in spans], by_db, 8_000, loop=loop)
    floor = 10 ** (-by_db / 20)
    assert made.min() >= floor - 1e-5
    assert made.max() <= 1.0
    steps = np.abs(np.diff(20 * np.log10(made[:, 0])))
    assert steps.max(initial=0.0) <= by_db * 0.06 + 1e-4  # 5 ms are 40 samples here
    if loop and len(made):
        assert abs(20 * np.log10(made[0, 0] / made[-1, 0])) <= by_db * 0.06 + 1e-4
    for start, length in spans:
        middle = round((start + length / 2) * 8_000)
        if middle < len(made):
            assert made[middle, 0] == pytest.approx(floor, rel=1e-4)


def test_no_ducking_is_the_bed_itself() -> None:
    sound = hum(Fraction(1))
    assert bed.ducked(sound, [(0.1, 0.2)], 0.0, RATE) is sound
    assert bed.ducked(sound, [], 12.0, RATE) is sound


def test_the_bed_is_down_when_the_hit_begins_and_back_soon() -> None:
    made = bed.ducked(np.ones((RATE, 1), np.float32), [(0.3, 0.4)], 12.0, RATE)
    level = 20 * np.log10(made[:, 0])
    assert level[round(0.294 * RATE)] == pytest.approx(0.0, abs=0.01)
    assert level[round(0.3 * RATE)] == pytest.approx(-12.0, abs=0.01)
    assert level[round(0.475 * RATE)] == pytest.approx(-6.0, abs=0.2)
    assert level[round(0.56 * RATE)] == pytest.approx(0.0, abs=0.01)


def test_a_bed_may_begin_before_the_shot() -> None:
    [part] = bed.segments(Fraction(3), (), loop=False, lead_s=Fraction(1, 5))
    assert (part.from_s, part.start_s, part.length_s) == (Fraction(-1, 5), 0, Fraction(16, 5))
    soft = hum(part.length_s)
    soft[: RATE // 10] = 0.0  # models begin softly
    sound = bed.joined([soft], [part], RATE)
    assert len(sound) == 3 * RATE
    assert np.array_equal(sound, soft[RATE // 5 :])


def test_what_sticks_out_of_a_bed_is_calmed() -> None:
    random = np.random.default_rng(4)
    rain = random.normal(0, 0.05, (6 * RATE, 1)).astype(np.float32)
    struck = rain.copy()
    fall = np.exp(-np.arange(RATE // 2) / (0.05 * RATE))[:, None]
    struck[3 * RATE : 3 * RATE + RATE // 2] += (fall * random.normal(0, 0.6, (RATE // 2, 1))).astype(
        np.float32
    )
    calm = bed.calmed(struck, RATE)
    first = slice(3 * RATE, 3 * RATE + 480)
    assert level_db(calm[first]) < level_db(struck[first]) - 9
    assert level_db(calm[first]) > level_db(struck[first]) - 13
    assert np.array_equal(calm[: 2 * RATE], rain[: 2 * RATE])
    assert np.array_equal(calm[4 * RATE :], rain[4 * RATE :])
    assert np.abs(np.diff(calm[:, 0])).max() <= np.abs(np.diff(struck[:, 0])).max()


@pytest.mark.parametrize("samples", [1, 100, 5_000])
def test_a_bed_that_goes_on_stays_as_it_is(samples: int) -> None:
    time = np.arange(samples) / RATE
    swells = (np.sin(2 * np.pi * 200 * time) * (1 + 0.5 * np.sin(2 * np.pi * 0.4 * time)))[:, None]
    sound = np.repeat(swells, 2, 1).astype(np.float32)
    assert np.array_equal(bed.calmed(sound, RATE), sound)
    assert not bed.calmed(np.zeros((samples, 1), np.float32), RATE).any()
