# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits: what sounds, exact times, and that a new search never loses what the artist has done."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import pytest
from footfall.addon.hits import listed as hit_list
from footfall.addon.hits.listed import EDITABLE, FRAME, Found, Hit
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire import limits
from footfall.addon.wire.messages import Event
from hypothesis import given
from hypothesis import strategies as st

SPAN = FrameRange(1, 240)
FILM = Rate(24)
WITHIN = hit_list.near(FILM)

spot = st.integers(1 * FRAME, 241 * FRAME - 1)
single = st.floats(0, 1, width=32)
kinds = st.sampled_from(["hit", "step", "whoosh"])
names = st.sampled_from(["", "ball on floor", "left foot"])


def found(frame: float, kind: str = "hit", words: str = "ball", strength: float = 0.5) -> Hit:
    """A hit that a search has found at ``frame``."""
    what = Found(at=round(frame * FRAME), kind=kind, words=words, strength=strength)
    return Hit(**{name: getattr(what, name) for name in EDITABLE}, origin="scene", found=what)


def in_order(hits: list[Hit]) -> list[Hit]:
    """By time; hits of one moment in an order that does not matter."""
    return sorted(hits, key=lambda hit: (hit.at, repr(hit)))


fresh = st.builds(
    lambda at, kind, words, strength: found(at / FRAME, kind, words, strength), spot, kinds, names, single
)
changes = st.fixed_dictionaries(
    {},
    optional={"at": spot, "words": st.just("mine"), "strength": single, "on": st.booleans(), "kind": kinds},
)
edited = st.builds(lambda hit, change: replace(hit, **change), fresh, changes)
added = st.builds(lambda at, strength: Hit(at=at, strength=strength, words="added"), spot, single)
lists = st.lists(edited | added, max_size=20)


# Time -------------------------------------------------------------------------------------------------------


@given(spot, st.sampled_from([Rate(24), Rate(25), Rate(30, 1.001), Rate(24, 1.001), Rate(60), Rate(120)]))
def test_times_survive_the_way_to_the_worker_and_back(at: int, rate: Rate) -> None:
    event = hit_list.to_event(Hit(at=at), SPAN, rate)
    assert hit_list.from_event(event, SPAN, rate, "artist").at == at
    exact = rate.seconds(Fraction(at, FRAME) - SPAN.start)
    assert abs(event.time_s - exact) < Fraction(1, 10**9)


def test_a_hit_stays_on_its_frame_when_the_rate_changes() -> None:
    hit = hit_list.from_event(Event(time_s=Fraction(1)), SPAN, FILM, "scene")
    assert hit_list.to_event(hit, SPAN, Rate(48)).time_s == Fraction(1, 2)


@given(st.text(max_size=300), st.floats(), st.floats(), st.floats())
def test_whatever_is_typed_in_fits_the_wire(text: str, strength: float, pan: float, distance: float) -> None:
    hit = Hit(at=5 * FRAME, kind=text, words=text, strength=strength, pan=pan, distance_m=distance)
    assert isinstance(hit_list.to_event(hit, SPAN, FILM), Event)


def test_what_an_event_knows_is_kept() -> None:
    event = Event(
        time_s=Fraction(1, 3),
        kind="step",
        words="foot",
        strength=0.1,
        pan=-0.3,
        distance_m=4.7,
        place=(0.1, 0.2, 0.3),
    )
    hit = hit_list.from_event(event, SPAN, FILM, "pixels")
    again = hit_list.to_event(hit, SPAN, FILM)
    assert (again.time_s, again.kind, again.words) == (event.time_s, event.kind, event.words)
    assert (again.strength, again.pan, again.distance_m) == pytest.approx((0.1, -0.3, 4.7))
    assert again.place == pytest.approx(event.place)
    assert (hit.origin, hit.edits) == ("pixels", frozenset())


# What sounds ------------------------------------------------------------------------------------------------


@given(lists, single)
def test_what_sounds_is_on_strong_enough_and_in_the_shot(hits: list[Hit], least: float) -> None:
    part = FrameRange(50, 100)
    heard = hit_list.heard(hits, part, FILM, least)
    assert [event.time_s for event in heard] == sorted(event.time_s for event in heard)
    wanted = [hit for hit in hits if hit.on and hit.strength >= least and 50 * FRAME <= hit.at < 101 * FRAME]
    assert len(heard) == len(wanted) == sum(hit.sounds(least) for hit in hit_list.inside(hits, part))


def test_a_threshold_as_strong_as_the_hit_lets_it_through() -> None:
    least = hit_list.single(0.3)
    assert hit_list.from_event(Event(time_s=Fraction(0), strength=0.3), SPAN, FILM, "scene").sounds(least)
    assert len(hit_list.strong([Event(time_s=Fraction(0), strength=0.3)], 0.3)) == 1


# A new search -----------------------------------------------------------------------------------------------


@given(st.lists(fresh, max_size=20))
def test_the_first_search_fills_the_list(new: list[Hit]) -> None:
    merged = hit_list.merge([], new, SPAN, WITHIN)
    assert in_order(merged) == in_order(new)
    assert [hit.at for hit in merged] == sorted(hit.at for hit in new)


@given(st.lists(fresh, max_size=20, unique_by=lambda hit: hit.at), st.data())
def test_the_same_search_again_changes_nothing(new: list[Hit], data: st.DataObject) -> None:
    mine = [replace(hit, **data.draw(changes)) for hit in new]
    assert in_order(hit_list.merge(mine, new, SPAN, WITHIN)) == in_order(mine)


@given(lists, st.lists(fresh, max_size=20))
def test_nothing_of_the_artists_is_lost(old: list[Hit], new: list[Hit]) -> None:
    merged = hit_list.merge(old, new, SPAN, WITHIN)
    for hit in old:
        if hit.found is None:
            assert hit in merged
        elif hit.touched:
            edits = {name: getattr(hit, name) for name in hit.edits}
            same = [
                one
                for one in merged
                if one.on == hit.on and all(getattr(one, n) == v for n, v in edits.items())
            ]
            assert same, (hit, merged)


@given(lists, st.lists(fresh, max_size=20))
def test_every_new_hit_is_in_the_list_once(old: list[Hit], new: list[Hit]) -> None:
    merged = hit_list.merge(old, new, SPAN, WITHIN)
    homes = [hit.found for hit in merged if hit.found is not None and hit.origin == "scene"]
    ghosts = [hit for hit in old if hit.touched]
    assert len(merged) <= len(new) + len(ghosts)
    absorbed = sum(1 for hit in new if hit.found not in homes)
    assert absorbed <= sum(hit.found is None for hit in old)


def test_each_edit_is_taken_over_and_the_rest_is_new() -> None:
    old = replace(found(10), at=12 * FRAME, words="tin", on=False)
    (merged,) = hit_list.merge([old], [found(10.5, strength=0.9)], SPAN, WITHIN)
    assert (merged.at, merged.words, merged.on, merged.strength) == (12 * FRAME, "tin", False, 0.9)
    assert merged.found == Found(at=round(10.5 * FRAME), kind="hit", words="ball", strength=0.9)
    assert merged.edits == {"at", "words"}
    assert hit_list.as_found(merged) == found(10.5, strength=0.9)


def test_one_that_was_moved_is_known_by_where_it_was_found() -> None:
    old = replace(found(10), at=100 * FRAME)
    merged = hit_list.merge([old], [found(10), found(100)], SPAN, WITHIN)
    assert sorted(hit.found.at for hit in merged if hit.found) == [10 * FRAME, 100 * FRAME]
    assert [hit.at for hit in merged] == [100 * FRAME, 100 * FRAME]


def test_what_is_gone_goes_unless_it_was_touched() -> None:
    gone, off = found(10), replace(found(20), on=False)
    assert hit_list.merge([gone, off], [], SPAN, WITHIN) == [off]


def test_outside_the_shot_everything_stays() -> None:
    before, after = found(10), found(200)
    part = FrameRange(50, 100)
    assert hit_list.merge([before, after], [found(60), found(300)], part, WITHIN) == [
        before,
        found(60),
        after,
    ]


def test_two_things_at_once_are_told_apart_by_words_and_kind() -> None:
    ball, can = replace(found(10, words="ball"), on=False), found(10, words="can")
    merged = hit_list.merge([ball, can], [found(10.8, words="can"), found(10.8, words="ball")], SPAN, WITHIN)
    assert {hit.words: hit.on for hit in merged} == {"ball": False, "can": True}
    step = replace(found(30, "step"), on=False)
    merged = hit_list.merge([step], [found(30.2, "hit"), found(31, "step")], SPAN, WITHIN)
    assert {hit.kind: hit.on for hit in merged} == {"hit": True, "step": False}


def test_one_added_where_one_is_found_is_not_doubled() -> None:
    mine = Hit(at=10 * FRAME, words="mine")
    assert hit_list.merge([mine], [found(10.3)], SPAN, WITHIN) == [mine]


def test_nearness_is_time_where_frames_are_short() -> None:
    assert hit_list.near(Rate(24)) == 2 * FRAME
    assert hit_list.near(Rate(120)) == 10 * FRAME


def test_the_list_is_bounded_and_the_artists_own_stay() -> None:
    mine = [Hit(at=at, strength=0.0) for at in range(FRAME, FRAME + 10)]
    many = [found(2 + at / 100, strength=hit_list.single(at / 20_000)) for at in range(limits.EVENTS)]
    began = time.perf_counter()
    merged = hit_list.merge([*mine, *many], many, SPAN, WITHIN)
    assert time.perf_counter() - began < 10.0  # seconds; it takes about one
    assert len(merged) == limits.EVENTS
    assert set(mine) <= set(merged)
    assert many[0] not in merged


def test_thousands_in_one_frame_take_no_longer() -> None:
    many = [found(5, words=f"drop {number % 7}") for number in range(5_000)]
    began = time.perf_counter()
    assert len(hit_list.merge(many, many, SPAN, WITHIN)) <= limits.EVENTS
    assert time.perf_counter() - began < 10.0


# How it was found -------------------------------------------------------------------------------------------


@given(spot, st.text(max_size=30), st.text(max_size=30), single, single, single)
def test_how_it_was_found_is_kept_as_text(
    at: int, kind: str, words: str, a: float, b: float, c: float
) -> None:
    one = Found(at=at, kind=kind, words=words, strength=a, pan=b, distance_m=c)
    assert hit_list.read_found(one.text()) == one


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[1,2,3,4,5,6]", '[1.5,"hit","",1,0,0]', "[" * 100_000, "nan"]
)
def test_nonsense_was_not_found(text: str) -> None:
    assert hit_list.read_found(text) is None


def test_every_marker_kind_has_a_family() -> None:
    assert hit_list.family("Step ") == "step"
    assert hit_list.family("anything") == "other"
    assert all(hit_list.family(kind) == name for name, kinds in hit_list.FAMILIES.items() for kind in kinds)
