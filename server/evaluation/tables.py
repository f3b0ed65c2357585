# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown for people and as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from . import references
from .bars import Bar, Comparison
from .intervals import NOTHING, Estimate
from .run import Report, Section
from .scores import AT_MOST, FIGURES, Figure, Row

MOST_OUTSIDE = 12  # statistics outside of the real spread that are named
TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What it is", ("top1", "top5", "class_kl", "inception", "variety")),
    ("How it is distributed", ("fd_judge", "fd_clap", "kd_judge", "kd_clap", "spread", "silent", "loudness")),
    ("Whether it fits", ("clip_score", "clap_text", "clap_sound", "r1", "r5", "r10")),
    (
        "When it sounds",
        ("coverage", "median_ms", "p95_ms", "false_per_s", "f1", "drift_ms_per_s", "av_align"),
    ),
)


def plain(report: Report) -> dict[str, Any]:
    """For JSON: numbers are null where nothing could be measured."""
    return {
        "judge": {name: one.plain() for name, one in report.judge.items()},
        "ears": report.ears,
        "device": report.device,
        "seconds": round(report.seconds, 1),
        "sections": [_plain_section(section) for section in report.sections],
        "bars": [_plain_bar(bar) for bar in report.bars],
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
    }


def _plain_bar(bar: Bar) -> dict[str, Any]:
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
    lines += _bars(report.bars)
    lines += _comparisons(report.comparisons)
    for section in report.sections:
        lines += _section(section)
    if report.warnings:
        lines += ["## Notes", "", *(f"- {words}" for words in report.warnings), ""]
    return "\n".join(lines)


def _head(report: Report) -> Iterator[str]:
    first, five = report.judge["top1"], report.judge["top5"]
    yield (
        f"The judge names {_shown(first, FIGURES['top1'])} of {first.count} true held-out sounds right at "
        f"first and {_shown(five, FIGURES['top5'])} among five. It learnt from other true sounds alone."
    )
    if report.ears:
        yield f"CLIP and CLAP of {report.ears} listen to all. FD and KD: to real sounds of other shots."
    yield f"{report.seconds:.0f} s on {report.device}. In brackets: 95 % intervals."
    yield ""


def _bars(bars: Sequence[Bar]) -> Iterator[str]:
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
        f"## From {'pictures alone' if section.condition == 'picture' else 'words alone'}",
        "",
        f"{count} held-out shots of {section.families} families; {section.others} real sounds of others. "
        f"Chance: R@1 {100 / count:.1f} %, R@10 {1000 / count:.1f} %.",
        "",
    )
    for title, names in TABLES:
        yield from _table(title, names, section.rows)
    yield from _families(section)
    for row in section.rows:
        if row.kind != "reference" and row.outside:
            yield from _outside(row)


def _table(title: str, names: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    shown = [
        name for name in names if any(math.isfinite(row.scores.get(name, NOTHING).value) for row in rows)
    ]
    if not shown:
        return
    arrows = {"high": " ↑", "low": " ↓", "": ""}
    heads = [FIGURES[name].words + arrows[FIGURES[name].better] for name in shown]
    yield from (f"### {title}", "", f"| | {' | '.join(heads)} |", "|---" * (len(shown) + 1) + "|")
    for row in rows:
        cells = [_shown(row.scores.get(name, NOTHING), FIGURES[name]) for name in shown]
        yield f"| {row.name} | {' | '.join(cells)} |"
    yield ""


def _shown(one: Estimate, figure: Figure) -> str:
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
