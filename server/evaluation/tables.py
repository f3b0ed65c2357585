# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown for people and as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import references
from .bars import Bar, Comparison
from .intervals import NOTHING, Estimate
from .published import NOT_VERIFIED, Published
from .queries import PUBLISHED, Gap
from .run import Report, Section
from .scores import AT_MOST, FIGURES, Figure, Row

PERCENT = Figure(words="", better="high", digits=0, percent=True)
MOST_OUTSIDE = 12  # statistics outside of the real spread that are named
TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What it is", ("top1", "top5", "class_kl", "inception", "variety")),
    ("How it is distributed", ("fd_judge", "fd_clap", "kd_judge", "kd_clap", "spread", "silent", "loudness")),
    ("Whether it fits", ("clip_score", "clap_text", "clap_sound", "r1", "r5", "r10", "asked")),
    (
        "When it sounds",
        ("coverage", "median_ms", "p95_ms", "false_per_s", "f1", "drift_ms_per_s", "av_align"),
    ),
    ("What it costs", ("seconds",)),
)
HEADS = {
    "picture": "From pictures alone",
    "text": "From words alone",
    "query": "Asked with pictures and with words",
}


def plain(report: Report) -> dict[str, Any]:
    """For JSON: numbers are null where nothing could be measured."""
    return {
        "judge": {name: one.plain() for name, one in report.judge.items()},
        "ears": report.ears,
        "device": report.device,
        "seconds": round(report.seconds, 1),
        "sections": [_plain_section(section) for section in report.sections],
        "bars": [plain_bar(bar) for bar in report.bars],
        "passed": all(bar.passed for bar in report.bars),
        "comparisons": [_plain_comparison(one) for one in report.comparisons],
        "warnings": list(report.warnings),
    }


def _plain_section(section: Section) -> dict[str, Any]:
    return {
        "condition": section.condition,
        "shots": len(section.keys),
        "families": section.families,
        "others": section.others,
        "spread_of": section.spread_of,
        "chance": {f"r{count}": count / len(section.keys) for count in AT_MOST},
        "keys": list(section.keys),
        "systems": [
            {
                "name": row.name,
                "kind": row.kind,
                "made_of": row.made_of,
                "scores": {name: one.plain() for name, one in row.scores.items()},
                "families": row.families,
                "outside": [
                    {
                        "family": one.family,
                        "statistic": one.statistic,
                        "found": round(one.found, 3),
                        "low": round(one.low, 3),
                        "high": round(one.high, 3),
                    }
                    for one in row.outside
                ],
            }
            for row in section.rows
        ],
        "gaps": [_plain_gap(gap) for gap in section.gaps],
    }


def _plain_gap(gap: Gap) -> dict[str, Any]:
    return {
        "system": gap.system,
        "score": gap.score,
        "IQ": gap.image,
        "ZS": gap.zero_shot,
        "PD": gap.prior,
        "gap": gap.gap.plain(),
        "closed": gap.closed.plain(),
        "verdict": gap.verdict,
    }


def plain_bar(bar: Bar) -> dict[str, Any]:
    """For JSON."""
    return {
        "words": bar.words,
        "system": bar.system,
        "condition": bar.condition,
        "wanted": bar.wanted,
        "at_most": bar.low,
        "found": bar.found if math.isfinite(bar.found) else None,
        "passed": bar.passed,
    }


def _plain_comparison(one: Comparison) -> dict[str, Any]:
    return {
        "systems": list(one.systems),
        "score": one.score,
        "ahead_in_the_paper": one.ahead,
        "generative": one.generative,
        "regression": one.regression,
        "verdict": one.verdict,
    }


def markdown(report: Report) -> str:
    """The whole report. Figures in brackets are 95 % intervals."""
    lines = ["# Evaluation", ""]
    lines += _head(report)
    lines += bar_table(report.bars)
    lines += _comparisons(report.comparisons)
    for section in report.sections:
        lines += _section(section)
    if report.warnings:
        lines += ["## Notes", "", *(f"- {words}" for words in report.warnings), ""]
    return "\n".join(lines)


def _head(report: Report) -> Iterator[str]:
    first, five = report.judge["top1"], report.judge["top5"]
    yield (
        f"The judge names {in_words(first, FIGURES['top1'])} of {first.count} true held-out sounds right at "
        f"first and {in_words(five, FIGURES['top5'])} among five. It learnt from other true sounds alone."
    )
    if report.ears:
        yield f"CLIP and CLAP of {report.ears} listen to all. FD and KD: to real sounds of other shots."
    yield f"{report.seconds:.0f} s on {report.device}. In brackets: 95 % intervals."
    yield ""


def bar_table(bars: Sequence[Bar]) -> Iterator[str]:
    """What must be reached, and whether it is."""
    yield from ("## Bars", "", "| | system | condition | wanted | found | |", "|---|---|---|---|---|---|")
    for bar in bars:
        sign = "at most" if bar.low else "at least"
        verdict = "passed" if bar.passed else "**failed**"
        cells = (bar.words, bar.system, bar.condition, f"{sign} {bar.wanted:g}", _number(bar.found), verdict)
        yield f"| {' | '.join(cells)} |"
    yield ""


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not measured"


def _comparisons(found: Sequence[Comparison]) -> Iterator[str]:
    if not found:
        return
    yield from (
        "## Generative against regression",
        "",
        "| score | the paper has ahead | generative | regression | here |",
        "|---|---|---|---|---|",
    )
    words = {"shows": "it shows", "denied": "denied", "open": "too close to tell"}
    for one in found:
        shown = f"{_number(one.generative)} | {_number(one.regression)} | {words[one.verdict]}"
        yield f"| {FIGURES[one.score].words} | {one.ahead} | {shown} |"
    yield ""


def _section(section: Section) -> Iterator[str]:
    count = len(section.keys)
    yield from (
        f"## {HEADS[section.condition]}",
        "",
        f"{count} held-out shots of {section.families} families; {section.others} real sounds of others. "
        f"Chance: R@1 {100 / count:.1f} %, R@10 {1000 / count:.1f} %. A family's real spread: 5 to 95 % of "
        f"{section.spread_of} real sounds, of other shots than these.",
        "",
    )
    for title, names in TABLES:
        yield from score_table(title, {name: FIGURES[name] for name in names}, section.rows)
    if section.condition == "query":
        yield from _gaps(section.gaps)
        yield from printed(PUBLISHED)
    yield from _families(section)
    for row in section.rows if section.condition != "query" else ():
        if row.kind != "reference" and row.outside:
            yield from _outside(row)


def _gaps(gaps: Sequence[Gap]) -> Iterator[str]:
    if not gaps:
        return
    yield from (
        "### From words to pictures: how much of the gap the prior closes",
        "",
        "No gap: within the interval, words do as well as pictures, so that there is nothing to close.",
        "",
        "| | score | IQ | ZS | PD | IQ ahead of ZS | closed by PD | |",
        "|---|---|---|---|---|---|---|---|",
    )
    for gap in gaps:
        values = " | ".join(_number(value) for value in (gap.image, gap.zero_shot, gap.prior))
        closed = "" if gap.verdict == "no gap" else in_words(gap.closed, PERCENT)
        figure = FIGURES[gap.score]
        ahead = in_words(gap.gap, figure)
        yield f"| {gap.system} | {figure.words} | {values} | {ahead} | {closed} | {gap.verdict} |"
    yield ""


def printed(rows: Sequence[Published]) -> Iterator[str]:
    """What others published, on other data."""
    yield from ("### Published by others, on other data and with other measures", "")
    for row in rows:
        figures = ", ".join(f"{name} {value:g}" for name, value in row.figures)
        yield f"- {row.system}, {row.data}: {figures} ({row.source})"
    yield from (f"- {NOT_VERIFIED}", "")


def score_table(title: str, figures: Mapping[str, Figure], rows: Sequence[Row]) -> Iterator[str]:
    """Those of ``figures`` that any row has."""
    shown = {
        name: figure
        for name, figure in figures.items()
        if any(math.isfinite(row.value(name)) for row in rows)
    }
    if not shown:
        return
    arrows = {"high": " ↑", "low": " ↓", "": ""}
    heads = [figure.words + arrows[figure.better] for figure in shown.values()]
    yield from (f"### {title}", "", f"| | {' | '.join(heads)} |", "|---" * (len(shown) + 1) + "|")
    for row in rows:
        cells = [in_words(row.scores.get(name, NOTHING), figure) for name, figure in shown.items()]
        yield f"| {row.name} | {' | '.join(cells)} |"
    yield ""


def in_words(one: Estimate, figure: Figure) -> str:
    """A figure with its interval; nothing where nothing was measured."""
    if not math.isfinite(one.value):
        return ""
    scale, unit = (100.0, " %") if figure.percent else (1.0, "")
    text = f"{one.value * scale:.{figure.digits}f}{unit}"
    if math.isfinite(one.low) and math.isfinite(one.high):
        text += f" ({one.low * scale:.{figure.digits}f} to {one.high * scale:.{figure.digits}f})"
    return text


def _families(section: Section) -> Iterator[str]:
    rows = [section.row(references.REAL), *(row for row in section.rows if row.kind != "reference")]
    yield from ("### Right family first, by family", "", f"| | shots | {' | '.join(r.name for r in rows)} |")
    yield "|---" * (len(rows) + 2) + "|"
    for name in sorted(rows[0].families):
        cells = [f"{row.families[name]['top1']:.0%}" if name in row.families else "" for row in rows]
        yield f"| {name} | {rows[0].families[name]['shots']:.0f} | {' | '.join(cells)} |"
    yield ""


def _outside(row: Row) -> Iterator[str]:
    """Where a system leaves the real spread, furthest first."""

    def beyond(one: Any) -> float:
        width = max(one.high - one.low, 1e-6)
        return float(max(one.low - one.found, one.found - one.high) / width)

    ordered = sorted(row.outside, key=beyond, reverse=True)
    yield from (f"### {row.name}: outside of the real spread ({len(ordered)})", "")
    for one in ordered[:MOST_OUTSIDE]:
        yield f"- {one.family}, {one.statistic}: {one.found:.1f}, real {one.low:.1f} to {one.high:.1f}"
    yield ""
