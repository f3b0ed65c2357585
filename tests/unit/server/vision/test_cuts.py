# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts are found to the picture; flashes, motion, pans and noise are none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.server.vision.cuts import find_cuts
from footfall.server.vision.hits import find_hits
from footfall.tests.fakes.moving_shapes import HEIGHT, WIDTH, bouncing_ball, ground

RATE = Fraction(24)


def still(seed: int, count: int) -> np.ndarray:
    return np.repeat(ground(seed)[None].astype(np.uint8), count, 0)


def test_cuts_are_found_to_the_picture() -> None:
    film = np.concatenate([still(1, 20), bouncing_ball(30, seed=2)[0], still(3, 2), still(4, 20)])
    assert find_cuts(film, RATE) == [Fraction(20) / RATE, Fraction(50) / RATE, Fraction(52) / RATE]


def test_out_of_black_and_into_it() -> None:
    film = np.concatenate([np.zeros((10, HEIGHT, WIDTH), np.uint8), still(1, 20), still(1, 9) * 0])
    assert find_cuts(film, RATE) == [Fraction(10) / RATE, Fraction(30) / RATE]


@pytest.mark.parametrize("lasts", [1, 2, 3])
def test_a_flash_is_no_cut(lasts: int) -> None:
    film = bouncing_ball(40)[0]
    film[20 : 20 + lasts] = np.minimum(film[20 : 20 + lasts].astype(int) + 120, 255)
    assert find_cuts(film, RATE) == []
    film[20 : 20 + lasts] = 255
    assert find_cuts(film, RATE) == []


def test_motion_pans_and_noise_are_no_cuts() -> None:
    wide = ground(7, HEIGHT, 900).astype(np.uint8)
    pan = np.stack([wide[:, n * 18 : n * 18 + WIDTH] for n in range(40)])
    noise = np.random.default_rng(0).integers(0, 256, (30, HEIGHT, WIDTH), dtype=np.uint8)
    for film in (pan, noise, bouncing_ball(40, shake=3.0)[0], still(1, 30)):
        assert find_cuts(film, RATE) == []


def test_a_cut_is_no_hit() -> None:
    film = np.concatenate(
        [bouncing_ball(12, seed=1)[0], bouncing_ball(12, first=40.0, seed=2, radius=12.0)[0]]
    )
    assert find_hits(film, RATE) == []
