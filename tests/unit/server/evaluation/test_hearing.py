# SPDX-License-Identifier: GPL-3.0-or-later
"""When spots are heard: onsets and attacks, masked by others, and crowded."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.server.evaluation.hearing import Spot, figures, listen

RATE = 48_000


def knock(seed: int, decay_s: float = 0.03, tone_hz: float = 0.0) -> np.ndarray:
    clock = np.arange(3 * RATE) / RATE
    body = (
        np.random.default_rng(seed).standard_normal(len(clock))
        if not tone_hz
        else np.sin(2 * np.pi * tone_hz * clock)
    )
    return (0.4 * body * np.exp(-clock / decay_s)).astype(np.float32)


def mixed(sounds: list[tuple[float, np.ndarray]]) -> np.ndarray:
    mix = np.zeros(4 * RATE, np.float32)
    for time_s, sound in sounds:
        start = round(time_s * RATE)
        mix[start : start + len(sound)] += sound[: len(mix) - start]
    return mix


def head(sound: np.ndarray) -> np.ndarray:
    return sound[: round(0.06 * RATE)]


def test_what_is_late_is_told_by_onset_and_by_attack() -> None:
    one, other = knock(1), knock(2)
    mix = mixed([(1.0, one), (2.007, other)])
    first, second = listen(mix, RATE, [Spot(2.0, head(other)), Spot(1.0, head(one))])
    assert (first.time_s, second.time_s) == (1.0, 2.0)
    assert first.attack_s == pytest.approx(0.0, abs=6e-4)
    assert second.attack_s == pytest.approx(0.007, abs=6e-4)
    assert (first.onset_s, second.onset_s) == pytest.approx((0.0, 0.007), abs=6e-4)
    assert not any(spot.masked or spot.crowded for spot in (first, second))


def test_a_soft_hit_under_ringing_is_masked_and_its_onset_still_found() -> None:
    bell, soft = knock(0, decay_s=2.0, tone_hz=400.0), 0.05 * knock(3)
    mix = mixed([(0.5, bell), (1.5, soft)])
    loud, hidden = listen(mix, RATE, [Spot(0.5, head(bell)), Spot(1.5, head(soft))])
    assert hidden.masked
    assert not loud.masked
    assert abs(hidden.onset_s) < 6e-4
    told = figures([loud, hidden], 4.0, 1 / 24)
    assert (told["spots"], told["clear"], told["masked"], told["crowded"]) == (2, 1, 1, 0)


def test_hits_at_nearly_one_moment_are_crowded() -> None:
    one, other = knock(1), knock(2)
    heard = listen(mixed([(1.0, one), (1.02, other)]), RATE, [Spot(1.0, head(one)), Spot(1.02, head(other))])
    assert all(spot.crowded for spot in heard)
    assert [spot.onset_s for spot in heard] == pytest.approx([0.0, 0.0], abs=6e-4)


def test_two_at_one_moment_and_one_after_the_end() -> None:
    spots = [Spot(1.0, head(knock(1))), Spot(1.0, head(knock(2))), Spot(9.0, head(knock(3)))]
    heard = listen(mixed([(1.0, knock(1)), (1.0, knock(2))]), RATE, spots)
    assert [spot.crowded for spot in heard] == [True, True, False]
    assert heard[2].masked


def test_a_spot_that_begins_late_in_itself_is_late() -> None:
    sound = np.concatenate([np.zeros(round(0.012 * RATE), np.float32), knock(5)])
    (spot,) = listen(mixed([(1.0, sound)]), RATE, [Spot(1.0, head(sound))])
    assert spot.onset_s == pytest.approx(0.012, abs=6e-4)


def test_a_louder_sound_nearby_is_no_error_of_the_onset() -> None:
    soft, loud = 0.3 * knock(1), knock(2)
    (spot,) = listen(mixed([(1.0, soft), (1.05, loud)]), RATE, [Spot(1.0, head(soft)[: RATE // 50])])
    assert spot.attack_s == pytest.approx(0.05, abs=2e-3)
    assert abs(spot.onset_s) < 6e-4


def test_drift_is_seen_over_the_whole_length() -> None:
    sounds = [(0.3 * n, knock(n)) for n in range(1, 12)]
    mix = mixed([(time_s * 1.002, sound) for time_s, sound in sounds])
    told = figures(listen(mix, RATE, [Spot(t, head(s)) for t, s in sounds]), 4.0, 1 / 24)
    assert told["drift_ms_in_ten_minutes"] == pytest.approx(1200.0, rel=0.1)
    assert told["attack_worst_ms"] == pytest.approx(6.6, abs=0.7)
    assert told["onset_worst_ms"] == pytest.approx(6.6, abs=0.6)
    assert told["stands_out"] == 1.0


def test_silence_is_no_sound_and_no_error() -> None:
    (spot,) = listen(np.zeros(RATE, np.float32), RATE, [Spot(0.5, np.zeros(100, np.float32))])
    assert spot.masked
    assert np.isnan(figures([spot], 1.0, 0.04)["stands_out"])
