# SPDX-License-Identifier: GPL-3.0-or-later
"""What a starter bundle must reach, and whether it does; and the paper's trade-off between two mappers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import references
from .intervals import Estimate
from .queries import CLOSED
from .scores import FIGURES, Row

if TYPE_CHECKING:
    from .run import Section

JUDGE = 0.9
TOP = {"picture": (0.6, 0.85), "text": (0.75, 0.92)}  # right family first, and among five
OF_NOISE = 0.2  # a system's FD, of the FD of noise with the real sounds' mean spectrum
WORDS_ONLY = 0.6  # right family first, where a prior brings the words to the pictures
TIMES_CHANCE = 10.0  # of R@10
SPREAD = 0.9  # share of (family, statistic) whose median is within the real sounds' spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """``found`` must be at least ``wanted``, or at most where ``low``. ``system`` is empty for the judge."""

    words: str
    system: str
    condition: str
    wanted: float
    found: float
    low: bool = False

    @property
    def passed(self) -> bool:
        """False for what could not be measured."""
        return self.found <= self.wanted if self.low else self.found >= self.wanted


def bars(judge: Mapping[str, Estimate], sections: Sequence[Section]) -> tuple[Bar, ...]:
    """Of the judge and of every bundle in every condition."""
    found = [
        Bar(
            words="the judge names the true held-out sounds",
            system="",
            condition="",
            wanted=JUDGE,
            found=judge["top1"].value,
        )
    ]
    for section in sections:
        for row in section.rows:
            if row.kind == "bundle":
                found += _asked(row) if section.condition == "query" else _of(row, section)
        found += _gaps(section)
    return tuple(found)


def _asked(row: Row) -> Iterator[Bar]:
    """What is to be reached with words alone, through the prior."""
    if row.made_of.get("query") == "PD":
        yield Bar(
            words="the right family first",
            system=row.name,
            condition="query",
            wanted=WORDS_ONLY,
            found=row.value("top1"),
        )
        yield Bar(
            words="silent takes",
            system=row.name,
            condition="query",
            wanted=0.0,
            found=row.value("silent"),
            low=True,
        )


def _gaps(section: Section) -> Iterator[Bar]:
    """How much of the way from ZS to IQ the prior goes, in distance and in relevance, if there is any."""
    for gap in section.gaps:
        if gap.score != "top1" and gap.verdict != "no gap":
            yield Bar(
                words=f"of the gap between ZS and IQ, PD closes: {FIGURES[gap.score].words}",
                system=gap.system,
                condition="query",
                wanted=CLOSED,
                found=gap.closed.value,
            )


def _of(row: Row, section: Section) -> Iterator[Bar]:
    def bar(words: str, wanted: float, value: float, low: bool = False) -> Bar:
        return Bar(
            words=words,
            system=row.name,
            condition=section.condition,
            wanted=wanted,
            found=value,
            low=low,
        )

    first, five = TOP[section.condition]
    yield bar("the right family first", first, row.value("top1"))
    yield bar("the right family among five", five, row.value("top5"))
    noise = section.row(references.NOISE)
    for space in ("judge", "clap"):
        name = f"fd_{space}"
        if name in row.scores and noise.value(name) > 0:
            share = row.value(name) / noise.value(name)
            yield bar(f"FD ({space}), of the shaped noise's", OF_NOISE, share, low=True)
    if section.condition == "picture" and "r10" in row.scores:
        chance = 10.0 / len(section.keys)
        yield bar("R@10 of the mapper, times chance", TIMES_CHANCE, row.value("r10") / chance)
    yield bar("spectral and loudness statistics within the real spread", SPREAD, row.value("spread"))
    yield bar("silent takes", 0.0, row.value("silent"), low=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Generative against regression by one score. ``verdict``: ``shows``, ``denied``, or ``open`` where the
    intervals do not tell them apart.
    """

    systems: tuple[str, str]
    score: str
    ahead: str
    generative: float
    regression: float
    verdict: str


# score -> (who the paper says is ahead, whether more is better)
_CLAIMS = {
    "fd_judge": ("generative", False),
    "fd_clap": ("generative", False),
    "variety": ("generative", True),
    "clip_score": ("regression", True),
    "clap_text": ("regression", True),
}


def comparisons(sections: Sequence[Section]) -> tuple[Comparison, ...]:
    """For each pair of systems that differ in nothing but the mapper."""
    found: list[Comparison] = []
    for section in sections:
        rows = [row for row in section.rows if row.kind == "bundle" and section.condition == "picture"]
        for mine in rows:
            other = {**mine.made_of, "mapper": "regression"}
            twin = next((row for row in rows if row.made_of == other), None)
            if mine.made_of.get("mapper") == "generative" and twin is not None:
                found += _compare(mine, twin)
    return tuple(found)


def _compare(generative: Row, regression: Row) -> Iterator[Comparison]:
    for name, (ahead, more) in _CLAIMS.items():
        if name not in generative.scores or name not in regression.scores:
            continue
        one, other = generative.scores[name], regression.scores[name]
        lead = one.value - other.value if (ahead == "generative") == more else other.value - one.value
        half = math.hypot(one.high - one.low, other.high - other.low) / 2
        verdict = "open" if not abs(lead) > half else ("shows" if lead > 0 else "denied")
        yield Comparison(
            systems=(generative.name, regression.name),
            score=name,
            ahead=ahead,
            generative=one.value,
            regression=other.value,
            verdict=verdict,
        )
