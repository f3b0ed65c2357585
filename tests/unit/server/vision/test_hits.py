# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits in films whose truth is known: found on the picture, told where and how hard, and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, Cancelled
from footfall.addon.wire.messages import Event
from footfall.server.vision import hits
from footfall.server.vision.hits import find_hits
from footfall.server.vision.look import LARGEST, look_at
from footfall.tests.fakes.moving_shapes import (
    HEIGHT,
    WIDTH,
    bouncing_ball,
    bouncing_pebble,
    draw_ball,
    falling_stick,
    ground,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RATE = Fraction(24)


def errors(events: list[Event], truth: list[float], rate: Fraction) -> list[float]:
    """In pictures, of each true hit to the nearest that was told."""
    told = [float(event.time_s * rate) for event in events if event.kind == "hit"]
    return [min((abs(one - time) for one in told), default=99.0) for time in truth]


@pytest.mark.parametrize("seed", range(4))
def test_bounces_are_found_to_the_sub_frame(seed: int) -> None:
    film, truth = bouncing_ball(first=13.0 + 0.27 * seed, seed=seed)
    events = find_hits(film, RATE)
    assert max(errors(events, truth, RATE)) < 0.5
    assert len(events) == len(truth)


@pytest.mark.parametrize("seed", range(3))
def test_a_pale_pebble_of_six_pixels_is_seen(seed: int) -> None:
    film, truth = bouncing_pebble(LARGEST, seed=seed)
    events = find_hits(film, RATE)
    assert max(errors(events, truth, RATE)) < 0.5
    assert len(events) == len(truth)


@pytest.mark.parametrize("lines", [144, LARGEST])
def test_a_thin_pale_stick_is_seen(lines: int) -> None:
    film, truth = falling_stick(lines)
    assert max(errors(find_hits(film, RATE), truth, RATE)) < 0.5


def test_large_films_are_reduced_and_small_ones_stay() -> None:
    film, truth = bouncing_pebble(2 * LARGEST)
    assert max(errors(find_hits(film, RATE), truth, RATE)) < 0.5
    assert look_at(film).picture(0).shape == (LARGEST, 320)
    assert look_at(film[:, :100]).picture(0).shape == (100, 640)


def test_a_hit_says_where_and_how_hard() -> None:
    film, truth = bouncing_ball()
    events = find_hits(film, RATE)
    first = min(events, key=lambda event: abs(float(event.time_s * RATE) - truth[0]))
    across, down, size = first.place
    assert across == pytest.approx((40.0 + 0.6 * truth[0]) / WIDTH, abs=0.05)
    assert down == pytest.approx(0.74, abs=0.1)
    assert 0.05 < size < 0.4
    assert first.pan == pytest.approx(2 * across - 1)
    assert [event.strength for event in events] == sorted((event.strength for event in events), reverse=True)


def test_what_is_seen_beside_a_surer_hit_is_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = hits.Seen(time=20.4, signs=[], odds=3.0, place=(60.0, 70.0), box=(9.0, 9.0), change=5.0)
    shadow = replace(sure, time=21.3, odds=1.0, place=(75.0, 80.0))
    far, later = replace(shadow, place=(120.0, 20.0)), replace(shadow, time=22.0)
    unlikely = replace(far, time=9.0, odds=hits.SURE)
    monkeypatch.setattr(hits, "may_hit", lambda shot, tell: [unlikely, shadow, far, sure, later])
    events = find_hits(np.repeat(ground()[None].astype(np.uint8), 40, 0), RATE)
    assert [float(event.time_s * RATE) for event in events] == pytest.approx([20.4, 21.3, 22.0], abs=1e-3)
    assert events[1].place[0] == pytest.approx(120.0 / WIDTH)


def test_soft_ones_are_left_out_on_request() -> None:
    film, _ = bouncing_ball()
    events = find_hits(film, RATE)
    least = events[0].strength
    assert find_hits(film, RATE, least=least) == [event for event in events if event.strength >= least]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(120)])
def test_any_frame_rate(rate: Fraction) -> None:
    count = int(rate * Fraction(5, 2))
    film, truth = bouncing_ball(count, per_second=float(rate))
    assert max(errors(find_hits(film, rate), truth, rate)) < 1.0 * float(rate) / 24


def test_a_camera_that_drifts_changes_nothing() -> None:
    film, truth = bouncing_ball(shake=4.0)
    events = find_hits(film, RATE)
    assert max(errors(events, truth, RATE)) < 1.0
    assert len(events) <= len(truth) + 1


def test_smooth_motion_hits_nothing() -> None:
    back = ground()
    film = np.empty((72, HEIGHT, WIDTH), np.uint8)
    for number in range(72):
        picture = back.copy()
        draw_ball(picture, 72.0 + 40.0 * np.sin(number / 7.0), 40.0 + 20.0 * np.cos(number / 5.0), 8.0)
        film[number] = picture
    assert find_hits(film, RATE) == []


def test_a_flash_is_told_as_one() -> None:
    film, _ = bouncing_ball(bounces=1)
    film[40] = np.minimum(film[40].astype(int) + 90, 255)
    (flash,) = [event for event in find_hits(film, RATE) if event.kind == "flash"]
    assert flash.time_s == Fraction(40) / RATE


def test_it_tells_how_far_it_is_and_can_be_stopped() -> None:
    film, _ = bouncing_ball(30)
    told: list[float] = []
    find_hits(film, RATE, tell=told.append)
    assert told == sorted(told)
    assert 0.0 <= told[0] <= told[-1] <= 1.0
    assert len(told) >= 30

    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        find_hits(film, RATE, tell=stop)


def odd_films() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(5)
    noise = chance.integers(0, 256, (40, 64, 96), dtype=np.uint8)
    still = np.repeat(ground(1)[None].astype(np.uint8), 40, 0)
    flashing = still.copy()
    flashing[::2] = 255
    sliding = np.stack([np.roll(still[0], 3 * n, 1) for n in range(40)])
    return {
        "none": np.empty((0, 64, 96), np.uint8),
        "one": still[:1],
        "two": still[:2],
        "black": np.zeros((40, 64, 96), np.uint8),
        "still": still,
        "noise": noise,
        "flashing": flashing,
        "everything moves": sliding,
        "tiny": noise[:, :8, :8],
        "huge": np.repeat(chance.integers(0, 256, (1, 256, 256), dtype=np.uint8), 12, 0),
        "thin": noise[:, :8, :],
    }


@pytest.mark.parametrize(("name", "film"), odd_films().items(), ids=odd_films())
def test_bad_films_are_quick_and_tell_little(name: str, film: np.ndarray) -> None:
    begun = time.monotonic()
    events = find_hits(film, RATE)
    assert time.monotonic() - begun < 20.0
    assert len(events) <= {"noise": 40, "flashing": 20, "everything moves": 4}.get(name, 0)


@pytest.mark.parametrize("film", [np.zeros((3, 8), np.uint8), np.zeros((3, 8, 8), np.float32)])
def test_what_is_no_film_is_refused(film: np.ndarray) -> None:
    with pytest.raises(BadInput, match="small grey pictures"):
        find_hits(film, RATE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(0, 24),
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    kind=st.sampled_from(("noise", "steps", "blocks")),
    rate=st.fractions(Fraction(1), Fraction(240), max_denominator=1001),
    seed=st.integers(0, 99),
)
def test_whatever_is_shown_hits_lie_within_the_film(
    count: int, height: int, width: int, kind: str, rate: Fraction, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    film = chance.integers(0, 256, (count, height, width), dtype=np.uint8)
    if kind == "steps":
        film = np.broadcast_to(film[:, :1, :1], film.shape)
    elif kind == "blocks":
        film = np.stack([np.roll(film[0], int(chance.integers(-4, 5)), 0) for _ in range(count)] or [film])
        film = film.reshape(count, height, width) if count else film[0]
    events = find_hits(film, rate)
    assert len(events) <= limits.EVENTS
    for event in events:
        assert 0 <= event.time_s <= Fraction(max(count, 1)) / rate
        assert len(event.place) == 3


@pytest.mark.parametrize("times", [2, 3])
def test_a_film_whose_pictures_are_held(times: int) -> None:
    """Drawn on twos and threes: what moves stands still in every other picture, and does not hit."""
    film, truth = bouncing_ball(60, seed=3)
    held_film = np.repeat(film, times, 0)
    events = find_hits(held_film, RATE * times)
    assert len(events) == len(truth)
    assert max(errors(events, truth, RATE)) < 0.5
