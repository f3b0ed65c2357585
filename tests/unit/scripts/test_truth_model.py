# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers behind the truth scenes: paths, bounces under gravity, and what must be found."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random

import pytest
from footfall.scripts.truth.model import (
    AUDIBLE,
    GRAVITY,
    KINDS,
    RATES,
    Hit,
    Key,
    Truth,
    bounces,
    from_json,
    rate_of,
    strokes,
    travel,
    value_at,
)
from hypothesis import given
from hypothesis import strategies as st

SEEDS = st.integers(0, 10_000)


def truth(*hits: Hit) -> Truth:
    return Truth(kind="keyed", seed=3, rate="24", start=1, end=72, acts=("bounce",), hits=hits)


def hit(time_s: float, speed: float = 2.0, who: str = "Ball", **more: str) -> Hit:
    return Hit(time_s=time_s, who=who, against="Floor", speed=speed, **more)


def test_a_path_goes_through_its_keys_with_their_slopes() -> None:
    keys = [Key(0.0, 1.0, 0.0, -2.0), Key(0.5, 0.0, -4.0, 3.0), Key(1.0, 0.5)]
    step = 1e-6
    for key in keys:
        assert value_at(keys, key.time_s) == pytest.approx(key.value)
    assert (value_at(keys, 0.5) - value_at(keys, 0.5 - step)) / step == pytest.approx(-4.0, rel=1e-3)
    assert (value_at(keys, 0.5 + step) - value_at(keys, 0.5)) / step == pytest.approx(3.0, rel=1e-3)
    assert value_at(keys, -1.0) == 1.0
    assert value_at(keys, 2.0) == 0.5


@given(SEEDS)
def test_bounces_are_parabolas_of_gravity(seed: int) -> None:
    keys, touches = bounces(random.Random(seed), 0.2, 4.0)
    assert [key.time_s for key in keys[1:]] == [time_s for time_s, _ in touches]
    for (time_s, speed), key in zip(touches, keys[1:], strict=True):
        assert value_at(keys, time_s) == pytest.approx(0.0, abs=1e-12)
        assert key.arrives == -speed
        assert speed > AUDIBLE
    step = 1e-3
    for one, two in itertools.pairwise(keys):
        middle = (one.time_s + two.time_s) / 2
        around = [value_at(keys, middle + by * step) for by in (-1, 0, 1)]
        assert (around[0] - 2 * around[1] + around[2]) / step**2 == pytest.approx(-GRAVITY, rel=1e-4)
        assert around[1] > 0.0


@given(SEEDS, st.floats(0.1, 1.0))
def test_strokes_come_down_fast_and_never_go_below(seed: int, reach: float) -> None:
    keys, touches = strokes(random.Random(seed), 0.0, 3.0, reach, 5)
    assert touches
    assert all(0.0 < time_s < 3.0 and speed >= 2 * reach / 0.2 for time_s, speed in touches)
    assert min(value_at(keys, n / 500) for n in range(1500)) > -1e-9


@given(st.floats(0.3, 1.0), st.floats(-1.0, 1.0), st.sampled_from([0.0, 0.3]))
def test_travel_arrives_when_it_should(arrive: float, way: float, back: float) -> None:
    keys = travel(0.0, arrive, 0.0, way, back)
    assert value_at(keys, arrive) == pytest.approx(way)
    at = next(key for key in keys if key.time_s == arrive)
    assert at.leaves == pytest.approx(-back * at.arrives)


def test_what_must_be_found_may_be_told_or_is_false() -> None:
    hits = (
        hit(0.5),
        hit(0.52, 1.0),  # the same thing's softer hit at nearly the same time
        hit(0.51, who="Box"),
        hit(1.0, AUDIBLE / 2),
        hit(1.5, kind="slide"),
        hit(2.0, seen="no"),
        hit(2.5, seen="edge"),
    )
    made = truth(*hits)
    assert made.wanted() == [hits[0], hits[2]]
    assert made.allowed() == [hits[1], hits[3], hits[4], hits[6]]
    assert made.duration_s == 3.0
    assert 0.0 < hits[0].strength < hit(0.0, 50.0).strength == 1.0


def test_a_truth_travels_as_json() -> None:
    made = truth(hit(0.5, place=(1.0, 2.0, 3.0)), hit(1.0, kind="stop"))
    assert from_json(json.loads(json.dumps(dataclasses.asdict(made)))) == made


def test_every_kind_gets_every_rate() -> None:
    for kind in KINDS:
        assert {rate_of(kind, seed) for seed in range(1000, 1006)} == set(RATES)
