# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits told against true ones: found, false, by luck, and the bars."""

from __future__ import annotations

import math

import pytest
from footfall.scripts.truth import scoring
from footfall.scripts.truth.model import Hit, Truth


def truth(*times: float, rate: str = "25", **more: str) -> Truth:
    hits = [Hit(time_s=time_s, who=f"Ball {n}", against="Floor", speed=2.0) for n, time_s in enumerate(times)]
    return Truth(kind="keyed", seed=1, rate=rate, start=1, end=100, acts=(), hits=tuple(hits))


def told(*times: float) -> list[tuple[float, str]]:
    return [(time_s, "hit") for time_s in times]


def test_found_missed_and_false() -> None:
    one = scoring.score(truth(1.0, 2.0, 3.0), told(2.002, 0.99, 3.5))
    assert (one.wanted, one.told, one.false) == (3, 3, 1)
    assert one.errors_s == pytest.approx([-0.01, 0.002])
    assert one.frames == pytest.approx([-0.25, 0.05])
    assert one.recall == pytest.approx(2 / 3)
    assert one.false_share == pytest.approx(1 / 3)
    assert len(one.missed) == len(one.wrong) == 1


def test_a_second_telling_of_one_hit_is_false() -> None:
    assert scoring.score(truth(1.0), told(1.0, 1.02)).false == 1


def test_what_may_be_told_is_not_false() -> None:
    soft = Hit(time_s=2.0, who="Cup", against="Tray", speed=0.1, kind="soft")
    hidden = Hit(time_s=3.0, who="Ghost", against="Floor", speed=3.0, seen="no")
    both = Truth(kind="keyed", seed=1, rate="25", start=1, end=100, acts=(), hits=(soft, hidden))
    one = scoring.score(both, told(2.0, 2.05, 3.0))
    assert (one.wanted, one.false) == (0, 1)
    assert math.isnan(one.recall)


def test_telling_all_the_time_finds_by_luck() -> None:
    times = [0.1 * n for n in range(40)]
    crowd = scoring.score(truth(1.03, 2.04), told(*times))
    assert crowd.recall == 1.0
    assert crowd.by_chance > 0.9
    few = scoring.score(truth(1.03, 2.04), told(1.03, 2.04))
    assert few.by_chance < 0.3


def test_sums_by_kind_and_rate_reach_the_bars_or_not() -> None:
    good = scoring.score(truth(1.0, 2.0), told(1.0, 2.001))
    poor = scoring.score(truth(1.0, 2.0, rate="60"), told(1.03))
    sums = scoring.grouped([("keyed", "25", good), ("rigid", "60", poor)])
    assert set(sums) == {"keyed", "25 fps", "rigid", "60 fps", "all"}
    assert sums["all"].wanted == 4
    assert sums["keyed"].reaches(scoring.SCENE)
    assert not sums["rigid"].reaches(scoring.SCENE)
    lines = scoring.table(sums, scoring.SCENE).splitlines()
    assert len(lines) == 2 + 5
    assert all(line.count("|") == lines[0].count("|") for line in lines)
