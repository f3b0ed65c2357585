# SPDX-License-Identifier: GPL-3.0-or-later
"""How well told hits agree with true ones: found, false, how far off. No Blender, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from footfall.server.evaluation.timing import TOLERANCE_S, match

from .model import Truth

SHIFTS = 7


@dataclass(frozen=True, slots=True)
class Bars:
    """What has to be reached. ``p95_frames``: of a frame of the scene's own rate."""

    recall: float
    false: float
    median_s: float
    p95_frames: float


SCENE = Bars(recall=0.98, false=0.05, median_s=0.005, p95_frames=0.5)
PIXELS = Bars(recall=0.80, false=1.0, median_s=np.inf, p95_frames=1.0)


@dataclass(slots=True)
class Score:
    """Sums over scenes. errors_s: of the hits found, late is positive; frames: the same in frames.

    lucky: how many would have been found had the same number been told at other times.
    """

    wanted: int = 0
    told: int = 0
    false: int = 0
    lucky: float = 0.0
    errors_s: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        self.wanted += other.wanted
        self.told += other.told
        self.false += other.false
        self.lucky += other.lucky
        self.errors_s += other.errors_s
        self.frames += other.frames
        self.missed += other.missed
        self.wrong += other.wrong

    @property
    def recall(self) -> float:
        return len(self.errors_s) / self.wanted if self.wanted else float("nan")

    @property
    def by_chance(self) -> float:
        """The recall that as many told hits would have by luck."""
        return self.lucky / self.wanted if self.wanted else float("nan")

    @property
    def false_share(self) -> float:
        """Of what was told."""
        return self.false / self.told if self.told else 0.0

    @property
    def median_s(self) -> float:
        return float(np.median(np.abs(self.errors_s))) if self.errors_s else float("nan")

    @property
    def p95_s(self) -> float:
        return float(np.quantile(np.abs(self.errors_s), 0.95)) if self.errors_s else float("nan")

    @property
    def p95_frames(self) -> float:
        return float(np.quantile(np.abs(self.frames), 0.95)) if self.frames else float("nan")

    def reaches(self, bars: Bars) -> bool:
        return (
            self.recall >= bars.recall
            and self.false_share <= bars.false
            and self.median_s < bars.median_s
            and self.p95_frames < bars.p95_frames
        )

    def row(self) -> dict[str, Any]:
        return {
            "wanted": self.wanted,
            "found": len(self.errors_s),
            "recall": round(self.recall, 4),
            "by_chance": round(self.by_chance, 4),
            "told": self.told,
            "false": self.false,
            "false_share": round(self.false_share, 4),
            "median_ms": round(1000 * self.median_s, 3),
            "p95_ms": round(1000 * self.p95_s, 3),
            "p95_frames": round(self.p95_frames, 3),
        }


def score(truth: Truth, told: Sequence[tuple[float, str]], tolerance_s: float = TOLERANCE_S) -> Score:
    """One scene's told hits, (seconds, name), against its truth.

    Hits that have to be found are paired first, one-to-one, as many as lie within the tolerance; what is left
    may belong to a hit that need not be found, several to one (a box that settles); the rest is false.
    """
    wanted = truth.wanted()
    ordered = sorted(told)
    times = [time_s for time_s, _ in ordered]
    pairs = match([hit.time_s for hit in wanted], times, tolerance_s)
    errors = [times[j] - wanted[i].time_s for i, j in pairs]
    used = {j for _, j in pairs}
    allowed = np.array([hit.time_s for hit in truth.allowed()])
    where = f"{truth.kind} {truth.seed}"
    wrong = [
        f"{where}: {name} at {time_s:.3f} s"
        for j, (time_s, name) in enumerate(ordered)
        if j not in used and not (np.abs(allowed - time_s) <= tolerance_s).any()
    ]
    heard = {i for i, _ in pairs}
    missed = [
        f"{where}: {hit.who} on {hit.against} at {hit.time_s:.3f} s, {hit.speed:.1f} m/s"
        for i, hit in enumerate(wanted)
        if i not in heard
    ]
    return Score(
        wanted=len(wanted),
        told=len(told),
        false=len(wrong),
        lucky=_lucky([hit.time_s for hit in wanted], times, truth.duration_s, tolerance_s),
        errors_s=errors,
        frames=[error * truth.per_second for error in errors],
        missed=missed,
        wrong=wrong,
    )


def _lucky(wanted: list[float], told: list[float], duration_s: float, tolerance_s: float) -> float:
    """How many are found when all that was told is moved along the shot, around its end."""
    shifts = duration_s * (np.arange(1, SHIFTS) / SHIFTS)
    moved = (sorted((np.array(told) + shift) % duration_s) for shift in shifts)
    return float(np.mean([len(match(wanted, one, tolerance_s)) for one in moved]))


def grouped(scores: Iterable[tuple[str, str, Score]]) -> dict[str, Score]:
    """(kind, rate, score) of many scenes, summed by kind, by rate, and in all."""
    sums: dict[str, Score] = {}
    for kind, rate, one in scores:
        for name in (kind, f"{rate} fps", "all"):
            sums.setdefault(name, Score()).add(one)
    return sums


def table(sums: dict[str, Score], bars: Bars) -> str:
    """The sums as a Markdown table."""
    lines = [
        "| scenes | hits | found | by chance | false | median error | p95 | p95 in frames | bars |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in sums.items():
        verdict = "reached" if one.reaches(bars) else "**missed**"
        shares = f"{100 * one.recall:.1f} % | {100 * one.by_chance:.0f} % | {100 * one.false_share:.1f} %"
        errors = f"{1000 * one.median_s:.2f} ms | {1000 * one.p95_s:.2f} ms | {one.p95_frames:.2f}"
        lines.append(f"| {name} | {one.wanted} | {shares} | {errors} | {verdict} |")
    return "\n".join(lines)
