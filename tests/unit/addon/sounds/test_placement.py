# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes where: exact to half a sample, never over anything, and the same every time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.sounds.placement import (
    LAST_FRAME,
    METAS_FROM,
    NAME_BYTES,
    Channel,
    PlannedStrip,
    Seat,
    Shot,
    channel_name,
    gathered,
    lane,
    moved,
    plan,
    seats,
    strip_name,
)
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import BadInput
from footfall.addon.wire.messages import Clip, Result
from footfall.tests.fakes.stories import MODEL
from hypothesis import given
from hypothesis import strategies as st

JOB = "0123456789abcdef0123456789abcdef"
RATES = {
    "23.976": Rate(24, 1.001),
    "24": Rate(24),
    "25": Rate(25),
    "29.97": Rate(30, 1.001),
    "30": Rate(30),
    "48": Rate(48),
    "59.94": Rate(60, 1.001),
    "60": Rate(60),
    "odd base": Rate(23, 0.959),
}


def clip(
    samples: int = 4_800, start_s: Fraction | int = 0, take: int = 0, layer: str = "bed", **more: Any
) -> Clip:
    return Clip(
        take=take,
        layer=layer,
        start_s=Fraction(start_s),
        rate_hz=more.pop("rate_hz", 48_000),
        waveform=np.zeros((samples, 1), np.float32),
        **more,
    )


def result(*clips: Clip) -> Result:
    return Result(job_id=JOB, clips=clips, provenance=MODEL)


def shot(rate: Rate = RATES["24"], start: Fraction | int = 101) -> Shot:
    return Shot(start_frame=Fraction(start), rate=rate)


def one(sound: Clip, where: Shot) -> PlannedStrip:
    (strip,) = plan(result(sound), where)
    return strip


class TestTime:
    @pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
    def test_a_bed_starts_and_ends_with_the_shot(self, rate: Rate) -> None:
        samples = rate.samples(100, 48_000)
        strip = one(clip(samples), shot(rate))
        assert (strip.start, strip.lead) == (101, 0)
        assert strip.frames in (100, 101)  # a sample more than 100 frames needs the 101st
        assert strip.samples >= samples

    @given(
        rate=st.sampled_from(list(RATES.values())),
        rate_hz=st.sampled_from([8_000, 44_100, 48_000, 192_000]),
        start=st.fractions(-5_000, 50_000, max_denominator=1_000),
        after=st.fractions(0, 1_200, max_denominator=10**6),
        samples=st.integers(1, 30_000),
    )
    def test_sound_is_heard_at_its_time_and_fits(
        self, rate: Rate, rate_hz: int, start: Fraction, after: Fraction, samples: int
    ) -> None:
        strip = one(clip(samples, after, rate_hz=rate_hz), shot(rate, start))
        heard = rate.seconds(strip.start) + Fraction(strip.lead, rate_hz)
        assert abs(heard - rate.seconds(start) - after) <= Fraction(1, rate_hz)
        assert 0 <= strip.lead <= rate.seconds(1) * rate_hz + 1
        assert strip.samples >= strip.lead + samples
        # Blender rounds the length when the strip is added and rounds up when the file is read again.
        length = float(Fraction(strip.samples, rate_hz) * rate.per_second)
        assert max(1, round(length)) == strip.frames
        assert strip.samples <= rate.seconds(strip.frames) * rate_hz
        # No whole frame of silence at the end.
        assert rate.frames(Fraction(strip.lead + samples, rate_hz)) > strip.frames - 1

    def test_between_two_frames(self) -> None:
        strip = one(clip(start_s=Fraction(3, 2) / 24), shot())
        assert (strip.start, strip.lead) == (102, 1_000)

    def test_before_frame_zero(self) -> None:
        strip = one(clip(start_s=Fraction(1, 48)), shot(start=-10))
        assert (strip.start, strip.lead) == (-10, 1_000)

    def test_no_drift_in_the_last_of_twenty_minutes(self) -> None:
        rate = RATES["29.97"]
        strip = one(clip(10, start_s=1_200), shot(rate))
        exact = 101 + rate.frames(1_200)
        assert strip.start == int(exact)
        assert strip.lead == round((exact - int(exact)) * Fraction(48_000) / rate.per_second)

    @pytest.mark.parametrize("start", [LAST_FRAME, -LAST_FRAME - 1])
    def test_beyond_the_last_frame(self, start: int) -> None:
        with pytest.raises(BadInput, match="last frame"):
            plan(result(clip()), shot(start=start))


class TestTakesAndNames:
    def test_take_one_is_heard(self) -> None:
        clips = [clip(take=t, layer=layer) for t in (2, 0, 1) for layer in ("spots", "bed")]
        strips = plan(result(*clips), shot())
        assert [(s.take, s.layer, s.audible) for s in strips] == [
            (0, "bed", True),
            (0, "spots", True),
            (1, "bed", False),
            (1, "spots", False),
            (2, "bed", False),
            (2, "spots", False),
        ]
        assert [s.clip for s in strips] == [3, 2, 5, 4, 1, 0]
        assert {s.channel_name for s in strips} == {"Footfall bed", "Footfall spots"}

    def test_all_takes_of_a_sound_begin_at_one_frame(self) -> None:
        clips = [clip(start_s=Fraction(start, 48), take=take) for take, start in enumerate((5, 3, 8))]
        strips = plan(result(*clips), shot())
        assert [(s.start, s.lead) for s in strips] == [(102, 3_000), (102, 1_000), (102, 6_000)]
        assert all(s.samples >= s.lead + 4_800 for s in strips)

    def test_names(self) -> None:
        assert channel_name("bed") == "Footfall bed"
        assert strip_name("glass") == "Footfall glass"
        assert strip_name("glass\n  on stone") == "Footfall glass on stone"

    @given(words=st.text(max_size=200))
    def test_names_fit_blender(self, words: str) -> None:
        name = strip_name(words)
        assert len(name.encode()) <= NAME_BYTES
        assert name.startswith("Footfall")

    def test_identity_follows_from_the_job(self) -> None:
        spots = [clip(start_s=t, layer="spots") for t in (2, 0, 1)]
        first, again = plan(result(*spots), shot()), plan(result(*spots), shot())
        assert [s.uuid for s in first] == [s.uuid for s in again]
        assert len({s.uuid for s in first}) == 3
        assert [s.index for s in first] == [0, 1, 2]
        assert [s.clip for s in first] == [1, 2, 0]
        other = plan(Result(job_id=JOB[::-1], clips=tuple(spots), provenance=MODEL), shot())
        assert not {s.uuid for s in first} & {s.uuid for s in other}


class TestMoved:
    def test_same_rate_keeps_everything_but_the_start(self) -> None:
        strip = one(clip(start_s=Fraction(1, 48)), shot())
        there = moved(strip, shot(), RATES["24"], Fraction(1))
        assert there.start == 1
        assert there.frames == strip.frames

    @given(
        old=st.sampled_from(list(RATES.values())),
        new=st.sampled_from(list(RATES.values())),
        after=st.fractions(0, 600, max_denominator=1_000),
    )
    def test_another_rate_is_off_by_half_a_frame_at_most(self, old: Rate, new: Rate, after: Fraction) -> None:
        strip = one(clip(start_s=after), shot(old))
        there = moved(strip, shot(old), new, Fraction(50))
        heard = new.seconds(there.start - 50) + Fraction(strip.lead, 48_000)
        assert abs(heard - after) <= new.seconds(1) / 2 + Fraction(1, 48_000)


def blank(count: int = 128, **changes: Channel) -> list[Channel]:
    made = {n: Channel(number=n, name=f"Channel {n}", unnamed=True) for n in range(1, count + 1)}
    made |= {channel.number: channel for channel in changes.values()}
    return list(made.values())


def busy(number: int, *spans: tuple[int, int], name: str = "", **more: Any) -> Channel:
    return Channel(number=number, name=name or f"Channel {number}", unnamed=not name, spans=spans, **more)


def spots(*starts: int, frames: int = 24, take: int = 0) -> tuple[PlannedStrip, ...]:
    clips = [clip(2_000 * frames, Fraction(start, 24), take, "spots") for start in starts]
    return plan(result(*clips), shot(start=0))


class TestSeats:
    def test_an_empty_sequencer(self) -> None:
        strips = plan(result(clip(), clip(layer="spots"), clip(start_s=1)), shot())
        assert seats(strips, blank()) == [
            Seat(channel=1, name="Footfall bed"),
            Seat(channel=1),
            Seat(channel=2, name="Footfall spots"),
        ]

    def test_a_channel_of_that_name_is_used_again(self) -> None:
        ours = busy(9, (500, 600), name="Footfall spots")
        assert seats(spots(0), blank(a=ours)) == [Seat(channel=9)]

    @pytest.mark.parametrize("problem", [{"locked": True}, {"muted": True}, {"spans": ((10, 11),)}])
    def test_an_unusable_channel_of_that_name_gets_a_sister(self, problem: dict[str, Any]) -> None:
        ours = Channel(number=9, name="Footfall spots", unnamed=False, **problem)
        assert seats(spots(0), blank(a=ours)) == [Seat(channel=1, name="Footfall spots (2)")]

    def test_sounds_that_ring_into_each_other(self) -> None:
        given_ = seats(spots(0, 10, 24, 30), blank())
        assert [s.channel for s in given_] == [1, 2, 1, 3]
        assert [s.name for s in given_] == ["Footfall spots", "Footfall spots (2)", "", "Footfall spots (3)"]

    def test_touching_strips_share_a_channel(self) -> None:
        ours = busy(5, (-24, 0), (24, 48), name="Footfall spots")
        assert seats(spots(0), blank(a=ours)) == [Seat(channel=5)]

    def test_a_users_channel_is_not_renamed(self) -> None:
        given_ = seats(
            spots(0),
            blank(4, a=busy(1, name="Dialogue"), b=busy(2, (900, 901)), c=busy(3, locked=True)),
        )
        assert given_ == [Seat(channel=4, name="Footfall spots")]

    def test_no_channel_left_to_name(self) -> None:
        full = [busy(n, (0, 500)) for n in range(1, 128)]
        given_ = seats(spots(0), [*full, busy(128, (500, 600), name="Dialogue")])
        assert given_ == [Seat(channel=128)]

    def test_room_without_a_users_name_comes_first(self) -> None:
        given_ = seats(spots(0), [busy(1, (500, 600), name="Dialogue"), busy(2, (500, 600))])
        assert given_ == [Seat(channel=2)]

    @pytest.mark.parametrize("problem", [{"locked": True}, {"muted": True}, {"spans": ((0, 500),)}])
    def test_all_full(self, problem: dict[str, Any]) -> None:
        channels = [Channel(number=n, name=f"Channel {n}", unnamed=True, **problem) for n in range(1, 129)]
        with pytest.raises(BadInput, match="No channel has room"):
            seats(spots(0), channels)

    @given(
        starts=st.lists(st.integers(0, 200), min_size=1, max_size=30),
        existing=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 200), st.integers(1, 50)), max_size=20),
        locked=st.sets(st.integers(1, 40), max_size=4),
    )
    def test_nothing_ever_overlaps(
        self, starts: list[int], existing: list[tuple[int, int, int]], locked: set[int]
    ) -> None:
        channels = [
            Channel(
                number=n,
                name=f"Channel {n}",
                unnamed=True,
                locked=n in locked,
                spans=tuple((s, s + length) for c, s, length in existing if c == n),
            )
            for n in range(1, 41)
        ]
        strips = spots(*starts, frames=7)
        placed: dict[int, list[tuple[int, int]]] = {}
        for strip, seat in zip(strips, seats(strips, channels), strict=True):
            assert seat.channel not in locked
            spans = placed.setdefault(seat.channel, list(channels[seat.channel - 1].spans))
            assert all(e <= strip.start or strip.end <= s for s, e in spans)
            spans.append((strip.start, strip.end))


# Metas


def kinds(counts: list[int]) -> tuple[PlannedStrip, ...]:
    """The strips of so many hits of each kind, a second apart."""
    made = [
        clip(4_800, number, layer="spots", label=f"kind {group}", group=group)
        for group, count in enumerate(counts)
        for number in range(count)
    ]
    return plan(result(clip(480_000), *made), shot())


@given(counts=st.lists(st.integers(0, 20), max_size=5))
def test_many_hits_of_a_kind_are_gathered(counts: list[int]) -> None:
    strips = kinds(counts)
    found = gathered(strips)
    by_group = [{strip.uuid for strip in strips if strip.group == group} for group in range(len(counts))]
    for count, uuids in zip(counts, by_group, strict=True):
        metas = {found[uuid] for uuid in uuids if uuid in found}
        assert len(metas) == (count >= METAS_FROM)
        for meta in metas:
            own = [strip for strip in strips if strip.uuid in uuids]
            assert (meta.start, meta.end) == (min(s.start for s in own), max(s.end for s in own))
            assert meta.name == own[0].name
            assert uuids <= set(found)
    assert len({meta.uuid for meta in found.values()}) == sum(count >= METAS_FROM for count in counts)
    assert found == gathered(strips)
    assert strips[0].uuid not in found


@given(spans=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=60))
def test_lanes_of_a_meta_never_overlap(spans: list[tuple[int, int]]) -> None:
    taken: list[tuple[int, int, int]] = []
    for start, length in spans:
        channel = lane(start, start + length, taken)
        assert all(c != channel or e <= start or start + length <= s for c, s, e in taken)
        taken.append((channel, start, start + length))
    most = max((sum(s <= frame < e for _, s, e in taken) for frame in range(90)), default=0)
    assert max((channel for channel, _, _ in taken), default=0) <= 2 * most + 1


def test_a_full_meta_says_so() -> None:
    with pytest.raises(BadInput, match="mixed"):
        lane(1, 2, [(channel, 0, 9) for channel in range(1, 129)])
