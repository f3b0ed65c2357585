# SPDX-License-Identifier: GPL-3.0-or-later
"""A report on pictures of sounds as Markdown, as plain data for JSON, and as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import plots, tables
from .picture_scores import FIGURES, Difference
from .pictures import REAL, PictureReport

COLUMNS = 10  # examples side by side
SHOWN = 20  # examples at most


def plain(report: PictureReport) -> dict[str, Any]:
    """For JSON: numbers are null where nothing could be measured."""
    return {
        "model": report.model,
        "ears": report.ears,
        "device": report.device,
        "seconds": round(report.seconds, 1),
        "seconds_each": round(report.seconds_each, 3),
        "shots": report.shots,
        "families": report.families,
        "others": report.others,
        "size": report.size,
        "chance": {"aic": report.chance, "iis_over": 0.5, "ais_over": 0.5},
        "systems": [
            {
                "name": row.name,
                "kind": row.kind,
                "scores": {name: one.plain() for name, one in row.scores.items()},
                "families": row.families,
            }
            for row in report.rows
        ],
        "differences": [
            {"system": one.system, "other": one.other, "score": one.score, "lead": one.lead.plain()}
            | {"verdict": one.verdict}
            for one in report.differences
        ],
        "bars": [tables.plain_bar(bar) for bar in report.bars],
        "passed": all(bar.passed for bar in report.bars),
        "warnings": list(report.warnings),
    }


def markdown(report: PictureReport) -> str:
    """The whole report. Figures in brackets are 95 % intervals."""
    lines = ["# Pictures of sounds", "", *_head(report)]
    lines += tables.bar_table(report.bars)
    lines += tables.score_table("What they show", FIGURES, report.rows)
    lines += _differences(report.differences)
    lines += tables.printed(())
    lines += _families(report)
    if report.warnings:
        lines += ["## Notes", "", *(f"- {words}" for words in report.warnings), ""]
    return "\n".join(lines)


def _head(report: PictureReport) -> Iterator[str]:
    real = next(row for row in report.rows if row.name == REAL).scores["aic"]
    yield (
        f"{report.shots} held-out shots of {report.families} families, pictures of {report.size} pixels; "
        f"{report.others} true pictures of other shots. Chance: AIC {100 * report.chance:.1f} %, the shares "
        "of others 50 %. The judge is a linear classifier on CLIP's rows of the training split's true "
        f"pictures; of the true held-out ones it names {tables.in_words(real, FIGURES['aic'])} right."
    )
    yield (
        "The text label and the shot's own words know what a sound alone does not tell. All are pictures of "
        "one painter, from the same noise."
    )
    yield f"{report.seconds:.0f} s on {report.device}, {report.seconds_each:.2f} s for one picture."
    yield ""


def _differences(found: tuple[Difference, ...]) -> Iterator[str]:
    if not found:
        return
    yield from ("### AudioToken beside the others, shot by shot", "")
    yield from ("| against | figure | lead | |", "|---|---|---|---|")
    for one in found:
        figure = FIGURES[one.score]
        yield f"| {one.other} | {figure.words} | {tables.in_words(one.lead, figure)} | {one.verdict} |"
    yield ""


def _families(report: PictureReport) -> Iterator[str]:
    names = sorted(report.rows[0].families)
    yield from ("### Right family first, by family", "")
    yield f"| | shots | {' | '.join(row.name for row in report.rows)} |"
    yield "|---" * (len(report.rows) + 2) + "|"
    for name in names:
        cells = [f"{row.families[name]['aic']:.0%}" for row in report.rows]
        yield f"| {name} | {report.rows[0].families[name]['shots']:.0f} | {' | '.join(cells)} |"
    yield ""


def draw(report: PictureReport, folder: Path) -> list[Path]:
    """Figures side by side, and examples below their true pictures. Raises OSError."""
    title = f"Pictures of sounds, {report.shots} held-out shots, 95 % intervals"
    made = [plots.panels(report.rows, FIGURES, title, folder / "scores-pictures.png")]
    names = list(report.examples)
    for number, start in enumerate(range(0, min(SHOWN, len(report.example_families)), COLUMNS), start=1):
        stop = min(start + COLUMNS, len(report.example_families))
        figure = plots.pyplot().figure(
            figsize=(1.05 * (stop - start) + 1.6, 1.15 * len(names) + 0.4), layout="constrained"
        )
        grid = figure.subplots(len(names), stop - start, squeeze=False)
        for line, name in enumerate(names):
            for column, index in enumerate(range(start, stop)):
                _picture(grid[line][column], report.examples[name][index])
                if not line:
                    grid[line][column].set_title(report.example_families[index], fontsize=7)
            grid[line][0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
        made.append(plots.save(figure, folder / f"pictures-{number}.png"))
    return made


def _picture(axes: Any, pixels: np.ndarray) -> None:
    axes.imshow(pixels)
    axes.set_xticks([])
    axes.set_yticks([])
