# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished sound: exact length, the asked loudness, a true-peak ceiling, and never a NaN, whatever comes
in.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyloudnorm
import pytest
from footfall.server.sound import finishing
from hypothesis import given, settings
from hypothesis import strategies as st

CEILING = 10 ** (finishing.TRUE_PEAK_CEILING_DB / 20)


def noise(samples: int, level: float = 0.1, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(7).normal(0, level, (samples, channels)).astype(np.float32)


@settings(max_examples=40)
@given(
    samples_in=st.integers(1, 40_000),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    samples=st.integers(1, 60_000),
    level=st.floats(0, 1e4),
    channels=st.integers(1, 2),
)
def test_any_input_gives_exactly_what_was_asked(
    samples_in: int, rate_hz: int, samples: int, level: float, channels: int
) -> None:
    sound = finishing.finish(noise(samples_in, level, channels), 16_000, rate_hz, samples, -23.0)
    assert sound.shape == (samples, channels)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert finishing.true_peak(sound, rate_hz) <= CEILING * 1.001


@pytest.mark.parametrize("wanted", [-30.0, -23.0, -16.0])
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_loudness_is_what_was_asked(wanted: float, rate_hz: int) -> None:
    sound = finishing.finish(noise(16_000 * 3), 16_000, rate_hz, rate_hz * 3, wanted)
    assert pyloudnorm.Meter(rate_hz).integrated_loudness(sound.astype(float)) == pytest.approx(
        wanted, abs=0.1
    )


def test_a_short_knock_is_as_loud_as_a_long_sound() -> None:
    short = finishing.finish(noise(800), 16_000, 48_000, 2_400, -23.0)
    long = finishing.finish(noise(32_000), 16_000, 48_000, 96_000, -23.0)
    rms = [float(np.sqrt(np.mean(np.square(part)))) for part in (short, long)]
    assert rms[0] == pytest.approx(rms[1], rel=0.15)


def test_the_peak_between_samples_counts() -> None:
    time = np.arange(48_000) / 48_000
    sound = np.sin(2 * np.pi * 12_000 * time + np.pi / 4).astype(np.float32)[:, None] * 1.2
    assert np.abs(sound).max() < 0.9  # the samples miss the crests
    limited = finishing.limit(sound, 48_000)
    assert finishing.true_peak(limited, 48_000) == pytest.approx(CEILING, rel=0.01)


def test_silence_and_rubbish_stay_harmless() -> None:
    assert not finishing.finish(np.zeros(16_000), 16_000, 48_000, 48_000, -23.0).any()
    broken = noise(16_000)
    broken[100], broken[200], broken[300] = np.nan, np.inf, -np.inf
    assert np.isfinite(finishing.finish(broken, 16_000, 48_000, 48_000, -23.0)).all()
    hiss = finishing.finish(noise(16_000, 1e-6), 16_000, 48_000, 48_000, -23.0)
    assert float(np.abs(hiss).max()) < 1e-3  # nearly nothing is not blown up


def test_resampling_moves_nothing_in_time() -> None:
    click = np.zeros((16_000, 1), np.float32)
    click[8_000] = 1.0
    resampled = finishing.resample(click, 16_000, 48_000)
    assert int(np.abs(resampled).argmax()) == 24_000


def test_ends_are_faded_and_the_middle_is_left_alone() -> None:
    sound = np.ones((48_000, 1), np.float32)
    faded = finishing.fade(sound, 48_000)
    assert faded[0] < 0.01
    assert faded[-1] < 0.01
    assert (faded[1_000:-1_000] == 1.0).all()


@given(duration=st.fractions(Fraction(1, 100), 1200), rate_hz=st.sampled_from([16_000, 44_100, 48_000]))
def test_sample_count_is_the_nearest(duration: Fraction, rate_hz: int) -> None:
    assert abs(finishing.sample_count(duration, rate_hz) - duration * rate_hz) <= Fraction(1, 2)
