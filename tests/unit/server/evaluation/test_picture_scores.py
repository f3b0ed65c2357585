# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of pictures: what perfect, other and random ones score, and the line behind two of them."""

from __future__ import annotations

import numpy as np
import pytest
from footfall.server.evaluation import metrics
from footfall.server.evaluation.linear import picture_judge, ridge
from footfall.server.evaluation.picture_bars import picture_bars
from footfall.server.evaluation.picture_scores import Truth, differences, row
from footfall.server.evaluation.picture_systems import AUDIOTOKEN, CAPTION, LABEL
from footfall.server.evaluation.scores import Row

FAMILIES = ("drum", "rain", "dog", "bell") * 6
SIZE = 12


def rows_of(seed: int, spread: float = 0.1) -> np.ndarray:
    """Pictures that show what they should: a direction for each family, and some noise."""
    draw = np.random.default_rng(seed)
    own = np.eye(SIZE)[[sorted(set(FAMILIES)).index(name) for name in FAMILIES]]
    return metrics.unit(own + spread * draw.standard_normal((len(FAMILIES), SIZE)))


@pytest.fixture(scope="module")
def truth() -> Truth:
    judge = picture_judge(rows_of(0), FAMILIES)
    return Truth(
        families=FAMILIES,
        seen=rows_of(1),
        heard=rows_of(2),
        others=rows_of(3),
        labels=np.array([judge.families.index(name) for name in FAMILIES]),
        judge=judge,
    )


def test_true_pictures_score_full_and_pictures_of_others_by_chance(truth: Truth) -> None:
    true = row("true", "reference", truth.seen, truth)
    assert true.value("aic") == 1.0
    assert true.value("iis") == pytest.approx(1.0)
    assert true.value("iis_over") == 1.0
    assert true.families["rain"] == {"shots": 6, "aic": 1.0}
    other = row("other", "reference", np.roll(truth.seen, 1, axis=0), truth, paired_alone=True)
    assert other.value("aic") == 0.0
    assert other.value("ais") < 0.3
    assert "fid" not in other.scores
    blind = row("blind", "bundle", np.tile(truth.seen[:1], (len(FAMILIES), 1)), truth)
    assert blind.value("aic") == 0.25
    assert blind.value("iis_over") == pytest.approx(0.5, abs=0.02)
    assert true.value("fid") < blind.value("fid")


def test_a_lead_is_told_from_pairs(truth: Truth) -> None:
    made = {"one": rows_of(4, 0.05), "same": rows_of(4, 0.05), "worse": rows_of(5, 1.5)}
    found = {(one.other, one.score): one for one in differences("one", ("same", "worse"), made, truth)}
    assert found["same", "iis"].lead.value == 0.0
    assert found["same", "iis"].verdict == "too close to tell"
    assert found["worse", "iis"].verdict == "above"
    back = differences("worse", ("one",), made, truth)
    assert next(one for one in back if one.score == "iis").verdict == "below"


def test_bars_say_what_must_be_reached(truth: Truth) -> None:
    made = {AUDIOTOKEN: rows_of(4, 0.3), LABEL: rows_of(6, 0.05), CAPTION: rows_of(5, 1.5)}
    rows: list[Row] = [row(name, "bundle", found, truth) for name, found in made.items()]
    leads = differences(AUDIOTOKEN, (LABEL, CAPTION), made, truth)
    found = {bar.words: bar for bar in picture_bars(rows, leads, 0.25, 0.04, 6.0)}
    aic = rows[0].value("aic")
    assert found["AIC, times chance"].found == aic / 0.25
    assert not found[
        "AIC, times chance"
    ].passed  # of four families nobody can be five times as good as chance
    assert found["AIC, of the text label's"].found == aic / rows[1].value("aic")
    assert found["IIS above the nearest caption's"].passed
    assert found["share of all parameters that was learnt"].passed
    assert not found["seconds for one picture"].passed


def test_a_line_is_found_again_and_the_constant_is_kept() -> None:
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((200, 3)) + 5.0
    weights, bias = draw.standard_normal((3, 2)), np.array([4.0, -1.0])
    line = ridge(inputs, inputs @ weights + bias, strength=1e-9)
    assert line(inputs) == pytest.approx(inputs @ weights + bias, abs=1e-5)
    flat = ridge(inputs, inputs @ weights + bias, strength=1e9)
    assert flat(inputs) == pytest.approx(np.tile((inputs @ weights + bias).mean(0), (200, 1)), abs=1e-4)
    assert np.isfinite(ridge(np.ones((1, 3)), np.ones((1, 2)))(np.zeros((2, 3)))).all()


def test_others_are_counted_and_ties_are_half() -> None:
    answers = np.eye(3)
    assert metrics.above_others(answers, answers).tolist() == [1.0, 1.0, 1.0]
    assert metrics.above_others(np.ones((3, 3)), answers).tolist() == [0.5, 0.5, 0.5]
    assert metrics.above_others(np.roll(answers, 1, axis=0), answers).tolist() == [0.25, 0.25, 0.25]
