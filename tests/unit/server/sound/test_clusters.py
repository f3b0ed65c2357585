# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hits are one kind, and that the number of sounds stays bounded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire.messages import Event
from footfall.server.sound import clusters
from hypothesis import given, settings
from hypothesis import strategies as st

from .hits import cluster, hit

events_strategy = st.lists(
    st.builds(
        Event,
        time_s=st.fractions(0, 20, max_denominator=48_000),
        words=st.sampled_from(["", "wood", "Wood ", "glass", "a  bell", "a bell"]),
        kind=st.sampled_from(["hit", "step"]),
        strength=st.floats(0, 1),
        place=st.sampled_from([(), (0.2, 0.5, 0.1), (0.9, 0.1, 0.3)]),
    ),
    min_size=1,
    max_size=40,
)


def all_numbers(kinds: tuple[clusters.Cluster, ...]) -> list[int]:
    return sorted(number for one in kinds for number in one.numbers)


@settings(max_examples=40)
@given(events=events_strategy, most=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_hit_within_the_shot_is_in_one_cluster(events: list[Event], most: int, seed: int) -> None:
    inside = [number for number, event in enumerate(events) if event.time_s <= 10]
    found = clusters.by_words(events, Fraction(10), most)
    assert all_numbers(found) == inside
    assert len(found) <= most
    random = np.random.default_rng(seed)
    parted: list[clusters.Cluster] = []
    for one in found:
        looked_at = clusters.to_look_at(one)
        parted += clusters.by_looks(one, looked_at, random.normal(size=(len(looked_at), 4)))
    assert all_numbers(tuple(parted)) == inside
    assert len({one.name for one in parted}) == len(parted)
    if parted:
        joined, rows = clusters.join_most_alike(parted, random.normal(size=(len(parted), 4)), 3)
        assert all_numbers(joined) == inside
        assert len(joined) <= 3
        assert len(rows) == len(joined)
        assert [one.words for one in joined] == [parted[row].words for row in rows]
    for one in found:
        assert one.events == tuple(events[number] for number in one.numbers)
        assert one.strongest.strength == max(event.strength for event in one.events)


def test_words_decide_and_spelling_does_not() -> None:
    found = clusters.by_words(
        [hit(1, "Wood"), hit(2, "glass"), hit(3, " wood "), Event(time_s=Fraction(4), kind="step")],
        Fraction(10),
        9,
    )
    assert [(one.words, len(one.events)) for one in found] == [("Wood", 2), ("glass", 1), ("step", 1)]
    assert [one.named for one in found] == [True, True, False]


def test_looks_part_hits_without_words() -> None:
    left, right = (0.1, 0.5, 0.2), (0.8, 0.5, 0.2)
    places = [left, right, left, right, left, ()]
    one = cluster(*(hit(second, "", place=place) for second, place in enumerate(places)))
    looked_at = clusters.to_look_at(one)
    assert looked_at == [0, 1, 2, 3, 4]
    rows = np.array([[1.0, 0.1], [0.1, 1.0], [1.0, 0.2], [0.0, 1.0], [0.9, 0.1]])
    parts = clusters.by_looks(one, looked_at, rows)
    assert {(0, 2, 4), (1, 3)} <= {tuple(n for n in part.numbers if n != 5) for part in parts}
    assert not clusters.to_look_at(cluster(hit(1, "wood", place=left), hit(2, "wood", place=right)))


def test_many_hits_without_words_cost_few_looks() -> None:
    many = cluster(*(hit(Fraction(n, 50), "", place=(0.5, 0.5, 0.1)) for n in range(500)))
    looked_at = clusters.to_look_at(many)
    assert len(looked_at) == clusters.LOOKS
    assert (looked_at[0], looked_at[-1]) == (0, 499)
    assert len(clusters.by_looks(many, looked_at, np.ones((len(looked_at), 3)))) == 1


def test_the_most_alike_are_joined() -> None:
    kinds = [cluster(hit(1, "tin"), hit(2, "tin")), cluster(hit(3, "can")), cluster(hit(4, "rain"))]
    kinds = [
        clusters.Cluster(words=one.words, events=one.events, numbers=(10 * n,) * len(one.events))
        for n, one in enumerate(kinds)
    ]
    rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    joined, kept = clusters.join_most_alike(kinds, rows, 2)
    assert [(one.words, len(one.events)) for one in joined] == [("tin", 3), ("rain", 1)]
    assert kept == [0, 2]
    assert clusters.join_most_alike(kinds, rows, 3)[0] == tuple(kinds)


@given(hits=st.lists(st.integers(1, 700), min_size=1, max_size=clusters.MOST_SOUNDS))
def test_no_more_sounds_than_twelve_and_none_without(hits: list[int]) -> None:
    kinds = [cluster(*([hit(1)] * count)) for count in hits]
    counts = clusters.shares(kinds)
    assert sum(counts) <= clusters.MOST_SOUNDS
    assert all(1 <= count <= min(clusters.MOST_EACH, size) for count, size in zip(counts, hits, strict=True))


@pytest.mark.parametrize(("hits", "counts"), [([500], [4]), ([1], [1]), ([9, 2, 1], [3, 2, 1])])
def test_many_hits_get_more_sounds(hits: list[int], counts: list[int]) -> None:
    assert clusters.shares([cluster(*([hit(1)] * count)) for count in hits]) == counts
