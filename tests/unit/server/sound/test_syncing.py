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
