# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync inside one sound: where it may sound, and attacks moved to their hits."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from footfall.addon.wire.messages import Event
from footfall.server.sound import syncing
from footfall.server.sound.onsets import attack
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import RATE, bell, hit

times_strategy = st.lists(st.fractions(0, 12, max_denominator=480), min_size=1, max_size=30)


@given(times=times_strategy, kind=st.sampled_from(["hit", "slide"]))
def test_every_hit_may_sound_and_much_else_is_silent(times: list[Fraction], kind: str) -> None:
    events = [Event(time_s=time, kind=kind) for time in times]
    found = syncing.columns(events, 0.04, 256)
    assert list(found) == sorted(found)
    for before, after in pairwise(found):
        assert before[1] < after[0]
    for time in times:
        column = int(float(time) / 0.04)
        assert column >= 256 or any(first <= column < stop for first, stop in found)
    assert all(0 <= first < stop <= 256 for first, stop in found)


def test_it_is_silent_before_a_hit() -> None:
    assert syncing.columns([hit(1), hit(Fraction(3, 2))], 0.04, 256) == ((25, 35), (37, 57))
    assert syncing.columns([hit(1), hit(Fraction(109, 100))], 0.04, 256) == ((25, 47),)
    assert syncing.columns([hit(20)], 0.04, 256) == ()


@pytest.mark.parametrize("late_s", [-0.03, 0.0, 0.05, 0.15])
def test_attacks_come_to_their_hits(late_s: float) -> None:
    hits = [hit(Fraction(1, 2)), hit(Fraction(17, 10), strength=0.5), hit(Fraction(5, 2))]
    sound = np.zeros((4 * RATE, 1), np.float32)
    for number, event in enumerate(hits):
        at = round((float(event.time_s) + late_s) * RATE)
        strike = bell(0.5, rings_s=0.1)
        sound[at : at + len(strike), 0] += strike * np.float32((1.0, 0.3, 0.6)[number])
    made = syncing.aligned(sound, hits, RATE)[:, 0]
    assert len(made) == len(sound)
    peaks = []
    for event in hits:
        at = round(event.time_s * RATE)
        found = attack(made[at - 4_800 : at + 4_800], RATE) - 4_800
        assert abs(found) < 0.005 * RATE
        peaks.append(float(np.abs(made[at : at + 4_800]).max()))
    assert peaks[1] == pytest.approx(peaks[0] / 2, rel=0.2)  # as hard as the hit, whatever the model made
    assert peaks[2] == pytest.approx(peaks[0], rel=0.2)


def test_what_swells_begins_at_its_hit() -> None:
    time = np.arange(2 * RATE) / RATE
    swell = (np.clip(time - 0.98, 0, 1) * np.sin(2 * np.pi * 300 * time))[:, None].astype(np.float32)
    made = syncing.aligned(swell, [hit(Fraction(1))], RATE)[:, 0]
    assert not made[: RATE - 480].any()
    assert np.abs(made[RATE : RATE + 960]).max() > 4 * np.abs(made[-4_800:]).max()
    assert np.abs(made).max() <= 1.01 * np.abs(swell).max()


@settings(max_examples=30, deadline=None)
@given(times=times_strategy, seed=st.integers(0, 99), kind=st.sampled_from(["hit", "roll"]))
def test_anything_can_be_aligned(times: list[Fraction], seed: int, kind: str) -> None:
    sound = np.random.default_rng(seed).normal(0, 0.1, (5 * 8_000, 1)).astype(np.float32)
    made = syncing.aligned(sound, [Event(time_s=time, kind=kind) for time in times], 8_000)
    assert made.shape == sound.shape
    assert np.isfinite(made).all()


def test_silence_stays_silent() -> None:
    silence = np.zeros((8_000, 1), np.float32)
    assert not syncing.aligned(silence, [hit(Fraction(1, 10)), hit(Fraction(1, 2))], 8_000).any()
    assert not syncing.aligned(silence, [], 8_000).any()


def struck(times_s: list[float], gains: list[float], seconds: float = 4.0) -> np.ndarray:
    """(N, 1) a bell at each time."""
    sound = np.random.default_rng(5).normal(0, 1e-4, (round(seconds * RATE), 1)).astype(np.float32)
    for time_s, gain in zip(times_s, gains, strict=True):
        at = round(time_s * RATE)
        strike = bell(0.6, rings_s=0.1)[: len(sound) - at]
        sound[at : at + len(strike), 0] += strike * np.float32(gain)
    return sound


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound.astype(float)).mean() + 1e-20))


def test_what_the_model_left_out_is_heard_too() -> None:
    times = [0.5, 1.5, 2.5, 3.2]
    hits = [hit(Fraction(str(time)), "wood" if time < 2 else "tin", strength=0.8) for time in times]
    sound = struck([0.5, 3.2], [1.0, 0.6])
    sound[round(3.2 * RATE) :, 0] *= np.sign(np.sin(np.arange(len(sound) - round(3.2 * RATE)) * 0.4))
    made = syncing.aligned(sound, hits, RATE)[:, 0]
    peaks = []
    for event in hits:
        at = round(event.time_s * RATE)
        near = made[at - 2_400 : at + 2_400]
        assert abs(attack(near, RATE, 480) - 2_400) < 0.002 * RATE
        peaks.append(float(np.abs(near).max()))
    assert min(peaks) > 0.6 * max(peaks)

    def likeness(one: float, other: float) -> float:
        first, second = (np.abs(np.fft.rfft(made[round(t * RATE) :][:9_600])) for t in (one, other))
        return float(np.corrcoef(first, second)[0, 1])

    assert likeness(1.5, 0.5) > likeness(1.5, 3.2)  # wood like wood
    assert likeness(2.5, 3.2) > likeness(2.5, 0.5)  # tin like tin
    first, second = made[RATE // 2 :][:4_800], made[3 * RATE // 2 :][:4_800]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.9  # and not quite the same


def test_a_hit_is_heard_once() -> None:
    """What the model lets strike again at a moment without a hit is no hit, nor does it ring on loudly."""
    made = syncing.aligned(struck([0.5, 0.85, 1.2], [0.5, 1.0, 0.7]), [hit(Fraction(1, 2))], RATE)[:, 0]
    levels = [level_db(made[round(time * RATE) :][:1_200]) for time in (0.5, 0.845, 0.86, 1.21)]
    assert levels[0] > levels[1] + 10
    assert levels[2] < levels[1] + 6
    assert levels[3] < levels[2] + 3


def test_a_soft_hit_is_heard_in_the_ringing_of_a_hard_one() -> None:
    hits = [hit(1), hit(Fraction(5, 4), strength=0.15), hit(2, strength=0.5)]
    time = np.arange(4 * RATE) / RATE
    ringing = 0.4 * np.exp(-np.maximum(time - 1, 0) / 0.8) * (time > 1) * np.sin(2 * np.pi * 700 * time)
    sound = struck([1.25, 2.0], [0.1, 0.2]) + ringing[:, None].astype(np.float32)
    made = syncing.aligned(sound, hits, RATE)[:, 0]
    at = 5 * RATE // 4
    assert level_db(made[at : at + 480]) > level_db(made[at - 96 : at - 48]) + 6
    assert abs(attack(made[at - 960 : at + 960], RATE, 480) - 960) < 0.005 * RATE


def test_sounds_end_softly() -> None:
    """A hit that comes late in the model's sound leaves a gap, and what rings before that is not cut off."""
    time = np.arange(2 * RATE) / RATE
    ringing = (np.sin(2 * np.pi * 300 * time) * (time > 0.5))[:, None].astype(np.float32) * 0.3
    made = syncing.aligned(ringing + struck([1.4], [1.0], 2.0), [hit(0.5), hit(1.5)], RATE)[:, 0]
    steps = np.abs(np.diff(made[round(0.52 * RATE) : round(1.49 * RATE)]))
    assert steps.max() < 1.2 * np.abs(made[round(0.52 * RATE) :][:24_000]).max() * 2 * np.pi * 300 / RATE
