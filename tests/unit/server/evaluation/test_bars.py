# SPDX-License-Identifier: GPL-3.0-or-later
"""What is passed, what is failed, and what the paper's trade-off comes to."""

from __future__ import annotations

from typing import Any

import pytest
from footfall.server.evaluation import references
from footfall.server.evaluation.bars import Bar, bars, comparisons
from footfall.server.evaluation.intervals import Estimate
from footfall.server.evaluation.meter import Meter
from footfall.server.evaluation.run import Section
from footfall.server.evaluation.scores import Row


def exactly(**values: float) -> dict[str, Estimate]:
    return {name: Estimate(value, value - 0.01, value + 0.01, 100) for name, value in values.items()}


def row(name: str, kind: str = "bundle", made_of: dict[str, Any] | None = None, **values: float) -> Row:
    return Row(name=name, kind=kind, scores=exactly(**values), made_of=made_of or {})


def section(condition: str, *rows: Row) -> Section:
    noise = row(references.NOISE, "reference", fd_judge=10.0, fd_clap=1.0)
    return Section(
        condition=condition,
        keys=tuple(map(str, range(200))),
        families=40,
        others=200,
        rows=(noise, *rows),
        examples={},
    )


GOOD = {"top1": 0.6, "top5": 0.85, "fd_judge": 2.0, "fd_clap": 0.2, "r10": 0.5, "spread": 0.9, "silent": 0}


def verdicts(condition: str, **changes: float) -> dict[str, bool]:
    found = bars(exactly(top1=0.9), [section(condition, row("it", **{**GOOD, **changes}))])
    return {bar.words: bar.passed for bar in found}


def test_exactly_enough_is_enough() -> None:
    assert all(verdicts("picture").values())
    assert len(verdicts("picture")) == 8


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"top1": 0.59}, "the right family first"),
        ({"top5": 0.84}, "the right family among five"),
        ({"fd_judge": 2.1}, "FD (judge), of the shaped noise's"),
        ({"fd_clap": 0.21}, "FD (clap), of the shaped noise's"),
        ({"r10": 0.49}, "R@10 of the mapper, times chance"),
        ({"spread": 0.89}, "spectral and loudness statistics within the real spread"),
        ({"silent": 1}, "silent takes"),
        ({"top1": float("nan")}, "the right family first"),
    ],
)
def test_a_little_less_is_not(change: dict[str, float], failed: str) -> None:
    assert [words for words, passed in verdicts("picture", **change).items() if not passed] == [failed]


def test_words_have_higher_bars_and_no_retrieval() -> None:
    found = verdicts("text")
    assert not found["the right family first"]
    assert "R@10 of the mapper, times chance" not in found
    assert all(verdicts("text", top1=0.75, top5=0.92).values())


def test_a_judge_that_errs_fails() -> None:
    (only,) = bars(exactly(top1=0.89), [])
    assert isinstance(only, Bar)
    assert not only.passed


def pair(generative: dict[str, float], regression: dict[str, float]) -> dict[str, str]:
    same = {"model": "m", "quality": "good"}
    rows = (
        row("g", made_of={**same, "mapper": "generative"}, **generative),
        row("r", made_of={**same, "mapper": "regression"}, **regression),
        row("other", made_of={**same, "mapper": "regression", "quality": "draft"}, **regression),
    )
    return {one.score: one.verdict for one in comparisons([section("picture", *rows)])}


def test_the_trade_off_is_shown_denied_or_left_open() -> None:
    found = pair(
        {"fd_judge": 1.0, "fd_clap": 0.50, "variety": 0.3, "clip_score": 0.2, "clap_text": 0.5},
        {"fd_judge": 2.0, "fd_clap": 0.505, "variety": 0.5, "clip_score": 0.4, "clap_text": 0.3},
    )
    assert found == {
        "fd_judge": "shows",
        "fd_clap": "open",
        "variety": "denied",
        "clip_score": "shows",
        "clap_text": "denied",
    }


def test_without_a_twin_there_is_nothing_to_compare() -> None:
    alone = row("g", made_of={"mapper": "generative"}, fd_judge=1.0)
    assert comparisons([section("picture", alone)]) == ()


def test_time_left_is_what_the_rest_takes_at_this_pace() -> None:
    now = [0.0]
    told: list[tuple[str, float, float | None]] = []
    meter = Meter(10.0, lambda *words: told.append(words), clock=lambda: now[0])
    meter.add("one", 1.0)
    now[0] = 4.0
    meter.add("two", 1.0)
    meter.add("all and more", 20.0)
    assert told == [("one", 0.1, None), ("two", 0.2, pytest.approx(16.0)), ("all and more", 1.0, 0.0)]
