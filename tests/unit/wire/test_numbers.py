# SPDX-License-Identifier: GPL-3.0-or-later
"""S9: every numeric field of every message, held to its bounds where it is made and where it arrives."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from footfall.addon.wire import codec, fields, messages
from footfall.addon.wire.errors import WireError
from hypothesis import given
from hypothesis import strategies as st

Example = Callable[[str], messages.Message]
Numeric = fields.Integer | fields.Real | fields.Rational


class Place(NamedTuple):
    """A numeric field: the message it travels in, the way to the object that holds it, its name and spec."""

    message: str
    way: tuple[str | int, ...]
    name: str
    spec: Numeric

    def __str__(self) -> str:
        return ".".join(map(str, (self.message, *self.way, self.name)))


def places_in(message: str, kind: type, way: tuple[str | int, ...] = ()) -> Iterator[Place]:
    for item in dataclasses.fields(kind):
        spec = item.metadata["spec"]
        if isinstance(spec, Numeric):
            yield Place(message, way, item.name, spec)
        elif isinstance(spec, fields.Nested):
            yield from places_in(message, spec.kind, (*way, item.name))
        elif isinstance(spec, fields.Many) and isinstance(spec.spec, fields.Nested):
            yield from places_in(message, spec.spec.kind, (*way, item.name, 0))


PLACES = [place for name, kind in messages.MESSAGES.items() for place in places_in(name, kind)]
EVERY_PLACE = pytest.mark.parametrize("place", PLACES, ids=str)


def at(holder: Any, way: tuple[str | int, ...]) -> Any:
    for step in way:
        holder = holder[step] if isinstance(step, int) or isinstance(holder, dict) else getattr(holder, step)
    return holder


def made_with(place: Place, value: Any, example: Example) -> Any:
    """The sender's end: the object that holds the field, made anew with ``value``."""
    return dataclasses.replace(at(example(place.message), place.way), **{place.name: value})


def arrived_with(place: Place, value: Any, example: Example) -> Any:
    """The receiver's end: the message as a peer without our checks would send it."""
    header, *buffers = codec.encode(example(place.message))
    plain = json.loads(bytes(header))
    at(plain["body"], place.way)[place.name] = value
    return at(codec.decode([json.dumps(plain).encode(), *buffers]), (*place.way, place.name))


def spelled(value: Any) -> Any:
    return [value.numerator, value.denominator] if isinstance(value, Fraction) else value


def beyond(spec: Numeric) -> list[Any]:
    """Just past each bound, and the usual suspects that lie outside."""
    match spec:
        case fields.Integer():
            return [spec.low - 1, spec.high + 1, 2**63, 2**64, -(2**63) - 1, 10**400]
        case fields.Real():
            low, high = math.nextafter(spec.low, -math.inf), math.nextafter(spec.high, math.inf)
            return [low, high, math.nan, math.inf, -math.inf, 1e308, -1e308, 2**63, 10**400, -(10**400)]
        case fields.Rational():
            step = Fraction(1, spec.denominator)
            return [spec.low - step, spec.high + step, Fraction(2**70), Fraction(1, spec.denominator + 1)]


def no_number(spec: Numeric) -> list[Any]:
    wrong: list[Any] = [None, True, False, "1", "", [], {}, [1], [1, 2, 3]]
    match spec:
        case fields.Integer():
            return [*wrong, 1.0, 0.5, [1, 1]]
        case fields.Real():
            return [*wrong, [1, 1]]
        case fields.Rational():
            return [
                *wrong,
                1,
                1.0,
                [1, 0],
                [1, -1],
                [1.0, 1],
                ["1", 1],
                [1, True],
                [True, 1],
                [math.nan, 1],
                [1],
            ]


@EVERY_PLACE
def test_both_bounds_pass_at_both_ends(place: Place, example: Example) -> None:
    for value in (place.spec.low, place.spec.high):
        assert getattr(made_with(place, value, example), place.name) == value
        if place.name == "duration_s" and value == place.spec.low:
            continue  # shorter than the example's frames last: still allowed, but nothing to learn
        assert arrived_with(place, spelled(value), example) == value


@EVERY_PLACE
def test_beyond_the_bounds_is_refused_at_both_ends(place: Place, example: Example) -> None:
    for value in beyond(place.spec):
        with pytest.raises(WireError):
            made_with(place, value, example)
        with pytest.raises(WireError):
            arrived_with(place, spelled(value), example)


@EVERY_PLACE
def test_what_is_no_number_is_refused_at_both_ends(place: Place, example: Example) -> None:
    for value in no_number(place.spec):
        with pytest.raises(WireError):
            made_with(place, value, example)
        with pytest.raises(WireError):
            arrived_with(place, value, example)


HOSTILE = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.fractions()
    | st.lists(st.integers(-(2**40), 2**40) | st.floats(), max_size=3)
)


@pytest.mark.parametrize("end", [made_with, arrived_with])
def test_any_number_is_taken_within_the_bounds_or_refused(end: Callable, example: Example) -> None:
    """A field never holds a value beyond its bounds, whatever is thrown at it."""

    @given(st.sampled_from(PLACES), HOSTILE)
    def attempt(place: Place, value: Any) -> None:
        try:
            got = end(place, spelled(value) if end is arrived_with else value, example)
        except WireError:
            return
        number = getattr(got, place.name) if end is made_with else got
        assert place.spec.low <= number <= place.spec.high
        assert type(number) in (int, float, Fraction)

    attempt()


def test_the_walk_finds_the_fields() -> None:
    """Guards the tests above against an empty list."""
    found = {str(place) for place in PLACES}
    assert {
        "Submit.request.seed",
        "Submit.request.events.0.time_s",
        "Result.clips.0.rate_hz",
        "Result.provenance.guidance",
        "Ready.bundles.0.size_bytes",
        "Pong.steps_done",
        "Hello.major",
    } <= found
    assert len(found) == len(PLACES) > 30
