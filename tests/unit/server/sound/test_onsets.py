# SPDX-License-Identifier: GPL-3.0-or-later
"""The attack is found to a millisecond, in clean sound and over a noise floor."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.server.sound.onsets import attack, envelope
from hypothesis import given, settings
from hypothesis import strategies as st


def knock(rate_hz: int, at: int, floor: float, decay: float, pitch: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    sound = generator.normal(0, 1, rate_hz) * floor
    time = np.arange(rate_hz - at) / rate_hz
    sound[at:] += np.exp(-time * decay) * np.sin(2 * np.pi * pitch * time + 1.0)
    return sound.astype(np.float32)


@settings(max_examples=60)
@given(
    rate_hz=st.sampled_from([16_000, 48_000]),
    place=st.floats(0.02, 0.7),
    floor=st.floats(0.0, 0.03),
    decay=st.floats(5, 60),
    pitch=st.floats(200, 4_000),
    seed=st.integers(0, 1_000),
)
def test_attack_is_found(
    rate_hz: int, place: float, floor: float, decay: float, pitch: float, seed: int
) -> None:
    at = round(place * rate_hz)
    found = attack(knock(rate_hz, at, floor, decay, pitch, seed), rate_hz)
    assert abs(found - at) / rate_hz < 0.003


@pytest.mark.parametrize("sound", [np.zeros(100, np.float32), np.zeros(0, np.float32)])
def test_silence_begins_at_once(sound: np.ndarray) -> None:
    assert attack(sound, 48_000) == 0


def test_a_sound_that_begins_at_its_start() -> None:
    assert attack(knock(48_000, 0, 0.0, 20, 800, 0), 48_000) < 48


def test_envelope_of_a_constant_is_that_constant() -> None:
    assert np.allclose(envelope(np.full(1_000, 0.5, np.float32), 48_000), 0.5)


def test_what_rang_before_is_no_attack() -> None:
    """A slice out of a sound: the ringing at its beginning is not silence that ends."""
    ringing = np.full(4_800, 0.9, np.float32)
    ringing[2_400:] *= np.linspace(0.1, 0.0, 2_400, dtype=np.float32)
    ringing[3_600:3_800] += 0.4
    assert attack(ringing, 48_000) == 0
    assert abs(attack(ringing, 48_000, first=480) - 3_600) < 48
    assert attack(np.zeros(100, np.float32), 48_000, first=7) == 7
