# SPDX-License-Identifier: GPL-3.0-or-later
"""Time arithmetic: exact at every rate, and no drift however long the shot."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction

import pytest
from footfall.addon import timeline
from footfall.addon.timeline import FrameRange, Moment, Rate, Remap, moments, sample_times
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st

NTSC = Fraction(1001, 1000)
RATES = [
    Rate(24, NTSC),
    Rate(24),
    Rate(25),
    Rate(30, NTSC),
    Rate(30),
    Rate(48),
    Rate(60, NTSC),
    Rate(60),
    Rate(12),
    Rate(24, 0.5),
    Rate(100, 3.3333),
]
SAMPLE_RATES = [16_000, 22_050, 44_100, 48_000, 96_000]

rates = st.sampled_from(RATES)
sample_rates = st.sampled_from(SAMPLE_RATES)
ten_minutes = st.fractions(0, 600, max_denominator=10**6)
spans = st.builds(
    lambda start, count: FrameRange(start, start + count), st.integers(-999, 9999), st.integers(0, 40_000)
)


def single(number: float) -> float:
    """As Blender stores it."""
    return struct.unpack("<f", struct.pack("<f", number))[0]


@pytest.mark.parametrize(
    ("fps", "base", "exact"),
    [
        (24, single(1.001), Fraction(24_000, 1_001)),
        (30, single(1.001), Fraction(30_000, 1_001)),
        (60, single(1.001), Fraction(60_000, 1_001)),
        (24, 1.0, Fraction(24)),
        (24, single(0.1), Fraction(240)),
        (24, single(24 / 23.976), Fraction(23_976, 1_000)),
        (10, single(3.3333), Fraction(100_000, 33_333)),
    ],
)
def test_a_single_precision_base_means_its_simplest_fraction(fps: int, base: float, exact: Fraction) -> None:
    assert Rate(fps, base).per_second == exact


@given(st.floats(2**-10, 1024, width=32))
def test_the_simplest_fraction_rounds_back_to_the_same_number(number: float) -> None:
    found = timeline.simplest_fraction(number)
    assert float(found) == pytest.approx(number, rel=1e-6)
    if 0.1 < number < 120:
        assert single(float(found)) == number


@pytest.mark.parametrize(
    ("fps", "base"), [(0, 1.0), (-24, 1.0), (24, 0.0), (24, -1.0), (24, float("nan")), (24, float("inf"))]
)
def test_a_rate_that_is_none_is_refused(fps: int, base: float) -> None:
    with pytest.raises(BadInput, match="frame rate"):
        Rate(fps, base)


@given(rates, st.integers(-100_000, 100_000))
def test_frames_to_seconds_and_back_is_exact(rate: Rate, frames: int) -> None:
    assert rate.frames(rate.seconds(frames)) == frames


@given(rates, sample_rates)
def test_no_drift_over_ten_minutes(rate: Rate, rate_hz: int) -> None:
    """Placing each of ten minutes' frames one by one ends within half a sample of the clock."""
    last = int(rate.frames(600))
    for frame in range(0, last, max(1, last // 500)):
        exact = Fraction(frame) / rate.per_second * rate_hz
        assert abs(rate.samples(frame, rate_hz) - exact) <= Fraction(1, 2)


@given(rates, sample_rates, ten_minutes)
def test_an_onset_keeps_its_time_to_half_a_sample(rate: Rate, rate_hz: int, onset_s: Fraction) -> None:
    place = timeline.split_onset(onset_s, rate, rate_hz)
    heard_s = rate.seconds(place.frame) + Fraction(place.rest, rate_hz)
    assert abs(heard_s - onset_s) * rate_hz <= Fraction(1, 2)
    assert 0 <= place.rest <= rate.seconds(1) * rate_hz
    assert place.frame <= rate.frames(onset_s) + Fraction(1, 2)


@given(rates, sample_rates, st.integers(0, 20_000))
def test_an_onset_on_a_frame_has_no_rest(rate: Rate, rate_hz: int, frame: int) -> None:
    assert timeline.split_onset(rate.seconds(frame), rate, rate_hz) == timeline.Onset(frame, 0)


def test_an_onset_a_hair_before_a_frame_goes_onto_it() -> None:
    onset = timeline.split_onset(Fraction(1) - Fraction(1, 1_000_000), Rate(24), 48_000)
    assert onset == timeline.Onset(24, 0)


def test_an_onset_before_the_shot_keeps_a_positive_rest() -> None:
    onset = timeline.split_onset(Fraction(-1, 100), Rate(24), 48_000)
    assert onset == timeline.Onset(-1, 2000 - 480)


@given(rates, sample_rates, st.integers(1, 30_000_000), st.integers(0, 10_000))
def test_padding_cuts_nothing_and_gives_whole_frames(
    rate: Rate, rate_hz: int, samples: int, lead: int
) -> None:
    padding = timeline.pad_to_frames(samples, lead, rate, rate_hz)
    assert padding.samples >= lead + samples
    assert padding.samples - lead - samples <= rate.seconds(1) * rate_hz
    length = rate.frames(Fraction(padding.samples, rate_hz))
    assert timeline.nearest(length) == padding.frames  # when the strip is added
    assert -(-length.numerator // length.denominator) == padding.frames  # when the file is read again


def test_padding_refuses_no_sound() -> None:
    with pytest.raises(BadInput):
        timeline.pad_to_frames(0, 0, Rate(24), 48_000)


@given(ten_minutes.filter(lambda length: length > 0), st.floats(0.1, 60.0))
def test_sample_times_are_even_and_stand_in_the_middle(duration_s: Fraction, per_second: float) -> None:
    times = sample_times(duration_s, per_second)
    part = duration_s / len(times)
    assert times[0] == part / 2
    assert all(later - earlier == part for earlier, later in itertools.pairwise(times))
    assert duration_s - times[-1] == part / 2
    assert len(times) <= limits.FRAMES
    assert len(times) >= min(limits.FRAMES, duration_s * Fraction(per_second))
    assert len(times) == 1 or part > 1 / (Fraction(per_second) * 2)


def test_sample_times_are_bounded() -> None:
    assert len(sample_times(Fraction(1200), 60)) == limits.FRAMES
    assert sample_times(Fraction(1, 1000), 4) == [Fraction(1, 2000)]
    for wrong in ((Fraction(0), 4), (Fraction(-1), 4), (Fraction(1), 0)):
        with pytest.raises(BadInput):
            sample_times(*wrong)


@given(rates, spans, st.floats(0.5, 30.0), st.integers(1, 7))
def test_moments_lie_in_the_range_rise_and_say_their_own_time(
    rate: Rate, span: FrameRange, per_second: float, step: int
) -> None:
    times = sample_times(min(span.duration_s(rate), Fraction(1200)), per_second, 300)
    found = moments(times, span, rate, step=step)
    assert found
    assert all(span.start <= one.frame <= span.end and one.subframe == 0 for one in found)
    assert all((one.frame - span.start) % step == 0 for one in found)
    assert all(one.time_s == rate.seconds(one.frame - span.start) for one in found)
    assert all(a.time_s < b.time_s for a, b in itertools.pairwise(found))


@given(rates, spans)
def test_moments_are_the_nearest_frames(rate: Rate, span: FrameRange) -> None:
    times = sample_times(span.duration_s(rate), 4, 50)
    taken = {one.time_s for one in moments(times, span, rate)}
    for time in times:
        assert min(abs(time - one) for one in taken) <= rate.seconds(1)


@given(rates, spans)
def test_moments_with_subframes_are_exact(rate: Rate, span: FrameRange) -> None:
    times = sample_times(span.duration_s(rate), 4, 50)
    found = moments(times, span, rate, whole=False)
    assert [one.time_s for one in found] == times
    for one in found:
        assert 0 <= one.subframe < 1
        assert rate.seconds(one.frame + one.subframe - span.start) == one.time_s


def test_moments_at_a_known_place() -> None:
    span, rate = FrameRange(101, 124), Rate(24)
    assert moments(sample_times(span.duration_s(rate), 2), span, rate) == [
        Moment(107, Fraction(1, 4)),
        Moment(119, Fraction(3, 4)),
    ]


def test_ranges() -> None:
    span = FrameRange(5, 5)
    assert span.count == 1
    assert span.duration_s(Rate(24)) == Fraction(1, 24)
    assert FrameRange(-3, 20).position(Fraction(1, 48), Rate(24)) == (-3, Fraction(1, 2))
    with pytest.raises(BadInput, match="empty"):
        FrameRange(5, 4)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(-1000, 100_000))
def test_remapping_goes_there_and_back(old: int, new: int, frame: int) -> None:
    remap = Remap(old, new)
    assert remap.shown(remap.animated(frame)) == frame


def test_remapping_slows_down_as_blender_says() -> None:
    assert Remap(100, 200).shown(10) == 20  # a hundred frames of animation fill two hundred
    assert Remap(100, 200).animated(20) == 10
    with pytest.raises(BadInput):
        Remap(0, 100)


@given(st.fractions(0, 1200))
def test_wire_seconds_fit_a_message(time: Fraction) -> None:
    sent = timeline.wire_seconds(time)
    assert sent.denominator < 2**31
    assert abs(sent - time) < Fraction(1, 10**9)


@given(st.fractions())
def test_a_fraction_is_read_back_exactly(number: Fraction) -> None:
    if len(str(number)) < 80:
        assert timeline.exact(str(number)) == number


@pytest.mark.parametrize(
    "text", ["1e999999999", "1/0", "", "1.5", "٣", "1_000", " 1", "1\n", "9" * 41, None, 1.5]
)
def test_what_no_fraction_is_written_as_is_refused(text: str) -> None:
    """Of the first one, Fraction would write out a thousand million digits."""
    with pytest.raises(ValueError, match="is not a fraction"):
        timeline.exact(text)
