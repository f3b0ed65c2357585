# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hits are the same thing and share sounds, and how many sounds each kind gets.

Hits belong together by their words; those without words by how they look where they are seen. What would be
too many kinds is joined by likeness, so the number of sounds is bounded however many hits there are. Pure
functions over events and numpy rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...addon.wire.messages import Event

MOST_SOUNDS = 12  # short sounds for one take, however many hits
MOST_EACH = 4  # for one kind of hit
MOST_KINDS = 32  # whose words are read; the rest is heard with the last of them
LOOKS = 32  # hits without words that are looked at
ALIKE = 0.8  # cosine of two pictures, on average, that show the same thing
LASTING = ("slide", "scrape", "roll")  # kinds of event that go on instead of dying away


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Hits that share sounds. ``numbers``: their places in the request; ``part`` tells kinds of equal words
    apart.
    """

    words: str
    events: tuple[Event, ...]
    numbers: tuple[int, ...]
    part: int = 0

    @property
    def dies_away(self) -> bool:
        return all(event.kind not in LASTING for event in self.events)

    @property
    def named(self) -> bool:
        """Whether somebody said what is hit; else ``words`` are no more than the kind of event."""
        return any(event.words.strip() for event in self.events)

    @property
    def strongest(self) -> Event:
        return max(self.events, key=lambda event: event.strength)

    @property
    def name(self) -> tuple[str, int]:
        """What makes its sounds its own; not its hits, so that these can move and change."""
        return " ".join(self.words.lower().split()), self.part


def by_words(events: Sequence[Event], duration_s: Fraction, most: int = MOST_KINDS) -> tuple[Cluster, ...]:
    """Hits within the shot by their words (without words: by kind), the largest clusters first.

    Beyond ``most`` the smallest are heard together, under the words of the largest of them.
    """
    found: dict[str, list[int]] = {}
    for number, event in enumerate(events):
        if event.time_s <= duration_s:
            found.setdefault(" ".join((event.words or event.kind).lower().split()), []).append(number)
    ordered = sorted(found.values(), key=lambda numbers: (-len(numbers), numbers[0]))
    clusters = [_cluster(events, numbers) for numbers in ordered]
    return (*clusters[: most - 1], *([_joined(clusters[most - 1 :])] if len(clusters) >= most else []))


def to_look_at(cluster: Cluster) -> list[int]:
    """Indices of hits whose looks tell kinds apart: none where words do, else some, spread over the shot."""
    if cluster.named:
        return []
    seen = [index for index, event in enumerate(cluster.events) if event.place]
    return [seen[round(place)] for place in np.linspace(0, len(seen) - 1, min(LOOKS, len(seen)))]


def by_looks(cluster: Cluster, looked_at: Sequence[int], rows: np.ndarray) -> tuple[Cluster, ...]:
    """The kinds in ``cluster`` by what was seen of hits ``looked_at``: rows (len(looked_at), D).

    A hit that was not looked at belongs to the one that was and lies nearest in picture and time.
    """
    if len(looked_at) < 2:
        return (cluster,)
    labels = _alike(rows, ALIKE, len(rows))
    places = np.array([_spot(cluster.events[index]) for index in looked_at])
    kinds: dict[int, list[int]] = {}
    for index, event in enumerate(cluster.events):
        nearest = int(np.abs(places - _spot(event)).sum(axis=1).argmin())
        kinds.setdefault(labels[nearest], []).append(index)
    ordered = sorted(kinds.values(), key=lambda indices: (-len(indices), indices[0]))
    return tuple(
        Cluster(
            words=cluster.words,
            events=tuple(cluster.events[index] for index in indices),
            numbers=tuple(cluster.numbers[index] for index in indices),
            part=part,
        )
        for part, indices in enumerate(ordered)
    )


def join_most_alike(
    clusters: Sequence[Cluster], rows: np.ndarray, most: int = MOST_SOUNDS
) -> tuple[tuple[Cluster, ...], list[int]]:
    """At most ``most`` clusters, those with the most similar rows (N, D) joined under the largest's words.

    Also the index of each one's row.
    """
    labels = _alike(rows, 2.0, most)
    together: dict[int, list[int]] = {}
    for index in sorted(range(len(clusters)), key=lambda index: (-len(clusters[index].events), index)):
        together.setdefault(labels[index], []).append(index)
    joined = tuple(_joined([clusters[index] for index in indices]) for indices in together.values())
    return joined, [indices[0] for indices in together.values()]


def shares(clusters: Sequence[Cluster], most: int = MOST_SOUNDS) -> list[int]:
    """How many sounds each cluster gets, at least one: more for many hits, ``most`` in all."""
    hits = [len(cluster.events) for cluster in clusters]
    counts = [min(MOST_EACH, math.ceil(math.sqrt(count))) for count in hits]
    while sum(counts) > max(most, len(counts)):
        richest = max(range(len(counts)), key=lambda n: (counts[n] > 1, counts[n] ** 2 / hits[n]))
        counts[richest] -= 1
    return counts


def _cluster(events: Sequence[Event], numbers: Sequence[int]) -> Cluster:
    first = events[numbers[0]]
    return Cluster(
        words=first.words or first.kind,
        events=tuple(events[number] for number in numbers),
        numbers=tuple(numbers),
    )


def _joined(clusters: Sequence[Cluster]) -> Cluster:
    """One cluster under the name of the first, its hits in the order of the request."""
    both = sorted(
        (pair for cluster in clusters for pair in zip(cluster.numbers, cluster.events, strict=True)),
        key=lambda pair: pair[0],
    )
    return replace(
        clusters[0], events=tuple(event for _, event in both), numbers=tuple(number for number, _ in both)
    )


def _spot(event: Event) -> np.ndarray:
    """(4,) where and when, so that a picture's width counts as a second; without a place, time decides."""
    return np.array([*(event.place or (0.0, 0.0, 0.0)), float(event.time_s)])


def _alike(rows: np.ndarray, least: float, most: int) -> list[int]:
    """A label for each row (N, D): the two most similar kinds become one, while their mean cosine is at least
    ``least`` or more than ``most`` are left.
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosine = (unit @ unit.T).astype(np.float64)
    labels, sizes = list(range(len(rows))), np.ones(len(rows))
    np.fill_diagonal(cosine, -np.inf)
    for left in range(len(rows), 1, -1):
        one, other = sorted(divmod(int(cosine.argmax()), len(rows)))
        if left <= most and cosine[one, other] < least:
            break
        both = (sizes[one] * cosine[one] + sizes[other] * cosine[other]) / (sizes[one] + sizes[other])
        cosine[one], cosine[:, one] = both, both
        cosine[other], cosine[:, other], cosine[one, one] = -np.inf, -np.inf, -np.inf
        sizes[one] += sizes[other]
        labels = [one if label == other else label for label in labels]
    return labels
