# SPDX-License-Identifier: GPL-3.0-or-later
"""The study of mappers as tables (Markdown) and pictures (PNG)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .mapped import flat, principal

JOINED = 60  # pairs whose picture and sound are joined by a line
_SCORES = (
    ("cosine", "relevance (cosine)"),
    ("fd", "FD"),
    ("spread", "variety"),
    ("r1", "R@1"),
    ("r10", "R@10"),
    ("chance10", "chance"),
)
_TABLES: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "parameters",
        "Trainable parameters",
        "The paper publishes 48.83 M for its generative mapper; at the same settings the network here has "
        "48.60 M.",
        (
            ("mapper", "mapper"),
            ("parameters", "parameters"),
            ("of_published", "of 48.83 M"),
            ("trained_on", "pairs"),
        ),
    ),
    (
        "gap",
        "The gap between the spaces",
        "Mean cosine of pairs and of strangers, distance and angle (degrees) of the two centres, and how "
        "narrow each cone is (mean cosine of two rows of one set).",
        (
            ("rows", "pictures' rows"),
            ("pairs", "pairs"),
            ("strangers", "strangers"),
            ("centres", "centres"),
            ("angle", "angle"),
            ("cone_seen", "cone, pictures"),
            ("cone_true", "cone, sounds"),
        ),
    ),
    (
        "mappers",
        "Regression against generative",
        "FD and variety of the mapped rows against the true sounds' rows (lower; near 1), cosine and "
        "retrieval pair by pair. The last rows are reference points, not mappers.",
        (("mapper", "mapper"), *_SCORES, ("seconds", "seconds")),
    ),
    ("aggregation", "Which frames", "", (("mapper", "mapper"), ("frames", "frames"), *_SCORES)),
    ("frame_count", "How many frames", "", (("mapper", "mapper"), ("count", "frames"), *_SCORES)),
    (
        "steps",
        "Steps of the prior",
        "",
        (("mapper", "mapper"), ("steps", "steps"), *_SCORES, ("seconds", "seconds")),
    ),
    (
        "guidance",
        "Guidance of the prior",
        "1 is none, 0 forgets the picture.",
        (("mapper", "mapper"), ("guidance", "guidance"), *_SCORES),
    ),
)


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    spaces = report["spaces"]
    lines = [
        "# A study of the mappers",
        "",
        f"{report['pairs']} held-out pairs of {report['frames']} frames; from {spaces['clip']} to "
        f"{spaces['clap']}. All is measured on embeddings; behind a cosine stands half its 95 % interval.",
        "",
        "![The gap](study-gap.png)",
        "",
        "![Steps, guidance, frames](study-curves.png)",
    ]
    for key, title, words, columns in _TABLES:
        if report[key]:
            lines += ["", f"## {title}", "", *([words, ""] if words else []), *_table(report[key], columns)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> list[str]:
    head = f"| {' | '.join(title for _, title in columns)} |"
    ruler = f"|{'---|' * len(columns)}"
    body = [f"| {' | '.join(_cell(row, key) for key, _ in columns)} |" for row in rows]
    return [head, ruler, *body]


def _cell(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("|", "/")
    if isinstance(value, int):
        return f"{value:,}"
    if key == "cosine":
        return f"{value:.3f} ± {row['cosine_half']:.3f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def pictures(panels: Mapping[str, Tensor], true: Tensor) -> bytes:
    """PNG: for each panel its rows (N, D) and the true sounds' in the same two directions, those in which all
    of them together scatter most; lines join some pairs.
    """
    axes = principal(torch.cat((*panels.values(), true)))
    sounds = flat(true, axes)
    figure, places = _figure(len(panels), shared=True)
    for place, (name, rows) in zip(places, panels.items(), strict=True):
        seen = flat(rows, axes)
        for index in range(min(JOINED, len(seen))):
            place.plot(
                *zip(seen[index].tolist(), sounds[index].tolist(), strict=True), color="#999999", lw=0.4
            )
        place.scatter(*sounds.T.numpy(), s=8, color="#1f77b4", label="sounds")
        place.scatter(
            *seen.T.numpy(), s=8, color="#d95f02", label="pictures" if "before" in name else "mapped"
        )
        for points, colour in ((sounds, "#0b3c5d"), (seen, "#7f2704")):
            place.plot(*points.mean(0).tolist(), "x", color=colour, ms=10, mew=2.5)
        place.set_title(name)
        place.set_aspect("equal")
        place.legend(loc="best", fontsize=8)
    return _png(figure)


def curves(report: Mapping[str, Any]) -> bytes:
    """PNG: relevance and FD over steps, guidance and the number of frames."""
    wanted = [
        pair
        for pair in (("steps", "steps"), ("guidance", "guidance"), ("frame_count", "count"))
        if report[pair[0]]
    ]
    figure, places = _figure(len(wanted))
    for place, (table, key) in zip(places, wanted, strict=True):
        other = place.twinx()
        for name in dict.fromkeys(row["mapper"] for row in report[table]):
            rows = [row for row in report[table] if row["mapper"] == name]
            along = [row[key] for row in rows]
            (line,) = place.plot(along, [row["cosine"] for row in rows], "o-", label=f"{name}, cosine")
            other.plot(along, [row["fd"] for row in rows], "s--", color=line.get_color(), label=f"{name}, FD")
        if key != "guidance":
            place.set_xscale("log", base=2)
            numbers = sorted({row[key] for row in report[table]})
            place.set_xticks(numbers, [str(number) for number in numbers])
        place.set_xlabel({"count": "frames"}.get(key, key))
        place.set_ylabel("cosine")
        other.set_ylabel("FD (dashed)")
        place.legend(loc="center right", fontsize=8)
    return _png(figure)


def _figure(columns: int, *, shared: bool = False) -> tuple[Any, list[Any]]:
    """Drawn without any window system and outside of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False, sharex=shared, sharey=shared)[0])


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
