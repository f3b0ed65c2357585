# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of sounds whose spectrum and level are known, and who keeps within whose spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from footfall.server.evaluation import references, statistics

RATE = 16_000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def hiss(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal(round(seconds * RATE))).astype(np.float32)


def test_a_tone_lies_where_it_is() -> None:
    found = statistics.describe(tone(1000.0), RATE)
    assert found["centroid_oct"] == pytest.approx(math.log2(1000), abs=0.05)
    assert found["rolloff_oct"] == pytest.approx(math.log2(1000), abs=0.1)
    assert found["spread_oct"] < 0.2
    assert found["crest_db"] == pytest.approx(10 * math.log10(2), abs=0.05)
    assert found["range_db"] == pytest.approx(0.0, abs=0.05)
    # between two bands, so both have half of it
    assert max(found["band_500_db"], found["band_1000_db"]) > -4


def test_white_noise_is_flat_and_its_bands_are_as_wide_as_they_are() -> None:
    found = statistics.describe(hiss(8.0), RATE)
    assert found["flatness_db"] == pytest.approx(0.0, abs=0.2)
    assert found["band_4000_db"] == pytest.approx(10 * math.log10(0.5), abs=0.3)
    assert found["band_2000_db"] == pytest.approx(10 * math.log10(0.25), abs=0.3)
    assert found["crest_db"] > 9


def test_a_knock_has_range_and_a_floor() -> None:
    sound = hiss() * 0.001
    sound[8000:9600] += tone(500.0, 0.1)
    found = statistics.describe(sound, RATE)
    assert found["floor_db"] < -50
    assert found["crest_db"] > 10


@pytest.mark.parametrize("sound", [np.zeros(RATE, np.float32), np.zeros(0, np.float32), tone(300.0, 0.001)])
def test_silence_and_snippets_have_finite_statistics(sound: np.ndarray) -> None:
    found = statistics.describe(sound, RATE)
    assert all(math.isfinite(value) for value in found.values()), found


def test_silence_is_told_from_what_is_only_quiet() -> None:
    assert statistics.is_silent(np.zeros(100, np.float32))
    assert statistics.is_silent(np.zeros(0, np.float32))
    assert statistics.is_silent(np.full(100, np.nan, np.float32))
    assert statistics.is_silent(tone(300.0) * 1e-4)
    assert not statistics.is_silent(tone(300.0) * 0.01)


def rows(values: list[float]) -> list[dict[str, float]]:
    return [{"level": value, "other": 1.0} for value in values]


def test_medians_are_held_against_the_real_spread() -> None:
    real = {"rain": rows([0.0, 1.0, 2.0, 3.0, 4.0]), "bell": rows([0.0] * 5), "saw": rows([0.0] * 4)}
    made = {"rain": rows([1.0, 3.0, 99.0]), "bell": rows([5.0]), "saw": rows([7.0]), "door": rows([1.0])}
    found = statistics.within(real, made)
    # saw has too few real sounds and door none; bell's level is outside
    assert found.compared == 4
    assert found.share == pytest.approx(3 / 4)
    assert [(one.family, one.statistic, one.found) for one in found.outside] == [("bell", "level", 5.0)]


def test_nothing_to_compare_is_no_number() -> None:
    assert math.isnan(statistics.within({}, {"rain": rows([1.0])}).share)


def test_shaped_noise_has_the_mean_spectrum_and_is_never_the_same() -> None:
    sounds = [tone(700.0, 2.0) + hiss(seed=1) * 0.01, hiss(seed=2)]
    made = references.shaped_noise(sounds, 40)
    wanted = np.mean([np.square(np.abs(np.fft.rfft(s))) for s in sounds], axis=0)
    found = np.mean([np.square(np.abs(np.fft.rfft(s))) for s in made], axis=0)
    for low, high in ((100, 1300), (1380, 1420), (1500, 15000)):
        assert found[low:high].sum() == pytest.approx(wanted[low:high].sum(), rel=0.3)
    assert not np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], references.shaped_noise(sounds, 1)[0])


def test_wrong_partners_are_of_another_family_and_each_is_used_once() -> None:
    families = ["rain", "bell", "rain", "saw", "bell", "rain", "saw", "door"]
    partners = references.wrong_partners(families)
    assert sorted(partners) == list(range(8))
    assert all(families[mine] != families[other] for mine, other in enumerate(partners))


@pytest.mark.parametrize("families", [["rain"], ["rain"] * 4, ["rain", "rain", "rain", "bell"]])
def test_wrong_partners_where_there_are_hardly_any(families: list[str]) -> None:
    partners = references.wrong_partners(families)
    assert sorted(partners) == list(range(len(families)))


def test_silence_is_silent() -> None:
    made = references.silence(2, 50)
    assert len(made) == 2
    assert all(statistics.is_silent(sound) for sound in made)
