# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights fitted to what is known; held-out scenes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.scripts.truth import fitting
from footfall.scripts.truth.model import Hit, Truth
from footfall.server.vision.judging import WEIGHTS
from footfall.tests.fakes.moving_shapes import WIDTH, bouncing_ball


def test_weights_that_made_the_truth_are_found_again() -> None:
    chance = np.random.default_rng(1)
    signs = chance.normal(3.0, (1.0, 5.0, 0.2), (4000, 3))
    odds = signs @ (2.0, -0.3, 0.0) - 5.0
    true = (chance.random(4000) < 1.0 / (1.0 + np.exp(-odds))).astype(int)
    weights, bias = fitting.fit(signs, true)
    assert weights[:2] == pytest.approx([2.0, -0.3], rel=0.15)
    assert abs(weights[2]) < 0.5
    assert bias == pytest.approx(-5.0, abs=0.8 + 3.0 * abs(weights[2]))


def test_turns_of_a_film_are_told_from_its_truth() -> None:
    film, times = bouncing_ball()
    places = [((40.0 + 0.6 * time) / WIDTH, 0.74) for time in times]
    hits = tuple(Hit(time_s=time / 24, who="Ball", against="Floor", speed=2.0) for time in times)
    truth = Truth(kind="keyed", seed=5, rate="24", start=1, end=len(film), acts=(), hits=hits)
    rows = fitting.rows_of(film, truth, places)
    assert rows.signs.shape == (len(rows.true), len(WEIGHTS))
    assert (rows.true == 1).sum() == rows.wanted == len(times)
    elsewhere = fitting.rows_of(film, truth, [(0.9, 0.1)] * len(times))
    assert (elsewhere.true == 1).sum() == 0


def test_nothing_is_fitted_to_what_is_held_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fitting", "--seeds", "999-1001", "--pictures", "nowhere"])
    with pytest.raises(SystemExit):
        fitting.main()
    assert "held out" in capsys.readouterr().err
