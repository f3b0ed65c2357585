# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of paths out of numbers: which there are, and when exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from footfall.addon.hits import arcs, passes, watch
from footfall.addon.hits.watch import Turn
from footfall.addon.hits.window import AFTER, BEFORE, Window
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

FPS = 24.0
RADIUS = 0.2
Path = Callable[[float], tuple[float, float, float]]


def matrices(places: np.ndarray) -> np.ndarray:
    """(F, 1, 4, 4) of one thing that does not turn, with nothing known of what was before and after."""
    found = np.tile(np.eye(4), (len(places) + watch.BEFORE + watch.AFTER, 1, 1, 1))
    found[:, 0, :3, 3] = np.pad(places, ((watch.BEFORE, watch.AFTER), (0, 0)), constant_values=np.nan)
    return found


def turns(places: np.ndarray) -> list[tuple[Turn, arcs.Meeting | None]]:
    """The turns of one path, first frame 0, each with the meeting of its arcs where there is one."""
    rows = matrices(watch.on_earth(places))
    radius = np.array([RADIUS])
    timed = []
    for turn in watch.find(-watch.BEFORE, rows, rows[..., :3, 3], radius, FPS):
        low = turn.frame + watch.BEFORE - arcs.EARLY
        around = rows[low : low + arcs.EARLY + arcs.LATE + 1, 0, :3, 3]
        early, late = arcs.sides(around, turn.size)
        timed.append((turn, arcs.meet(early, late, turn.offset) if early and late else None))
    return timed


def along(path: Path, count: int = 36) -> np.ndarray:
    return np.array([path(frame) for frame in range(count)], float)


def fall(hit: float, speed: float, bounce: float, gravity: float = 0.017) -> Path:
    """A parabola that is on the ground at ``hit`` with ``speed``, then another one."""

    def path(frame: float) -> tuple[float, float, float]:
        since = frame - hit
        leave = -speed if since < 0 else bounce * speed
        return 0.01 * frame, 0.0, leave * since - gravity / 2 * since**2

    return path


@settings(max_examples=15, phases=(Phase.generate,))
@given(st.floats(6, 28), st.floats(0.08, 0.6), st.floats(0.0, 0.9))
def test_a_bounce_is_found_to_a_hundredth_of_a_frame(hit: float, speed: float, bounce: float) -> None:
    found = [(turn, met) for turn, met in turns(along(fall(hit, speed, bounce))) if met is not None]
    sharpest, met = max(found, key=lambda one: one[0].size)
    assert abs(sharpest.frame + met.time - hit) < 0.01
    assert met.doubt < arcs.CERTAIN
    assert all(turn.size < 0.6 * sharpest.size for turn, _ in found if turn is not sharpest)


@settings(max_examples=10, phases=(Phase.generate,))
@given(st.floats(0.02, 0.25), st.floats(0.1, 3.0), st.floats(0, 6.3))
def test_slow_swings_are_no_sharp_turns(pace: float, width: float, phase: float) -> None:
    swing = lambda frame: (width * np.sin(pace * frame + phase), 0.0, 0.0)  # noqa: E731
    for turn, _ in turns(along(swing)):
        assert turn.size < 4.0 * width * pace**2


@given(st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 3), min_size=1, max_size=30))
@settings(max_examples=30, phases=(Phase.generate,))
def test_any_numbers_are_taken(places: list[tuple[float, float, float]]) -> None:
    for turn, met in turns(np.array(places)):
        assert 0.0 <= turn.offset <= 1.0
        assert met is None or np.isfinite(met.time)


def test_a_leap_of_one_frame_is_an_edit() -> None:
    places = np.zeros((60, 3))
    places[30:, 2] = 50.0
    assert not turns(places)


def test_hits_at_the_first_frames_are_told() -> None:
    turn, met = turns(along(fall(1.5, 0.3, 0.5), 20))[0]
    assert met is not None
    assert abs(turn.frame + met.time - 1.5) < 0.05  # only two frames tell what was before


def test_spinning_is_no_turn() -> None:
    rows = np.tile(np.eye(4), (60, 1, 1, 1))
    angle = 1.2 * np.arange(60)
    rows[:, 0, 0, 0] = rows[:, 0, 1, 1] = np.cos(angle)
    rows[:, 0, 0, 1], rows[:, 0, 1, 0] = -np.sin(angle), np.sin(angle)
    assert not watch.find(0, rows, rows[..., :3, 3], np.array([RADIUS]), FPS)


@pytest.mark.parametrize("stop", [20.0, 20.3, 20.5, 20.8])
def test_coming_to_rest_smoothly_is_told_and_timed(stop: float) -> None:
    """As an eased key does: evenly slower until it stands."""
    path = lambda frame: (0.0, 0.0, 0.01 * max(stop - frame, 0.0) ** 2)  # noqa: E731
    places = along(path, 40)
    halts = [turn for turn, _ in turns(places) if turn.halts]
    assert len(halts) == 1
    low = halts[0].frame - arcs.EARLY
    assert halts[0].frame + arcs.rest(places[low : low + 8]) == pytest.approx(stop, abs=0.05)


def test_nothing_is_told_of_what_stands() -> None:
    assert not turns(np.ones((40, 3)))
    assert not watch.find(0, np.zeros((4, 1, 4, 4)), np.zeros((4, 1, 3)), np.array([RADIUS]), FPS)
    assert not watch.find(0, np.zeros((40, 0, 4, 4)), np.zeros((40, 0, 3)), np.zeros(0), FPS)


# Looks ----------------------------------------------------------------------------------------------------


def looked_at(place: Callable[[float], np.ndarray], guess: float) -> tuple[arcs.Meeting, int]:
    """(the meeting that looks find, how many there were)."""
    samples = np.array([place(float(time)) for time in range(-3, 5)])
    early, late = arcs.sides(samples, 0.3)
    looking = arcs.narrow(early, late, arcs.meet(early, late, guess))
    looks, answer = 0, None
    while True:
        try:
            times = next(looking) if answer is None else looking.send(answer)
        except StopIteration as ended:
            return ended.value, looks
        looks, answer = looks + len(times), [place(time) for time in times]


@settings(max_examples=60, phases=(Phase.generate,))
@given(st.floats(-0.1, 1.1), st.floats(0.0, 0.01))
def test_looks_find_what_arcs_do_not_foretell(hit: float, ease: float) -> None:
    """After the hit the path bends as an eased key does, so that whole frames mislead."""

    def place(time: float) -> np.ndarray:
        since = time - hit
        return np.array((0.0, 0.0, -0.2 * since if since < 0 else 0.1 * since + ease * since**3))

    found, looks = looked_at(place, 0.5)
    assert looks <= 2 * arcs.ROUNDS
    assert abs(found.time - hit) < 0.03
    assert found.after[2] - found.before[2] > 0.2


def test_looks_that_see_nothing_leave_it_at_the_guess() -> None:
    early = [(-float(n), np.array((0.0, 0.0, 0.2 * n))) for n in range(4)]
    late = [(1.0 + n, np.array((0.0, 0.0, 0.1 + 0.1 * n))) for n in range(4)]
    met = arcs.meet(early, late, 0.4)
    looking = arcs.narrow(early, late, met)
    times = next(looking)
    with pytest.raises(StopIteration) as ended:
        looking.send([None] * len(times))
    assert ended.value.value is met


# Passes ---------------------------------------------------------------------------------------------------


def test_what_rushes_by_is_told_when_it_is_nearest() -> None:
    frames = np.arange(40, dtype=float)
    places = np.zeros((40, 1, 3))
    places[:, 0, 0], places[:, 0, 1] = 0.6 * (frames - 20.25), 0.5
    eyes = np.zeros((40, 3))
    found = passes.find(100, places, eyes, np.array([0.3]), FPS)
    assert [round(one.time, 2) for one in found] == [120.25]
    assert not passes.find(100, places, np.full((40, 3), np.nan), np.array([0.3]), FPS)
    slow = places.copy()
    slow[:, 0, 0] *= 0.02
    assert not passes.find(100, slow, eyes, np.array([0.3]), FPS)


# The window -----------------------------------------------------------------------------------------------


def test_the_window_keeps_the_last_frames() -> None:
    window = Window(1, 2, {1: 3})
    assert window.at(0) is not None  # unknown, and so is all before
    for frame in range(1, 3000):
        if window.full:
            window.roll()
        assert window.next_frame == frame
        window.put()[:] = frame
        window.points[1][window.filled - 1] = frame
    assert window.at(2999)[0, 0, 0] == 2999
    assert window.points[1][2998 - window.first, 0, 0] == 2998
    assert window.at(5) is None
    around = window.around(0, 2998, 1, 3)[:, 0, 0]
    assert around[:3].tolist() == [2997, 2998, 2999]
    assert np.isnan(around[3:]).all()
    window.end()
    assert np.isnan(window.at(3000)).all()
    assert len(window.matrices) > BEFORE + AFTER


def test_a_window_of_very_many_things_is_short() -> None:
    assert len(Window(1, 10_000, {}).matrices) < 64
    assert len(Window(1, 0, {}).matrices) > 64


@pytest.mark.parametrize("seed", range(20))
def test_many_meetings_at_once_are_the_same_as_one_by_one(seed: int) -> None:
    chance = np.random.default_rng(seed)
    places, guess = chance.normal(size=(8, 3)), chance.uniform()
    places[[row for row in (0, 1, 2, 5, 6, 7) if chance.uniform() < 0.2]] = np.nan
    early, late = arcs.sides(places, 0.5)
    single = arcs.meet(early, late, guess)
    many = arcs.foretell(places[None], np.array([0.5]), np.array([guess]))
    assert many.known[0]
    assert many[0].time == pytest.approx(single.time, abs=1e-6)
    assert many[0].before == pytest.approx(single.before, abs=1e-6)
    assert many[0].place == pytest.approx(single.place, abs=1e-6)
    assert many[0].doubt == pytest.approx(single.doubt, rel=1e-4)
