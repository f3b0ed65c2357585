# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks for a hit where something turns, and what against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from footfall.server.vision.camera import STILL
from footfall.server.vision.judging import WEIGHTS, Sight, odds, signs
from footfall.server.vision.look import look_at
from footfall.server.vision.turns import Turn
from footfall.tests.fakes.moving_shapes import HEIGHT, WIDTH, draw_ball, ground

FLOOR, HIT = 70.0, 20
TURN = Turn(
    time=HIT + 0.4,
    place=(60.0, FLOOR),
    box=(16.0, 16.0),
    change=np.array([0.0, -8.0]),
    left=(0.0, 5.0),
    onward=0.6,
    bend=0.1,
    share=1.0,
    count=6,
    clean=1.0,
    sharp=4.0,
    backward=False,
)
SEEN = [TURN, replace(TURN, time=HIT + 0.5, backward=True), replace(TURN, time=HIT + 0.45)]


def film(heights: list[float]) -> Sight:
    """A ball at those heights above the floor."""
    back, pictures = ground(), np.empty((len(heights), HEIGHT, WIDTH), np.float32)
    for picture, height in zip(pictures, heights, strict=True):
        picture[:] = back
        draw_ball(picture, 60.0, FLOOR - height, 8.0)
    return Sight(look_at(pictures.astype(np.uint8)), [STILL] * len(heights))


def bounce() -> Sight:
    return film([abs(3.0 * (n - HIT)) for n in range(40)])


def passing() -> Sight:
    return film([3.0 * (HIT - n) for n in range(36)])


def told(sight: Sight, turns: list[Turn]) -> float:
    return odds(signs(turns, HIT + 0.4, sight))


def test_what_comes_back_is_told_from_what_goes_on() -> None:
    part = bounce().around(TURN)
    assert bounce().returns(HIT, part) < 0.2
    assert passing().returns(HIT, part) > 0.5


def test_a_place_changes_when_something_passes_it() -> None:
    changes = passing().changes(HIT, passing().around(TURN))
    assert len(changes) == 19
    assert changes[9] > 4.0 * changes[0]
    assert np.isnan(passing().changes(34, passing().around(TURN))[-8:]).all()


def test_a_hit_is_surer_than_a_slip() -> None:
    good = told(bounce(), SEEN)
    assert good > 0.0
    for worse in (
        SEEN[:1],
        [replace(turn, bend=1.2) for turn in SEEN],
        [replace(turn, onward=1.3) for turn in SEEN],
        [replace(turn, clean=0.0) for turn in SEEN],
        [replace(turn, left=(5.0, 0.0), change=np.array([-8.0, 0.0])) for turn in SEEN],
    ):
        assert told(bounce(), worse) < good - 0.5
    assert told(passing(), SEEN) < good


def test_every_sign_has_its_weight() -> None:
    found = signs(SEEN, HIT + 0.4, bounce())
    assert len(found) == len(WEIGHTS)
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="zip"):
        odds(found[:-1])


@pytest.mark.parametrize("place", [(-5.0, -5.0), (WIDTH + 9.0, HEIGHT + 9.0), (0.0, HEIGHT - 1.0)])
def test_places_at_the_edge_are_looked_at(place: tuple[float, float]) -> None:
    edge = [replace(turn, place=place) for turn in SEEN]
    assert np.isfinite(signs(edge, HIT + 0.4, bounce())).all()
    assert np.isfinite(signs(edge, 38.9, bounce())).all()
    assert np.isfinite(signs(edge, 0.2, bounce())).all()
