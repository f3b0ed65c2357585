# SPDX-License-Identifier: GPL-3.0-or-later
"""Which findings are one hit, what is marked and what is found, and the words of hits."""

from __future__ import annotations

from fractions import Fraction

import pytest
from footfall.addon import options
from footfall.addon.hits import words
from footfall.addon.hits.merge import Contact, merge, to_events, with_markers
from footfall.addon.wire import limits
from footfall.addon.wire.messages import Event


def contact(time: float, pair: tuple[int, int], force: float = 1.0, **more: object) -> Contact:
    return Contact(time=time, pair=pair, force=force, **more)  # type: ignore[arg-type]


def event(time: Fraction, words: str = "", strength: float = 1.0) -> Event:
    return Event(time_s=time, words=words, strength=strength)


def test_one_hit_is_told_once() -> None:
    found = merge(
        [contact(10.0, (0, 1), 2.0), contact(10.2, (1, 0)), contact(10.4, (0, 2)), contact(14.0, (0, 1))]
    )
    assert [(one.time, one.force) for one in found] == [(10.0, 2.0), (14.0, 1.0)]
    assert len(merge([contact(10.0, (0, 9)), contact(10.0, (1, 9))])) == 2


def test_heel_and_toe_are_one_step_and_two_feet_are_two() -> None:
    heel = contact(10.0, (3, 9), family=1, spot=(0.0, 0.0, 0.0), size=0.1)
    toe = contact(12.0, (4, 9), family=1, spot=(0.1, 0.0, 0.0), size=0.1)
    other = contact(12.0, (5, 9), family=1, spot=(0.9, 0.0, 0.0), size=0.1)
    assert merge([heel, toe, other], 1.0, 3.0) == [heel, other]
    assert len(merge([heel, toe], 1.0, 1.0)) == 2


def test_what_is_struck_begins_to_move_without_a_sound_of_its_own() -> None:
    hit = contact(10.0, (0, 1), 0.2)
    roll = contact(10.1, (1, 9), 5.0, kind="roll")
    assert merge([roll, hit]) == [hit]
    assert merge([contact(20.0, (1, 9), 5.0, kind="roll"), hit])[1].kind == "roll"


def test_very_many_hits_are_merged_in_no_time() -> None:
    many = [contact(n / 5.0, (n % 3, 9), 1.0 + n % 3) for n in range(20_000)]
    assert 0 < len(merge(many, 1.05)) < len(many)


def test_a_marker_stands_for_the_hit_it_lies_on() -> None:
    frame = Fraction(1, 24)
    found = [
        Event(time_s=frame * 10 + Fraction(1, 100), words="ball on floor", pan=0.5, place=(0.75, 0.5, 0.1)),
        event(frame * 30, "box on floor"),
    ]
    both = with_markers(found, [event(frame * 10, "mine", 0.3), event(frame * 20, "alone")], frame)
    assert [one.words for one in both] == ["mine", "alone", "box on floor"]
    assert (both[0].time_s, both[0].strength) == (frame * 10, 0.3)
    assert (both[0].pan, both[0].place) == (0.5, (0.75, 0.5, 0.1))


def test_no_more_events_than_a_message_takes_and_the_strongest_of_them() -> None:
    many = [contact(float(n), (n, -1), 1.0 + n) for n in range(limits.EVENTS + 5)]
    told = list(to_events(many, lambda frame: frame / 100_000))
    assert len(told) == limits.EVENTS
    assert told[0].time_s == Fraction(5, 100_000)
    both = with_markers(told, [event(Fraction(0), "mine")], Fraction(1, 10_000_000))
    assert both[0].words == "mine"
    assert len(both) == limits.EVENTS


def test_strength_follows_force() -> None:
    told = list(to_events([contact(1, (0, 1), 4.0), contact(9, (0, 1), 1.0)], lambda frame: frame))
    assert [one.strength for one in told] == pytest.approx([1.0, 0.5])
    assert list(to_events([], lambda frame: frame)) == []


def test_numbers_beyond_all_bounds_are_brought_within() -> None:
    odd = contact(1.0, (0, 1), 0.0, pan=7.0, distance=1e30, place=(2.0, -1.0, 0.5), words="x\x00y" * 500)
    told = next(to_events([odd], lambda frame: frame))
    assert (told.pan, told.distance_m, told.place) == (1.0, 1e6, (1.0, 0.0, 0.5))
    assert len(told.words) <= limits.WORDS


def test_the_option_names_a_source_or_a_file() -> None:
    parser = options.Parser()
    options.add_sound_options(parser)
    for word, source in (("scene", "scene"), ("markers", "markers"), ("hits.json", "")):
        assert options.hit_source(parser.parse_args(["--events", word])) == source
    assert options.hit_source(parser.parse_args([])) == ""
    assert "events" not in options.request_settings(parser.parse_args(["--events", "markers"]))


@pytest.mark.parametrize(
    ("given_names", "told"),
    [
        (("GEO_steelBall.001",), "steel ball"),
        (("Cube.004", "Rusty_Iron.002"), "rusty iron cube"),
        (("Sphere", "", "Marbles"), "marbles"),
        (("Wooden ball", "wood"), "wood wooden ball"),
        (("Plane", "Material", "Collection"), "plane"),
        (("Größe_Tür",), "größe tür"),
        (("123",), ""),
    ],
)
def test_words(given_names: tuple[str, ...], told: str) -> None:
    assert words.name_thing(*given_names) == told


def test_words_of_bones_and_of_two_things() -> None:
    assert words.name_bone("DEF-foot.L") == "foot"
    assert words.is_foot("Boot.R.001")
    assert not words.is_foot("Football")
    assert words.together("ball", "floor") == "ball on floor"
    assert words.together("ball", "") == "ball"
