# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds of the synthetic world: on time, never silent, told apart, and driven by what the shot says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from footfall.server.train.synth.families import FAMILIES, NAMES
from footfall.server.train.synth.shot import RATE_HZ, SAMPLES, Hit, Shot
from footfall.server.train.synth.shots import make_shot
from footfall.server.train.synth.sounds import RECIPES, dsp, render
from scipy import fft, signal

WITH_HITS = [kin.name for kin in FAMILIES if kin.kind == "hits"]
STEADY = [kin.name for kin in FAMILIES if kin.kind == "steady"]


def shot_of(name: str, turn: int = 0, split: str = "train", **parameters: float | str) -> Shot:
    shot = make_shot(split, NAMES.index(name) + turn * len(NAMES))
    return replace(shot, parameters={**shot.parameters, **parameters})


def with_hits(shot: Shot, *hits: tuple[float, float]) -> Shot:
    return replace(shot, hits=tuple(Hit(time_s=time_s, strength=strength) for time_s, strength in hits))


def centroid_hz(sound: np.ndarray) -> float:
    """The power-weighted mean frequency, above the rumble."""
    power = np.abs(fft.rfft(sound)) ** 2
    hz = fft.rfftfreq(len(sound), 1 / RATE_HZ)
    heard = hz > 40
    return float(np.sum(power[heard] * hz[heard]) / np.sum(power[heard]))


def levels(sound: np.ndarray, parts: int) -> np.ndarray:
    """RMS of that many equal stretches."""
    return np.sqrt(np.mean(sound[: len(sound) // parts * parts].reshape(parts, -1) ** 2, axis=1))


def test_each_family_has_a_recipe() -> None:
    assert set(RECIPES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_sound(name: str) -> None:
    for turn in (0, 3):
        sound = render(shot_of(name, turn))
        assert sound.shape == (SAMPLES,)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0.01 < np.abs(sound).max() <= 1.0
        assert levels(sound, 128).min() > 2e-4  # a floor of noise, never digital silence
        assert abs(sound.mean()) < 0.02


@pytest.mark.parametrize("name", ["impact_glass", "rain", "birds"])
def test_the_same_shot_sounds_the_same_and_another_seed_differs(name: str) -> None:
    shot = shot_of(name)
    assert np.array_equal(render(shot), render(shot))
    other = render(replace(shot, seed=shot.seed + 1))
    assert not np.allclose(render(shot), other, atol=1e-3)


@pytest.mark.parametrize("name", WITH_HITS)
def test_the_attack_is_where_the_hit_is(name: str) -> None:
    shot = with_hits(shot_of(name, 1, distance=0.1), (0.731, 0.9))
    sound = np.abs(render(shot))
    at = round(0.731 * RATE_HZ)
    peak = sound[at : at + 960].max()  # in the first 20 ms
    begins = at - 480 + int(np.argmax(sound[at - 480 : at + 960] > 0.12 * peak))
    assert abs(begins - at) <= 48, f"{(begins - at) / 48:.2f} ms"
    assert sound[at - 480 : at - 5].max() < 0.12 * peak


@pytest.mark.parametrize("name", STEADY)
def test_a_steady_sound_fills_the_shot(name: str) -> None:
    for turn in (0, 2):
        parts = levels(render(shot_of(name, turn)), 8)
        assert parts.max() < 5 * parts.min(), parts


@pytest.mark.parametrize("name", [kin.name for kin in FAMILIES if kin.kind == "strokes"])
def test_movements_go_on_to_the_end(name: str) -> None:
    sound = render(shot_of(name, 1))
    assert levels(sound, 2).min() > 0.15 * levels(sound, 2).max()


def dry(shot: Shot) -> np.ndarray:
    """The sound before the room and the floor of noise."""
    return RECIPES[shot.family].make(np.random.default_rng(shot.seed), shot)


@pytest.mark.parametrize("name", ["impact_wood", "impact_metal", "impact_glass", "drops", "bell", "insects"])
def test_larger_is_lower(name: str) -> None:
    small, large = (
        np.median([centroid_hz(dry(shot_of(name, turn, size=size))) for turn in range(4)])
        for size in (0.05, 0.95)
    )
    assert small > 1.15 * large


@pytest.mark.parametrize("name", ["impact_metal", "impact_wood", "bell"])
def test_a_harder_blow_is_brighter(name: str) -> None:
    soft, hard = (
        np.mean([centroid_hz(dry(with_hits(shot_of(name, turn), (0.3, strength)))) for turn in range(4)])
        for strength in (0.15, 1.0)
    )
    assert hard > 1.02 * soft


def test_strength_sets_the_level_within_a_shot() -> None:
    sound = render(with_hits(shot_of("impact_stone", 2), (0.2, 1.0), (1.4, 0.25)))
    first, second = (np.abs(sound[round(s * RATE_HZ) :][:2400]).max() for s in (0.2, 1.4))
    assert 2 < first / second < 10


def test_far_away_is_softer_and_duller() -> None:
    near = render(shot_of("rain", 1, distance=0.0))
    far = render(shot_of("rain", 1, distance=1.0))
    assert np.std(far) < 0.5 * np.std(near)
    assert centroid_hz(far) < 0.9 * centroid_hz(near)


def test_metal_rings_on_and_rubber_is_dull() -> None:
    kept = {}
    for name in ("impact_metal", "impact_wood"):
        sound = render(with_hits(shot_of(name, 1, ground="stone", distance=0.1), (0.1, 0.9)))
        energy = np.cumsum(sound[:96_000] ** 2)
        kept[name] = float(np.argmax(energy > 0.95 * energy[-1]))
    assert kept["impact_metal"] > 1.5 * kept["impact_wood"]
    bright = {n: centroid_hz(render(shot_of(n, 1, ground="stone"))) for n in ("impact_wood", "impact_rubber")}
    assert bright["impact_wood"] > 1.5 * bright["impact_rubber"]


def _features(sound: np.ndarray) -> np.ndarray:
    """Mean and spread over time of 32 log bands, level taken out."""
    _, _, pieces = signal.stft(sound / np.std(sound), RATE_HZ, nperseg=2048, noverlap=1024)
    edges = np.geomspace(60, 16_000, 33) / RATE_HZ * 2048
    bands = [np.abs(pieces[int(a) : max(int(a) + 1, int(b))]).mean(0) for a, b in itertools.pairwise(edges)]
    log = np.log(np.maximum(np.array(bands), 1e-4))
    return np.concatenate([log.mean(1), log.std(1), np.abs(np.diff(log)).mean(1)])


def test_families_are_told_apart() -> None:
    """A nearest mean over plain statistics names held-out sounds: the families really differ."""
    names = ("impact_metal", "impact_rubber", "glass_break", "steps_gravel", "steps_wood", "drops")
    names += ("rain", "leaves", "thunder", "engine", "birds", "spray")
    known = np.array([[_features(render(shot_of(name, turn))) for turn in range(4)] for name in names])
    spread = known.std(axis=1).mean(axis=0) + 0.05
    means = known.mean(axis=1) / spread
    right = [
        np.argmin(np.sum((means - _features(render(shot_of(name, turn, "scene"))) / spread) ** 2, axis=1))
        == index
        for index, name in enumerate(names)
        for turn in range(2)
    ]
    assert np.mean(right) >= 0.9


# The tools ---------------------------------------------------------------------------------------------


def draw() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_mode_dies_by_60_db_in_its_t60() -> None:
    tone = dsp.ring([1000.0], [0.4], [1.0], 0.6)
    early, late = (np.abs(tone[round(s * RATE_HZ) :][:480]).max() for s in (0.0, 0.4))
    assert 20 * np.log10(late / early) == pytest.approx(-60, abs=1.5)
    assert abs(np.argmax(np.abs(fft.rfft(tone))) * RATE_HZ / len(tone) - 1000) < 3


def test_partials_out_of_range_are_left_out() -> None:
    assert not dsp.ring([5.0, 23_000.0], 0.1, 1.0, 0.1).any()


def test_shaped_noise_follows_its_curve() -> None:
    sound = dsp.shaped(draw(), ((100, 0), (1000, 0), (4000, -40), (20000, -40)))
    power = np.abs(fft.rfft(sound)) ** 2
    hz = fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    low, high = (power[(hz > a) & (hz < b)].mean() for a, b in ((200, 900), (5000, 9000)))
    assert 10 * np.log10(low / high) == pytest.approx(40, abs=2)
    assert np.std(sound) == pytest.approx(1, abs=0.01)


def test_painted_noise_has_the_asked_level_at_the_asked_time() -> None:
    gains = np.where(dsp.FRAME_S < 1.28, 1.0, 0.1)[:, None] * np.ones((1, len(dsp.BINS_HZ)))
    sound = dsp.painted(draw(), gains)
    assert sound.shape == (SAMPLES,)
    early, late = np.std(sound[2000:60_000]), np.std(sound[63_000:120_000])
    assert early / late == pytest.approx(10, rel=0.1)


def test_grains_beyond_the_edges_are_cut() -> None:
    out = np.zeros(100, np.float32)
    dsp.place(out, -5 / RATE_HZ, np.ones(10, np.float32))
    dsp.place(out, 95 / RATE_HZ, np.ones(10, np.float32))
    dsp.place(out, 1.0, np.ones(10, np.float32))
    assert out[:5].all()
    assert out[95:].all()
    assert out.sum() == 10


def test_sprinkled_grains_come_as_often_as_asked() -> None:
    marks = np.count_nonzero(dsp.sprinkle(draw(), 400.0))
    assert marks == pytest.approx(400 * 2.56, rel=0.15)
    late = dsp.sprinkle(draw(), np.where(dsp.FRAME_S > 1.28, 300.0, 0.0))
    assert not late[:60_000].any()
    assert not dsp.sprinkle(draw(), 0.0).any()


def test_a_bubble_rises() -> None:
    one = np.array([1.0])
    sound = dsp.bubbles(0.1 * one, 800 * one, 0.1 * one, one, one)[4800:]
    crossings = np.flatnonzero(np.diff(np.signbit(sound[:4800])))
    assert crossings[1] - crossings[0] > 1.4 * (crossings[-1] - crossings[-2])


def test_a_room_neither_delays_nor_precedes_the_sound() -> None:
    click = np.zeros(SAMPLES, np.float32)
    click[4800] = 1.0
    heard = np.abs(dsp.in_room(draw(), click, far=0.5, t60_s=0.4, wet=0.3))
    assert np.argmax(heard) == 4800
    assert heard[: 4800 - 48].max() < 0.006 * heard.max()  # no more than the ringing of the band limit
    assert heard[5000:20_000].max() > 1e-4


def test_movements_repeat() -> None:
    curve = dsp.over_strokes(0.25, 0.5, lambda share, k: share + k)
    at = np.searchsorted(dsp.FRAME_S, 0.5)
    assert curve[at] == pytest.approx(0.5, abs=0.03)
    assert dsp.strokes(0.25, 0.5)[:2] == [-0.25, 0.25]
