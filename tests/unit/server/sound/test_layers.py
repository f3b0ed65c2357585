# SPDX-License-Identifier: GPL-3.0-or-later
"""Spots on the hits of a shot: placed to the sample, as loud as they were hard, from where they were seen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from footfall.addon.wire import limits
from footfall.addon.wire.messages import Clip, Event
from footfall.server.sound import layers, spots
from footfall.server.sound.clusters import Cluster
from footfall.server.sound.finishing import limit, resample, true_peak
from footfall.server.sound.layers import Placing
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import RATE, bell, cluster, hit, knock


def placing(**changes: object) -> Placing:
    plain: dict[str, object] = {"rate_hz": RATE, "seed": 0, "one_each": True, "most_samples": 10 * RATE}
    return Placing(**(plain | changes))  # type: ignore[arg-type]


def clips(kind: Cluster, sound: np.ndarray, take: int = 0, **changes: object) -> list[Clip]:
    how = placing(**changes)
    return layers.clips(layers.place([kind], [[sound]], take, how), take, how)


def peak(clip: Clip) -> float:
    return float(np.abs(clip.waveform).max())


@settings(max_examples=25, deadline=None)
@given(
    times=st.lists(st.fractions(0, 20, max_denominator=48_000), min_size=1, max_size=20, unique=True),
    rate_hz=st.sampled_from([8_000, 44_100, 48_000, 96_000]),
)
def test_clips_start_exactly_on_their_hits(times: list[Fraction], rate_hz: int) -> None:
    one = cluster(*(hit(time) for time in times))
    made = clips(one, bell(0.05), 2, rate_hz=rate_hz)
    assert {clip.take for clip in made} == {2}
    assert {clip.label for clip in made} == {"wood"}
    assert all(clip.start_s == times[clip.event] and clip.group == 0 for clip in made)
    starts = sorted(clip.start_s for clip in made)
    for time in times:  # left out only where another is as good as there
        assert min(abs(time - start) for start in starts) < Fraction(3, 1000) * 20


def test_every_hit_has_a_clip() -> None:
    times = [Fraction(1, 3), Fraction(1001, 24_000), Fraction(7)]
    made = clips(cluster(*(hit(time) for time in times)), spots.spot(knock(), 16_000, RATE, -23.0))
    assert sorted(clip.start_s for clip in made) == sorted(times)
    assert sorted(clip.event for clip in made) == [0, 1, 2]


def test_a_mix_has_every_hit_to_the_sample() -> None:
    times = [Fraction(1, 2), Fraction(3, 4), Fraction(1001, 480)]
    sound = np.zeros(200, np.float32)
    sound[0] = 0.5
    [clip] = clips(cluster(*(hit(time) for time in times)), sound, one_each=False)
    assert (clip.start_s, clip.event, clip.group) == (Fraction(1, 2), -1, 0)
    places = np.flatnonzero(np.abs(clip.waveform[:, 0]) > 0.1)
    for time in times:
        assert np.abs(places - round((time - Fraction(1, 2)) * RATE)).min() <= 1


def test_each_kind_has_its_number() -> None:
    kinds = [
        Cluster(words="wood", events=(hit(1), hit(2)), numbers=(0, 2)),
        Cluster(words="tin", events=(hit(Fraction(3, 2), "tin"),), numbers=(1,)),
    ]
    sounds = [[bell(0.3)], [bell(0.3, 400.0)]]
    placed = layers.place(kinds, sounds, 0, placing())
    made = layers.clips(placed, 0, placing())
    assert sorted((clip.event, clip.group, clip.label) for clip in made) == [
        (0, 0, "wood"),
        (1, 1, "tin"),
        (2, 0, "wood"),
    ]
    mixed = layers.clips(placed, 0, placing(one_each=False))
    assert [(clip.event, clip.group, clip.label) for clip in mixed] == [(-1, 0, "wood"), (-1, 1, "tin")]


def test_level_follows_strength() -> None:
    sound = spots.spot(knock(), 16_000, RATE, -23.0)
    levels = [peak(clips(cluster(hit(1, strength=strength)), sound)[0]) for strength in (1.0, 0.5, 0.25, 0.0)]
    assert levels == sorted(levels, reverse=True)
    assert levels[2] == pytest.approx(levels[0] / 4, rel=0.5)  # duller, too
    assert levels[3] > 0


def test_pan_has_constant_power() -> None:
    sound = spots.spot(knock(), 16_000, RATE, -30.0)
    mono = clips(cluster(hit(1)), sound)[0].waveform
    assert mono.shape[1] == 1
    power = 2 * float(np.square(mono).sum())
    for pan in (-1.0, -0.3, 0.6, 1.0):
        wide = clips(cluster(hit(1, pan=pan)), sound)[0].waveform
        left, right = np.square(wide).sum(0)
        assert left + right == pytest.approx(power, rel=1e-4)
        assert (right > left) == (pan > 0)


def test_nearer_is_louder() -> None:
    sound = spots.spot(knock(), 16_000, RATE, -23.0)
    near, far = hit(1, distance_m=2.0), hit(2, distance_m=8.0)
    middle = layers.middle_distance([near, far])
    levels = [peak(clips(cluster(event), sound, distance_m=middle)[0]) for event in (near, far)]
    assert levels[0] > levels[1]
    assert layers.middle_distance([hit(1)]) == 0.0


def test_hits_vary_a_little_and_always_the_same_way() -> None:
    sounds = [[spots.spot(knock(seed=seed), 16_000, RATE, -23.0) for seed in range(3)]]
    many = cluster(*(hit(3 * second) for second in range(12)))
    first = layers.place([many], sounds, 0, placing())
    again = layers.place([many], sounds, 0, placing())
    assert all(np.array_equal(a.sound, b.sound) for a, b in zip(first, again, strict=True))
    for before, after in pairwise(first):
        length = min(len(before.sound), len(after.sound), RATE // 5)
        alike = np.corrcoef(before.sound[:length, 0], after.sound[:length, 0])[0, 1]
        assert abs(alike) < 0.9
    peaks = [float(np.abs(one.sound).max()) for one in first]
    assert max(peaks) / min(peaks) < 2.0


@pytest.mark.parametrize("one_each", [True, False])
def test_no_clip_outlasts_the_shot_or_the_ceiling(one_each: bool) -> None:
    crowd = cluster(*(hit(Fraction(number, 120), pan=1.0) for number in range(40)))
    made = clips(crowd, np.ones(2 * RATE, np.float32), one_each=one_each, most_samples=RATE // 2)
    total = np.zeros((2 * RATE, 2))
    for clip in made:
        assert len(clip.waveform) <= RATE // 2
        assert abs(float(clip.waveform[-1].max())) < 1e-3
        start = round(clip.start_s * RATE)
        total[start : start + len(clip.waveform)] += clip.waveform
    assert np.abs(total).max() < 1.0


def test_it_can_be_stopped_at_each_hit() -> None:
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks > 7:
            raise InterruptedError

    many = cluster(*(hit(second) for second in range(50)))
    with pytest.raises(InterruptedError):
        layers.place([many], [[bell()]], 0, placing(), check)
    checks = -1_000
    layers.place([many], [[bell()]], 0, placing(), check)
    assert checks > -1_000 + 2 * 50


def test_where_a_hit_is_heard() -> None:
    [one] = layers.place([cluster(hit(2))], [[bell(rings_s=0.1)]], 0, placing())
    start_s, stop_s = one.heard_s(RATE)
    assert start_s == 2.0
    assert stop_s == pytest.approx(2.23, abs=0.02)  # 20 dB are 2.3 times 0.1 s


def test_thousands_of_hits_end() -> None:
    many = cluster(*(Event(time_s=Fraction(n, 1000), words="w", strength=(n % 9) / 8) for n in range(3_000)))
    [clip] = clips(many, bell(), one_each=False)
    assert np.isfinite(clip.waveform).all()


def test_labels_stay_within_the_bound() -> None:
    [clip] = clips(cluster(hit(1, "w" * limits.WORDS)), np.ones(100, np.float32))
    assert len(clip.label) <= limits.NAME


def test_a_take_as_a_whole_never_clips() -> None:
    noise = np.random.default_rng(6).normal(0, 0.3, (2 * RATE, 1)).astype(np.float32)
    rain = limit(resample(noise, RATE // 3, RATE), RATE, -7.0)  # as wide as the models' own
    bed = Clip(take=0, layer="bed", start_s=Fraction(0), rate_hz=RATE, waveform=rain, label="bed", score=0.0)
    spots = clips(cluster(hit(2, pan=-0.7), hit(4, pan=0.5), hit(5)), np.float32(1.6) * bell(0.5))
    made = layers.over(bed, spots)
    total = np.repeat(rain, 2, 1)
    for clip, before in zip(made, spots, strict=True):
        assert clip.start_s == before.start_s
        assert peak(clip) > 0.4 * peak(before)
        start = round(clip.start_s * RATE)
        total[start : start + len(clip.waveform)] += clip.waveform
    assert true_peak(total, RATE) < 10 ** (-1 / 20)
    silence = replace(bed, waveform=np.zeros_like(rain))
    assert all(one is other for one, other in zip(layers.over(silence, spots), spots, strict=True))
    assert layers.over(bed, []) == []
