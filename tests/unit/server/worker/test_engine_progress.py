# SPDX-License-Identifier: GPL-3.0-or-later
"""Overall progress: never backwards, never there too early, and an estimate that can be believed."""

from __future__ import annotations

import math

import pytest
from footfall.addon.wire.messages import PHASES
from footfall.server.worker.progress import MOST, WEIGHTS, Overall
from hypothesis import given
from hypothesis import strategies as st

REPORTS = st.lists(
    st.tuples(st.sampled_from(PHASES), st.floats(allow_nan=True, allow_infinity=True)), max_size=60
)


def test_the_weights_cover_every_phase_and_add_up() -> None:
    assert tuple(WEIGHTS) == PHASES
    assert math.isclose(sum(WEIGHTS.values()), 1.0)


@given(REPORTS)
def test_it_never_runs_backwards_nor_reaches_the_end(reports: list[tuple[str, float]]) -> None:
    overall = Overall()
    before = 0.0
    for phase, fraction in reports:
        overall.report(phase, fraction, 0.0)
        assert before <= overall.fraction <= MOST < 1.0
        before = overall.fraction


def test_a_usual_job_fills_the_bar() -> None:
    overall = Overall()
    for phase in PHASES:
        overall.report(phase, 0.0, 0.0)
        overall.report(phase, 1.0, 0.0)
    assert overall.fraction == MOST


def test_a_phase_that_was_passed_over_counts_as_done() -> None:
    with_loading, without = Overall(), Overall()
    with_loading.report("loading", 1.0, 0.0)
    with_loading.report("looking", 0.5, 0.0)
    without.report("looking", 0.5, 0.0)
    assert without.fraction == with_loading.fraction


def test_phases_that_alternate_keep_the_bar_moving() -> None:
    overall = Overall()
    seen = []
    for phase, fraction in (("sampling", 0.5), ("decoding", 0.5), ("sampling", 1.0), ("decoding", 1.0)):
        overall.report(phase, fraction, 0.0)
        seen.append(overall.fraction)
    assert seen == sorted(set(seen))


def test_an_unknown_phase_is_a_mistake_of_the_pipeline() -> None:
    with pytest.raises(ValueError, match="dreaming"):
        Overall().report("dreaming", 0.5, 0.0)


def test_time_left_follows_the_pace_of_sampling() -> None:
    overall = Overall()
    overall.report("loading", 1.0, 0.0)
    assert overall.left_s(100.0) == -1.0
    overall.report("sampling", 0.0, 100.0)
    assert overall.left_s(100.1) == -1.0
    overall.report("sampling", 0.5, 110.0)
    left_s = overall.left_s(110.0)
    # Half of sampling (0.62 of the whole) took 10 s; the other half and what follows (0.16) are left.
    assert math.isclose(left_s, 10 * (0.31 + 0.16) / 0.31, rel_tol=1e-6)
    overall.report("sampling", 1.0, 120.0)
    assert overall.left_s(120.0) < left_s


@given(st.floats(min_value=0, max_value=1e9), st.floats(min_value=0, max_value=1))
def test_time_left_is_never_negative_but_for_unknown(now: float, fraction: float) -> None:
    overall = Overall()
    overall.report("sampling", 0.0, 0.0)
    overall.report("sampling", fraction, now)
    left_s = overall.left_s(now)
    assert left_s == -1.0 or (left_s >= 0.0 and math.isfinite(left_s))
