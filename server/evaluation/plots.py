# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as pictures (PNG): figures side by side, families as a map, spectrograms beside the real ones."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..train.pairs import write_whole
from . import references
from .run import Example, Report, Section
from .scores import FIGURES, Figure, Row
from .tables import HEADS

SHOWN = ("top1", "top5", "fd_judge", "fd_clap", "clip_score", "clap_text", "r10", "class_kl", "spread")
COLOURS = {"bundle": "#2b6cb0", "folder": "#dd6b20", "reference": "#a0aec0"}
EXAMPLES, COLUMNS = 48, 8


def draw(report: Report, folder: Path) -> list[Path]:
    """Every picture of a report; their paths. Raises OSError."""
    made = []
    for section in report.sections:
        made.append(_scores(section, folder / f"scores-{section.condition}.png"))
        made.append(_families(section, folder / f"families-{section.condition}.png"))
        for number, (name, examples) in enumerate(section.examples.items(), start=1):
            path = folder / f"spectrograms-{section.condition}-{number}.png"
            made.append(_spectrograms(name, examples, path))
    return made


def pyplot() -> Any:
    """The drawing library, told that there is no screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def save(figure: Any, path: Path) -> Path:
    """Writes it and lets it go. Raises OSError."""
    held = io.BytesIO()
    figure.savefig(held, dpi=90)
    pyplot().close(figure)
    write_whole(path, held.getvalue())
    return path


def _scores(section: Section, path: Path) -> Path:
    title = f"{HEADS[section.condition]}, {len(section.keys)} held-out shots, 95 % intervals"
    return panels(section.rows, {name: FIGURES[name] for name in SHOWN}, title, path)


def panels(rows: Sequence[Row], figures: Mapping[str, Figure], title: str, path: Path) -> Path:
    """A panel for each of ``figures`` that any row has, with intervals."""
    names = [name for name in figures if any(math.isfinite(row.value(name)) for row in rows)]
    columns = min(3, max(1, len(names)))
    lines = max(1, math.ceil(len(names) / columns))
    height = 0.9 + 0.3 * len(rows)
    figure = pyplot().figure(figsize=(5.2 * columns, height * lines), layout="constrained")
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(lines, columns, number)
        _panel(axes, name, figures[name].words, rows)
    figure.suptitle(title)
    return save(figure, path)


def _panel(axes: Any, name: str, words: str, rows: Sequence[Row]) -> None:
    shown = [row for row in rows if math.isfinite(row.value(name))][::-1]
    values = np.array([row.value(name) for row in shown])
    low = np.array([row.scores[name].low for row in shown])
    high = np.array([row.scores[name].high for row in shown])
    # lists, because of an array of one column the library makes a scalar, which numpy warns of
    reach = np.nan_to_num(np.maximum([values - low, high - values], 0.0)).tolist()
    axes.barh(
        [row.name for row in shown],
        values,
        xerr=reach,
        color=[COLOURS[row.kind] for row in shown],
        error_kw={"linewidth": 0.8},
    )
    axes.set_title(words, fontsize=9)
    axes.tick_params(labelsize=7)


def _families(section: Section, path: Path) -> Path:
    """The judge's verdict for each family and system."""
    rows = [section.row(references.REAL), *(row for row in section.rows if row.kind != "reference")]
    names = sorted(rows[0].families)
    table = np.array(
        [[row.families.get(name, {}).get("top1", np.nan) for name in names] for row in rows], float
    )
    figure = pyplot().figure(figsize=(0.28 * len(names) + 3.0, 0.3 * len(rows) + 2.2), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(table, vmin=0.0, vmax=1.0, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.set_title("right family first", fontsize=9)
    figure.colorbar(image, ax=axes)
    return save(figure, path)


def _spectrograms(name: str, examples: Sequence[Example], path: Path) -> Path:
    """The true sound above, what was made below, for a shot of each family; 60 dB from the loudest."""
    shown = examples[:EXAMPLES]
    lines = max(1, math.ceil(len(shown) / COLUMNS))
    figure = pyplot().figure(figsize=(1.7 * COLUMNS, 2.9 * lines + 0.4), layout="constrained")
    grid = figure.add_gridspec(2 * lines, COLUMNS)
    for number, example in enumerate(shown):
        line, column = divmod(number, COLUMNS)
        for below, mels in enumerate((example.real, example.made)):
            axes = figure.add_subplot(grid[2 * line + below, column])
            top = float(mels.max())
            axes.imshow(mels.T, origin="lower", aspect="auto", cmap="magma", vmin=top - 6.9, vmax=top)
            axes.set_xticks([])
            axes.set_yticks([])
            if not below:
                axes.set_title(example.family, fontsize=7)
    figure.suptitle(f"{name}: true sounds above, made ones below", fontsize=9)
    return save(figure, path)
