# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals hold the truth about as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from footfall.server.evaluation import metrics
from footfall.server.evaluation.intervals import NOTHING, bootstrap, jackknife, median

TRIES = 200


def covered(low: float, high: float, truth: float) -> bool:
    return low <= truth <= high


def test_the_bootstrap_holds_the_mean_about_nineteen_times_in_twenty() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for number in range(TRIES):
        found = bootstrap(draw.exponential(2.0, 80), seed=number)
        held += covered(found.low, found.high, 2.0)
    assert 0.89 <= held / TRIES <= 0.985


def test_the_jackknife_holds_the_distance_of_gaussians_about_as_often() -> None:
    """On a line, where hundreds of rows leave no bias to speak of: (1 - 0)^2 + (2 - 1)^2."""
    draw = np.random.default_rng(1)
    held = 0
    for number in range(TRIES):
        sets = [draw.normal(0.0, 1.0, (400, 1)), draw.normal(1.0, 2.0, (300, 1))]
        found = jackknife(metrics.frechet_distance, sets, seed=number)
        held += covered(found.low, found.high, 2.0)
    assert 0.88 <= held / TRIES <= 0.99


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """With a group for each row it is the textbook's."""
    rows = np.random.default_rng(2).standard_normal((40, 1))
    found = jackknife(lambda kept: float(kept.mean()), [rows], groups=20)
    error = float(rows.std(ddof=1)) / math.sqrt(40)
    assert found.value == pytest.approx(float(rows.mean()))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.35)


def test_a_constant_has_no_width() -> None:
    found = bootstrap(np.full(30, 0.25))
    assert (found.value, found.low, found.high, found.count) == (0.25, 0.25, 0.25, 30)


def test_what_is_no_number_is_left_out() -> None:
    found = median(np.array([1.0, math.nan, 3.0, 2.0, math.inf]))
    assert found.value == 2.0
    assert found.count == 3
    assert bootstrap(np.array([math.nan])) == NOTHING


def test_the_same_numbers_give_the_same_interval() -> None:
    values = np.random.default_rng(3).standard_normal(50)
    assert bootstrap(values) == bootstrap(values)


def test_too_few_rows_give_a_value_without_an_interval() -> None:
    found = jackknife(metrics.frechet_distance, [np.zeros((3, 2)), np.ones((9, 2))])
    assert found.value == pytest.approx(2.0)
    assert math.isnan(found.low)


def test_json_has_null_where_there_is_no_number() -> None:
    assert NOTHING.plain() == {"value": None, "low": None, "high": None, "count": 0}
