# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits out of numbers: turns of paths and their times, merging, markers, words."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon import events, options
from footfall.addon.events import Contact, Turn, Watch, merge, name_thing, with_markers
from footfall.addon.wire import limits
from footfall.addon.wire.messages import Event
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

FPS = 24.0
RADIUS = 0.2


def turns(path: Callable[[float], tuple[float, float, float]], count: int = 36) -> list[tuple[Turn, float]]:
    """Turns of one thing along ``path``, each with the time at which its arcs meet."""
    return watched(np.array([path(frame) for frame in range(count)], float))


def watched(places: np.ndarray) -> list[tuple[Turn, float]]:
    watch = Watch(np.array([RADIUS]), FPS)
    found = []
    for frame, place in enumerate(places):
        found += watch.push(frame, place[None], np.eye(3)[None])
    for late in watch.flush():
        found += late
    padded = np.pad(places, ((3, 4), (0, 0)), constant_values=np.nan)
    timed = []
    for turn in found:
        early, later = events.arcs(padded[turn.frame + 1 : turn.frame + 7], turn.size)
        timed.append((turn, turn.frame + events.meet(early, later, turn.offset, -0.2, 1.2).time))
    return timed


def fall(
    hit: float, speed: float, bounce: float, gravity: float = 0.017
) -> Callable[[float], tuple[float, float, float]]:
    """A parabola that is on the ground at ``hit`` with ``speed``, then another one."""

    def path(frame: float) -> tuple[float, float, float]:
        since = frame - hit
        leave = -speed if since < 0 else bounce * speed
        return 0.01 * frame, 0.0, leave * since - gravity / 2 * since**2

    return path


@settings(max_examples=15, phases=(Phase.generate,))
@given(st.floats(6, 28), st.floats(0.08, 0.6), st.floats(0.0, 0.9))
def test_a_bounce_is_found_to_a_hundredth_of_a_frame(hit: float, speed: float, bounce: float) -> None:
    found = turns(fall(hit, speed, bounce))
    sharpest, time = max(found, key=lambda one: one[0].size)
    assert abs(time - hit) < 0.01
    assert all(turn.size < 0.6 * sharpest.size for turn, _ in found if turn is not sharpest)


@settings(max_examples=10, phases=(Phase.generate,))
@given(st.floats(0.02, 0.25), st.floats(0.1, 3.0), st.floats(0, 6.3))
def test_slow_swings_are_no_hits(pace: float, width: float, phase: float) -> None:
    """A turn may be told of a swing, but its arcs meet without a sharp change of speed."""
    swing = lambda frame: (width * np.sin(pace * frame + phase), 0.0, 0.0)  # noqa: E731
    for turn, _ in turns(swing):
        assert turn.size < 4.0 * width * pace**2


@given(st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 3), min_size=1, max_size=30))
@settings(max_examples=30, phases=(Phase.generate,))
def test_any_numbers_are_taken(places: list[tuple[float, float, float]]) -> None:
    for turn, time in watched(np.array(places)):
        assert 0.0 <= turn.offset <= 1.0
        assert np.isfinite(time)


def test_a_leap_of_one_frame_is_an_edit() -> None:
    places = np.zeros((60, 3))
    places[30:, 2] = 50.0
    assert not watched(places)


def test_hits_at_the_first_frames_are_told() -> None:
    found = turns(fall(1.5, 0.3, 0.5), 20)
    assert abs(found[0][1] - 1.5) < 0.05  # only two frames tell what was before


def test_spinning_is_no_hit() -> None:
    watch = Watch(np.array([RADIUS]), FPS)
    found = []
    for frame in range(40):
        c, s = np.cos(1.2 * frame), np.sin(1.2 * frame)
        found += watch.push(frame, np.zeros((1, 3)), np.array([[[c, -s, 0], [s, c, 0], [0, 0, 1]]]))
    assert not found


@settings(max_examples=15, phases=(Phase.generate,))
@given(st.floats(0.05, 0.95), st.floats(0.0, 0.05))
def test_looking_between_frames_finds_what_arcs_do_not_foretell(hit: float, ease: float) -> None:
    """After the hit the path bends as an eased key does, so that whole frames mislead."""

    def place(time: float) -> np.ndarray:
        since = time - hit
        return np.array((0.0, 0.0, -0.2 * since if since < 0 else 0.1 * since + ease * since**3))

    samples = np.array([place(float(time)) for time in range(-2, 4)])
    early, late = events.arcs(samples, 0.3)
    looking = events.narrow(early, late, 0.5)
    looks, answer = 0, None
    while True:
        try:
            time = looking.send(answer)
        except StopIteration as ended:
            found = ended.value
            break
        looks, answer = looks + 1, place(time)
    assert looks <= 11
    assert abs(found.time - hit) < 0.02
    assert found.after[2] - found.before[2] > 0.2


def contact(time: float, pair: tuple[int, int], force: float = 1.0) -> Contact:
    return Contact(time=time, pair=pair, force=force)


def test_one_hit_is_told_once() -> None:
    found = merge(
        [contact(10.0, (0, 1), 2.0), contact(10.2, (1, 0)), contact(10.4, (0, 2)), contact(14.0, (0, 1))]
    )
    assert [(one.time, one.force) for one in found] == [(10.0, 2.0), (14.0, 1.0)]
    assert len(merge([contact(10.0, (0, 9)), contact(10.0, (1, 9))])) == 2


def event(time: Fraction, words: str = "", strength: float = 1.0) -> Event:
    return Event(time_s=time, words=words, strength=strength)


def test_a_marker_stands_for_the_hit_it_lies_on() -> None:
    frame = Fraction(1, 24)
    found = [event(frame * 10 + Fraction(1, 100), "ball on floor"), event(frame * 30, "box on floor")]
    both = with_markers(found, [event(frame * 10, "mine", 0.3), event(frame * 20, "alone")], frame)
    assert [one.words for one in both] == ["mine", "alone", "box on floor"]


def test_no_more_events_than_a_message_takes_and_the_strongest_of_them() -> None:
    many = [contact(float(n), (n, -1), 1.0 + n) for n in range(limits.EVENTS + 5)]
    told = events.to_events(many, lambda frame: frame / 100_000)
    assert len(told) == limits.EVENTS
    assert told[0].time_s == Fraction(5, 100_000)
    assert with_markers(told, [event(Fraction(0), "mine")], Fraction(1, 24))[0].words == "mine"


def test_the_option_names_a_source_or_a_file() -> None:
    parser = options.Parser()
    options.add_sound_options(parser)
    for word, source in (("scene", "scene"), ("markers", "markers"), ("hits.json", "")):
        assert options.hit_source(parser.parse_args(["--events", word])) == source
    assert options.hit_source(parser.parse_args([])) == ""
    assert "events" not in options.request_settings(parser.parse_args(["--events", "markers"]))


def test_strength_follows_force() -> None:
    told = events.to_events([contact(1, (0, 1), 4.0), contact(9, (0, 1), 1.0)], lambda frame: frame)
    assert [one.strength for one in told] == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize(
    ("given_names", "words"),
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
def test_words(given_names: tuple[str, ...], words: str) -> None:
    assert name_thing(*given_names) == words
