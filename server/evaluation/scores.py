# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the ears heard to the figures of one system: each with its interval, and how to read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..train.synth.shot import SECONDS
from . import metrics, statistics, timing
from .ears import Ears, Hearing
from .intervals import NOTHING, Estimate, bootstrap, jackknife, median
from .shots import Item

AT_MOST = (1, 5, 10)  # the k of R@k
# Those that hold a sound against its own shot; the others know only sets.
PAIRED = (
    *("top1", "top5", "class_kl", "clip_score", "clap_text", "clap_sound"),
    *("coverage", "median_ms", "p95_ms", "false_per_s", "f1", "drift_ms_per_s", "av_align"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How a score is shown. ``better``: ``high``, ``low``, or nothing where neither is."""

    words: str
    better: str
    digits: int = 2
    percent: bool = False


FIGURES: dict[str, Figure] = {
    "top1": Figure(words="right family first", better="high", digits=1, percent=True),
    "top5": Figure(words="right family among five", better="high", digits=1, percent=True),
    "fd_judge": Figure(words="FD, judge", better="low"),
    "fd_clap": Figure(words="FD, CLAP", better="low", digits=3),
    "kd_judge": Figure(words="KD, judge", better="low", digits=3),
    "kd_clap": Figure(words="KD, CLAP", better="low", digits=4),
    "inception": Figure(words="inception-like score", better="high"),
    "class_kl": Figure(words="class KL to the true sound", better="low"),
    "clip_score": Figure(words="CLIP score with the picture", better="high", digits=3),
    "clap_text": Figure(words="CLAP relevance to the words", better="high", digits=3),
    "clap_sound": Figure(words="CLAP relevance to the true sound", better="high", digits=3),
    "variety": Figure(words="variety within a family", better="", digits=3),
    "r1": Figure(words="condition finds its sound, R@1", better="high", digits=1, percent=True),
    "r5": Figure(words="R@5", better="high", digits=1, percent=True),
    "r10": Figure(words="R@10", better="high", digits=1, percent=True),
    "spread": Figure(words="statistics within the real spread", better="high", digits=1, percent=True),
    "silent": Figure(words="silent takes", better="low", digits=0),
    "loudness": Figure(words="loudness, LUFS", better="", digits=1),
    "coverage": Figure(words="hits heard", better="high", digits=1, percent=True),
    "median_ms": Figure(words="timing error, median ms", better="low", digits=1),
    "p95_ms": Figure(words="timing error, 95th percentile ms", better="low", digits=1),
    "false_per_s": Figure(words="false hits per second", better="low"),
    "f1": Figure(words="onsets and hits, F1", better="high", digits=3),
    "drift_ms_per_s": Figure(words="drift, ms per second", better="low", digits=1),
    "av_align": Figure(words="AV-Align", better="high", digits=3),
    "asked": Figure(words="likeness of the query to the picture, CLIP", better="high", digits=3),
    "seconds": Figure(words="processor seconds for one sound", better="low"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a condition's systems are held against: N shots, their true sounds, real sounds of other shots.

    words: (N, 512) and pictures: (N, 512), or None; real: statistics of real sounds by family.
    """

    items: Sequence[Item]
    paired: Hearing
    others: Hearing
    labels: np.ndarray
    real: statistics.Table
    words: np.ndarray | None = None
    pictures: np.ndarray | None = None

    @property
    def families(self) -> list[str]:
        return [item.shot.family for item in self.items]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system's figures. ``kind``: ``bundle``, ``folder`` or ``reference``; made_of: settings for JSON."""

    name: str
    kind: str
    scores: dict[str, Estimate]
    outside: tuple[statistics.Outside, ...] = ()
    families: dict[str, dict[str, float]] = field(default_factory=dict)
    made_of: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> float:
        return self.scores.get(name, NOTHING).value


def score(
    hearing: Hearing, numbers: Sequence[int] | np.ndarray, truth: Truth, ears: Ears
) -> tuple[dict[str, Estimate], tuple[statistics.Outside, ...]]:
    """Figures of sounds made for the shots ``numbers`` of ``truth``, and where they leave the real spread."""
    index = np.asarray(numbers, np.int64)
    labels, paired = truth.labels[index], truth.paired.take(index)
    said = hearing.verdicts.probabilities
    found = {
        "top1": bootstrap(metrics.top(said, labels, 1)),
        "top5": bootstrap(metrics.top(said, labels, 5)),
        "inception": jackknife(metrics.inception_score, [said]),
        "class_kl": bootstrap(metrics.class_divergence(paired.verdicts.probabilities, said)),
        "silent": _count(hearing.silent),
        "loudness": median(hearing.loudness),
        "variety": _variety(hearing, labels),
    }
    found |= _distances(hearing, truth.others)
    found |= _relevance(hearing, index, truth, ears)
    found |= _timing(hearing, [truth.items[i] for i in index])
    spread = statistics.within(truth.real, by_family(hearing, [truth.items[i] for i in index]))
    found["spread"] = plain(spread.share, spread.compared)
    return found, spread.outside


def _variety(hearing: Hearing, labels: np.ndarray) -> Estimate:
    rows = np.column_stack([hearing.verdicts.embeddings, labels])
    return jackknife(lambda table: metrics.variety(table[:, :-1], table[:, -1]), [rows])


def plain(value: float, count: int) -> Estimate:
    """A figure without an interval."""
    return Estimate(value, math.nan, math.nan, count)


def _count(flags: np.ndarray) -> Estimate:
    return plain(float(flags.sum()), len(flags))


def _distances(hearing: Hearing, others: Hearing) -> dict[str, Estimate]:
    """To the real sounds of other shots, so that real sounds can be measured in the same way.

    The judge's numbers have no unit of their own; here the real sounds' root mean square is 1. Both sets hold
    as many sounds of each family, so KD of real against real lies a little below 0.
    """
    real_rms = math.sqrt(max(float(np.square(others.verdicts.embeddings).mean()), metrics.TINY))
    spaces = {"judge": (hearing.verdicts.embeddings / real_rms, others.verdicts.embeddings / real_rms)}
    if hearing.clap.shape[1]:
        spaces["clap"] = (hearing.clap, others.clap)
    found = {}
    for name, (mine, real) in spaces.items():
        if min(len(mine), len(real)) > 1:
            # unit rows times sqrt(D), so that the kernel's x y / D is their cosine
            scale = math.sqrt(mine.shape[1]) if name == "clap" else 1.0
            found[f"fd_{name}"] = jackknife(metrics.frechet_distance, [mine, real])
            found[f"kd_{name}"] = jackknife(metrics.kernel_distance, [mine * scale, real * scale])
    return found


def _relevance(hearing: Hearing, index: np.ndarray, truth: Truth, ears: Ears) -> dict[str, Estimate]:
    found = {}
    if hearing.clap.shape[1]:
        found["clap_sound"] = bootstrap(metrics.cosines(hearing.clap, truth.paired.clap[index]))
    if truth.words is not None:
        found["clap_text"] = bootstrap(metrics.cosines(hearing.clap, truth.words[index]))
    if truth.pictures is not None:
        seen = ears.seen_in(hearing.clap, truth.items)
        found["clip_score"] = bootstrap(metrics.cosines(seen, truth.pictures[index]))
    return found


def _timing(hearing: Hearing, items: Sequence[Item]) -> dict[str, Estimate]:
    """Of the shots that have hits; AV-Align of those that have pictures."""
    timings, aligned = [], []
    for item, onsets in zip(items, hearing.onsets_s, strict=True):
        if item.shot.hits:
            hits = [hit.time_s for hit in item.shot.hits]
            timings.append(timing.against(hits, onsets, SECONDS))
        if len(item.frames) > 2:
            window = float(np.diff(item.times_s).mean())
            peaks = timing.motion_peaks(item.frames, item.times_s)
            aligned.append(timing.av_align(onsets, peaks, window))
    found = {name: plain(value, len(timings)) for name, value in timing.summary(timings).items()}
    del found["hits"]
    found["coverage"] = bootstrap(np.array([one.coverage for one in timings]))
    found["av_align"] = bootstrap(np.array(aligned))
    return found


def retrieval(conditions: np.ndarray, truth: Truth) -> dict[str, Estimate]:
    """How often a shot's condition (N, 512) in CLAP's space finds its own true sound among all N."""
    rank = metrics.ranks(conditions, truth.paired.clap)
    return {f"r{count}": bootstrap(metrics.recall(rank, count)) for count in AT_MOST}


def by_family(hearing: Hearing, items: Sequence[Item]) -> dict[str, list[dict[str, float]]]:
    """Statistics of each sound under its family; silent sounds have none."""
    table: dict[str, list[dict[str, float]]] = {}
    for item, row, silent in zip(items, hearing.described, hearing.silent, strict=True):
        kin = table.setdefault(item.shot.family, [])
        if not silent:
            kin.append(row)
    return table


def per_family(
    hearing: Hearing, numbers: Sequence[int] | np.ndarray, truth: Truth
) -> dict[str, dict[str, float]]:
    """The judge's verdict on each family's sounds."""
    index = np.asarray(numbers, np.int64)
    first = metrics.top(hearing.verdicts.probabilities, truth.labels[index], 1)
    five = metrics.top(hearing.verdicts.probabilities, truth.labels[index], 5)
    names = np.array(truth.families)[index]
    return {
        str(name): {
            "shots": int((names == name).sum()),
            "top1": float(first[names == name].mean()),
            "top5": float(five[names == name].mean()),
        }
        for name in np.unique(names)
    }
