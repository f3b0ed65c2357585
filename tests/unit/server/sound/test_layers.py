# SPDX-License-Identifier: GPL-3.0-or-later
"""Spots: hits grouped by their words, cut to the attack, placed to the sample, as loud as they were hard."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire import limits
from footfall.addon.wire.messages import Event
from footfall.server.sound import finishing, layers
from footfall.server.sound.layers import Group, Placing
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 48_000
CEILING = 10 ** (finishing.TRUE_PEAK_CEILING_DB / 20)


def knock(attack_s: float = 0.3, rate_hz: int = 16_000, noise: float = 0.002) -> np.ndarray:
    """2.56 s of quiet noise with a decaying burst at ``attack_s``."""
    random = np.random.default_rng(1)
    time = np.arange(round(2.56 * rate_hz)) / rate_hz - attack_s
    burst = np.where(time >= 0, np.exp(-np.maximum(time, 0) / 0.05), 0.0)
    return (burst * random.normal(0, 0.3, len(time)) + random.normal(0, noise, len(time))).astype(np.float32)


def hit(time_s: Fraction | float, words: str = "wood", **more: float) -> Event:
    return Event(time_s=Fraction(time_s), words=words, **more)


def group(*events: Event) -> Group:
    return Group(words=events[0].words, events=events, numbers=tuple(range(len(events))))


def placing(**changes: object) -> Placing:
    plain: dict[str, object] = {"rate_hz": RATE, "seed": 0, "one_each": True, "most_samples": 10 * RATE}
    return Placing(**(plain | changes))  # type: ignore[arg-type]


events_strategy = st.lists(
    st.builds(
        Event,
        time_s=st.fractions(0, 20, max_denominator=48_000),
        words=st.sampled_from(["", "wood", "Wood ", "glass", "a  bell", "a bell"]),
        kind=st.sampled_from(["hit", "step"]),
        strength=st.floats(0, 1),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40)
@given(events=events_strategy, most=st.integers(1, 6))
def test_every_hit_within_the_shot_is_in_one_group(events: list[Event], most: int) -> None:
    groups = layers.group_events(events, Fraction(10), most)
    numbers = sorted(number for one in groups for number in one.numbers)
    assert numbers == [number for number, event in enumerate(events) if event.time_s <= 10]
    assert len(groups) <= most
    for one in groups:
        assert one.events == tuple(events[number] for number in one.numbers)
        assert one.strongest.strength == max(event.strength for event in one.events)


def test_words_decide_and_spelling_does_not() -> None:
    groups = layers.group_events(
        [hit(1, "Wood"), hit(2, "glass"), hit(3, " wood "), Event(time_s=Fraction(4), kind="step")],
        Fraction(10),
        9,
    )
    assert [(one.words, len(one.events)) for one in groups] == [("Wood", 2), ("glass", 1), ("step", 1)]


@pytest.mark.parametrize("attack_s", [0.0, 0.05, 0.3, 1.2])
def test_a_spot_begins_with_its_attack(attack_s: float) -> None:
    sound = layers.spot(knock(attack_s), 16_000, RATE, -23.0)
    loud = np.flatnonzero(np.abs(sound) > 0.3 * np.abs(sound).max())
    assert loud[0] < 0.005 * RATE
    assert abs(sound[-1]) < 1e-3
    assert len(sound) <= 2.56 * RATE


@pytest.mark.parametrize(
    "sound",
    [np.zeros(40_960, np.float32), np.full(40_960, np.nan, np.float32), np.full(40_960, 1e4, np.float32)],
    ids=["silence", "no number", "far too loud"],
)
def test_a_spot_of_anything_is_a_sound(sound: np.ndarray) -> None:
    made = layers.spot(sound, 16_000, RATE, -23.0)
    assert len(made) > 0
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1.0


def test_clips_start_exactly_on_their_hits() -> None:
    times = [Fraction(1, 3), Fraction(1001, 24_000), Fraction(7)]
    sound = layers.spot(knock(), 16_000, RATE, -23.0)
    clips = layers.clips(group(*(hit(time) for time in times)), sound, 2, placing())
    assert [clip.start_s for clip in clips] == times
    assert {clip.take for clip in clips} == {2}
    assert {clip.label for clip in clips} == {"wood"}


def test_a_mix_has_every_hit_to_the_sample() -> None:
    times = [Fraction(1, 2), Fraction(3, 4), Fraction(1001, 480)]
    sound = np.zeros(200, np.float32)
    sound[0] = 0.5
    [clip] = layers.clips(group(*(hit(time) for time in times)), sound, 0, placing(one_each=False))
    assert clip.start_s == Fraction(1, 2)
    places = np.flatnonzero(np.abs(clip.waveform[:, 0]) > 0.1)
    for time in times:
        assert np.abs(places - round((time - Fraction(1, 2)) * RATE)).min() <= 1


def test_level_follows_strength() -> None:
    sound = layers.spot(knock(), 16_000, RATE, -23.0)
    hard, soft, none = (
        np.abs(layers.clips(group(hit(1, strength=strength)), sound, 0, placing())[0].waveform).max()
        for strength in (1.0, 0.25, 0.0)
    )
    assert soft == pytest.approx(hard / 4, rel=0.01)
    assert 0 < none < soft


def test_pan_has_constant_power() -> None:
    sound = layers.spot(knock(), 16_000, RATE, -30.0)
    mono = layers.clips(group(hit(1)), sound, 0, placing())[0].waveform
    assert mono.shape[1] == 1
    power = 2 * float(np.square(mono).sum())
    for pan in (-1.0, -0.3, 0.6, 1.0):
        wide = layers.clips(group(hit(1, pan=pan)), sound, 0, placing())[0].waveform
        left, right = np.square(wide).sum(0)
        assert left + right == pytest.approx(power, rel=1e-4)
        assert (right > left) == (pan > 0)


def test_nearer_is_louder() -> None:
    sound = layers.spot(knock(), 16_000, RATE, -23.0)
    near, far = hit(1, distance_m=2.0), hit(2, distance_m=8.0)
    middle = layers.middle_distance([near, far])
    levels = [
        np.abs(layers.clips(group(event), sound, 0, placing(distance_m=middle))[0].waveform).max()
        for event in (near, far)
    ]
    assert levels[0] > levels[1]
    assert layers.middle_distance([hit(1)]) == 0.0


def test_hits_vary_a_little_and_always_the_same_way() -> None:
    sound = layers.spot(knock(), 16_000, RATE, -23.0)
    many = group(*(hit(second) for second in range(12)))
    first = layers.clips(many, sound, 0, placing())
    again = layers.clips(many, sound, 0, placing())
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(first, again, strict=True))
    lengths = {len(clip.waveform) for clip in first}
    assert 1 < len(lengths) <= layers.VARIATIONS
    peaks = [float(np.abs(clip.waveform).max()) for clip in first]
    assert max(peaks) / min(peaks) < 1.6


@pytest.mark.parametrize("one_each", [True, False])
def test_no_clip_outlasts_the_shot_or_the_ceiling(one_each: bool) -> None:
    sound = np.ones(2 * RATE, np.float32)
    crowd = group(*(hit(Fraction(number, 100), pan=1.0) for number in range(20)))
    clips = layers.clips(crowd, sound, 0, placing(one_each=one_each, most_samples=RATE // 2))
    for clip in clips:
        assert len(clip.waveform) <= RATE // 2
        assert finishing.true_peak(clip.waveform, RATE) <= CEILING * 1.001
        assert abs(float(clip.waveform[-1].max())) < 1e-3


def test_labels_stay_within_the_bound() -> None:
    long = group(hit(1, "w" * limits.WORDS))
    [clip] = layers.clips(long, np.ones(100, np.float32), 0, placing())
    assert len(clip.label) <= limits.NAME
