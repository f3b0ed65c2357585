# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds worn as recordings are: the same draw gives the same, and all kinds of wear turn up."""

from __future__ import annotations

import numpy as np
from footfall.server.train.worn import worn

SAMPLES = 8_000


def test_a_worn_sound_is_a_sound() -> None:
    sound = np.random.default_rng(0).standard_normal(SAMPLES).astype(np.float32)
    for seed in range(20):
        found = worn(np.random.default_rng(seed), sound)
        assert found.shape == sound.shape
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert np.array_equal(found, worn(np.random.default_rng(seed), sound))
    assert not worn(np.random.default_rng(0), np.zeros(SAMPLES)).any()


def test_tops_are_taken_off_and_pauses_are_silent() -> None:
    sound = np.random.default_rng(0).standard_normal(SAMPLES)
    made = [worn(np.random.default_rng(seed), sound) for seed in range(60)]
    tops = [float(np.abs(np.fft.rfft(one))[-10:].mean()) for one in made]  # 10 Hz at the very top
    open_top = float(np.abs(np.fft.rfft(sound))[-10:].mean())
    assert 20 < sum(top < 0.1 * open_top for top in tops) < 60
    silent = sum(bool((one[:100] == 0.0).all() or (one[-100:] == 0.0).all()) for one in made)
    assert 3 < silent < 40
