# SPDX-License-Identifier: GPL-3.0-or-later
"""Onsets in sounds whose hits are known, and the pairing of the two."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from footfall.server.evaluation import timing
from hypothesis import given
from hypothesis import strategies as st

RATE = 16_000
TIMES = st.lists(st.integers(0, 200).map(lambda n: n / 50), max_size=5, unique=True).map(sorted)


def knocks(
    times: list[float], seconds: float = 2.56, noise_db: float = -60.0, decay_s: float = 0.05
) -> np.ndarray:
    draw = np.random.default_rng(4)
    sound = draw.standard_normal(round(seconds * RATE)) * 10 ** (noise_db / 20) * 0.3
    for number, time_s in enumerate(times):
        start = round(time_s * RATE)
        clock = np.arange(len(sound) - start) / RATE
        tone = np.sin(2 * np.pi * (500 + 170 * number) * clock) + 0.5 * draw.standard_normal(len(clock))
        sound[start:] += tone * np.exp(-clock / decay_s) * 0.5
    return sound.astype(np.float32)


def best_by_trying(truth: list[float], found: list[float], tolerance: float) -> tuple[int, float]:
    """Most pairs, then least error, over every way to pair."""
    best = (0, 0.0)
    for count in range(1, min(len(truth), len(found)) + 1):
        for mine in itertools.combinations(truth, count):
            for others in itertools.permutations(found, count):
                errors = [abs(a - b) for a, b in zip(mine, others, strict=True)]
                if max(errors) <= tolerance:
                    best = max(best, (count, -sum(errors)))
    return best


@given(TIMES, TIMES, st.sampled_from([0.02, 0.1, 0.5, 2.0]))
def test_the_pairing_is_the_best_there_is(truth: list[float], found: list[float], tolerance: float) -> None:
    pairs = timing.match(truth, found, tolerance)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    total = sum(abs(truth[i] - found[j]) for i, j in pairs)
    count, wanted = best_by_trying(truth, found, tolerance)
    assert len(pairs) == count
    assert total == pytest.approx(-wanted)


def test_one_sound_counts_for_one_hit_only() -> None:
    found = timing.against([1.0, 1.05], [1.02], 2.0)
    assert (found.hits, len(found.errors_s), found.false) == (2, 1, 0)
    assert found.coverage == 0.5


def test_errors_have_a_sign_and_order_does_not_matter() -> None:
    found = timing.against([2.0, 1.0], [1.98, 1.03, 3.0], 4.0)
    assert found.errors_s == pytest.approx([0.03, -0.02])
    assert found.at_s == pytest.approx([1.0, 2.0])
    assert found.false == 1


def test_drift_is_what_is_gained_each_second() -> None:
    hits = np.arange(1.0, 9.0)
    found = timing.against(hits, hits + 0.01 * hits + 0.002, 10.0)
    assert found.drift == pytest.approx(0.01)
    assert math.isnan(timing.against([1.0], [1.0], 2.0).drift)


def test_the_summary_by_hand() -> None:
    good = timing.against([0.5, 1.0], [0.51, 1.03], 2.0)
    poor = timing.against([0.5, 1.0], [0.7, 1.02, 1.5], 2.0)
    found = timing.summary([good, poor])
    assert found["hits"] == 4
    assert found["coverage"] == pytest.approx(3 / 4)
    assert found["median_ms"] == pytest.approx(20.0)
    assert found["p95_ms"] == pytest.approx(29.0)
    assert found["false_per_s"] == pytest.approx(2 / 4)
    assert found["f1"] == pytest.approx(2 * 3 / (4 + 5))


def test_nothing_to_measure_is_no_number() -> None:
    found = timing.summary([])
    assert all(math.isnan(value) for name, value in found.items() if name != "hits")
    assert math.isnan(timing.against([], [0.4], 1.0).coverage)


@pytest.mark.parametrize("times", [[0.3], [0.2, 0.9, 1.7], [0.15, 0.4, 0.65, 0.9, 1.15, 1.4, 1.65]])
def test_knocks_are_heard_when_they_are(times: list[float]) -> None:
    found = timing.onsets(knocks(times), RATE)
    result = timing.against(times, found, 2.56)
    assert result.coverage == 1.0
    assert result.false == 0
    assert np.abs(result.errors_s).max() < 0.005


def test_a_knock_over_the_tail_of_another_is_heard() -> None:
    times = [0.3, 0.7, 1.1]
    result = timing.against(times, timing.onsets(knocks(times, decay_s=0.2), RATE), 2.56)
    assert result.coverage == 1.0


def test_what_rings_from_before_is_no_attack() -> None:
    clock = np.arange(2 * RATE) / RATE
    ringing = 0.8 * np.sin(2 * np.pi * 300 * clock) * np.exp(-clock / 1.5)
    soft = knocks([1.0], seconds=2.0, noise_db=-90.0)
    result = timing.against([1.0], timing.onsets((ringing + 0.8 * soft).astype(np.float32), RATE), 2.0)
    assert result.coverage == 1.0
    assert abs(result.errors_s[0]) < 0.005


def test_steady_sounds_and_silence_have_no_onsets() -> None:
    draw = np.random.default_rng(0)
    hiss = draw.standard_normal(3 * RATE).astype(np.float32) * 0.1
    tone = (np.sin(2 * np.pi * 220 * np.arange(3 * RATE) / RATE) * 0.3).astype(np.float32)
    # the sound's own beginning may count
    for sound in (hiss, tone):
        assert len([t for t in timing.onsets(sound, RATE) if 0.1 < t < 2.9]) == 0
    assert len(timing.onsets(np.zeros(RATE, np.float32), RATE)) == 0
    assert len(timing.onsets(np.zeros(0, np.float32), RATE)) == 0
    assert len(timing.onsets(np.ones(10, np.float32), RATE)) == 0


def test_another_rate_gives_the_same_times() -> None:
    import soxr

    sound = knocks([0.4, 1.3])
    other = soxr.resample(sound, RATE, 48_000, quality="VHQ")
    assert timing.onsets(other, 48_000) == pytest.approx(timing.onsets(sound, RATE), abs=0.005)


def test_motion_peaks_where_the_picture_jumps() -> None:
    frames = np.zeros((12, 8, 8, 3), np.uint8)
    frames[4:] = 200
    frames[9:] = 90
    times = np.arange(12) / 10
    assert timing.motion_peaks(frames, times) == pytest.approx([0.35, 0.85])
    assert len(timing.motion_peaks(frames[:3], times[:3])) == 0
    assert len(timing.motion_peaks(frames[:1], times[:1])) == 0


def test_av_align_by_hand() -> None:
    assert timing.av_align([1.0, 2.0], [1.05, 2.0], 0.1) == 1.0
    assert timing.av_align([1.0, 2.0, 3.0], [1.05], 0.1) == pytest.approx(1 / 3)
    assert timing.av_align([1.0], [2.0], 0.1) == 0.0
    assert math.isnan(timing.av_align([], [], 0.1))
