# SPDX-License-Identifier: GPL-3.0-or-later
"""A short sound begins with its attack, and is never quite the same twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from footfall.server.sound import onsets, spots
from footfall.server.sound.spots import PITCHES, Voice
from hypothesis import given
from hypothesis import strategies as st

from .hits import RATE, knock


@pytest.mark.parametrize("attack_s", [0.0, 0.05, 0.3, 1.2])
def test_a_spot_begins_with_its_attack(attack_s: float) -> None:
    sound = spots.spot(knock(attack_s), 16_000, RATE, -23.0)
    loud = np.flatnonzero(np.abs(sound) > 0.3 * np.abs(sound).max())
    assert loud[0] < 0.005 * RATE
    assert abs(sound[-1]) < 1e-3
    assert len(sound) <= 2.56 * RATE


def test_a_spot_strikes_once() -> None:
    """A generator likes to knock twice; nobody sees the second, and each hit has a sound of its own."""
    twice = knock(0.3) + 0.7 * knock(0.65, seed=2)
    sound = spots.spot(twice, 16_000, RATE, -23.0)
    levels = onsets.envelope(sound, RATE, 0.03)
    before, again = levels[round(0.32 * RATE)], levels[round(0.35 * RATE) : round(0.5 * RATE)].max()
    assert again < 2.2 * before
    alone = spots.spot(knock(0.3), 16_000, RATE, -23.0)
    strike, alike = sound[: RATE // 10], alone[: RATE // 10]
    assert np.corrcoef(strike, alike)[0, 1] > 0.98  # the first is untouched
    lasting = onsets.envelope(spots.spot(twice, 16_000, RATE, -23.0, dies_away=False), RATE, 0.03)
    assert lasting[round(0.35 * RATE) : round(0.5 * RATE)].max() > 4.0 * before


def test_a_sound_that_beats_rings_on() -> None:
    """Two modes close to each other swell and fade against each other; that is one strike."""
    time = np.arange(RATE) / RATE
    two = np.exp(-time / 0.4) * (np.cos(2 * np.pi * 800 * time) + 0.3 * np.cos(2 * np.pi * 809 * time))
    sound = two.astype(np.float32)
    assert np.abs(spots.once(sound, RATE) - sound).max() < 0.02 * np.abs(sound).max()
    assert len(spots.once(sound[:0], RATE)) == 0


@pytest.mark.parametrize(
    "sound",
    [np.zeros(40_960, np.float32), np.full(40_960, np.nan, np.float32), np.full(40_960, 1e4, np.float32)],
    ids=["silence", "no number", "far too loud"],
)
def test_a_spot_of_anything_is_a_sound(sound: np.ndarray) -> None:
    made = spots.spot(sound, 16_000, RATE, -23.0)
    assert len(made) > 0
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1.0


@given(numbers=st.lists(st.integers(0, 9_999), min_size=1, max_size=60), sounds=st.integers(1, 4))
def test_never_the_same_twice_in_a_row(numbers: list[int], sounds: int) -> None:
    found = list(spots.versions(numbers, sounds, 7, 0))
    assert found == list(spots.versions(numbers, sounds, 7, 0))
    assert found[0] == spots.Version(0, PITCHES // 2, 0.0)
    for before, after in pairwise(found):
        assert before.pitch != after.pitch
        assert sounds == 1 or before.sound != after.sound
        assert 0 <= after.sound < sounds
        assert 0 <= after.pitch < PITCHES
        assert 0 <= after.softer_db <= spots.LEVEL_SPREAD_DB


def centroid_hz(sound: np.ndarray) -> float:
    power = np.square(np.abs(np.fft.rfft(sound)))
    return float((power * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / power.sum())


def test_brightness_follows_strength() -> None:
    voice = Voice([spots.spot(knock(), 16_000, RATE, -23.0)], RATE)
    middle = spots.Version(0, PITCHES // 2, 0.0)
    heights = [centroid_hz(voice(middle, strength)) for strength in (1.0, 0.6, 0.2, 0.0)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > 1.3 * heights[-1]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000, 192_000])
def test_a_duller_sound_keeps_its_attack_and_its_lows(rate_hz: int) -> None:
    click = np.zeros(rate_hz // 10, np.float32)
    click[0] = 0.5
    dull = spots.duller(click, 0.0, rate_hz)
    assert int(np.abs(dull).argmax()) == 0
    response = np.abs(np.fft.rfft(dull)) / 0.5
    assert response[0] == pytest.approx(1.0, abs=1e-4)
    assert 20 * np.log10(response[-1]) == pytest.approx(spots.DULLEST_DB, abs=0.1)
    assert np.array_equal(spots.duller(click, 1.0, rate_hz), click)


def test_pitch_goes_up_and_down_a_little() -> None:
    time = np.arange(RATE // 2) / RATE
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    heights = [centroid_hz(spots.higher(tone, step, RATE)) for step in range(PITCHES)]
    assert heights == sorted(heights)
    assert heights[-1] / heights[0] == pytest.approx(1.03 / 0.97, rel=0.003)
    assert len(spots.higher(np.ones(1, np.float32), 0, RATE)) >= 1
