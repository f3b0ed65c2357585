# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIPSonic's comparison (Dong et al. 2023, arXiv:2306.09635): one generator, asked in three ways.

IQ asks with the picture, ZS with CLIP's row of the words in the picture's place, PD with the row that a prior
makes of those words. The same three stand before a V2A-Mapper too. What learnt from words is the upper line.
All are asked about the same shots, so that the gap between words and pictures can be said, and how much of it
the prior closes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..making.conditions import Conditions
from ..models.bundle import Bundle
from ..models.loaded import Models
from ..train.synth.shot import SECONDS
from . import metrics, published
from .ears import Hearing
from .intervals import Estimate, bootstrap, jackknife, median
from .published import Published
from .scores import Truth
from .systems import NO_MAPPER, QUERIES, Silent, System, by_themselves, chosen_mapper

CLOSED = 0.5  # of the gap between ZS and IQ, that PD is to close
TIMED = 3  # sounds made to see how long one takes
PUBLISHED: tuple[Published, ...] = published.CLIPSONIC


def systems_of(bundle: Bundle, base: System, mappers: Sequence[str], labels: bool) -> Iterator[System]:
    """How a bundle is asked. ``base``: its name and settings; ``labels``: it learnt from words."""
    queries = ["IQ", "ZS", *(["PD"] if QUERIES["PD"] in bundle.queries else [])]
    if bundle.condition == "clip":
        for query in ["labels"] if labels else queries:
            shown = base.frames if query == "IQ" else 0
            yield replace(base, query=query, mapper=NO_MAPPER, frames=shown)
        return
    for mapper in dict.fromkeys(chosen_mapper(bundle, name) for name in mappers):
        for query in queries:
            yield replace(base, query=query, mapper=mapper, frames=base.frames if query == "IQ" else 0)
    yield replace(base, query="CLAP's words")


def asked(system: System, models: Models, truth: Truth) -> dict[str, Estimate]:
    """How like the shot's picture the query is, where the generator takes rows of CLIP; and what one sound
    costs.
    """
    requests = [system.request(item, models.bundle.root.name) for item in truth.items]
    found: dict[str, Estimate] = {}
    if models.bundle.condition == "clip" and truth.pictures is not None:
        whole = [(0.0, float(SECONDS))]
        rows = [Conditions(request, models, Silent()).bed(whole)[0].double().numpy() for request in requests]
        found["asked"] = bootstrap(metrics.cosines(np.stack(rows), truth.pictures))
    spent = []
    for request in requests[: TIMED + 1]:
        began = time.process_time()  # of a processor, so that other programs matter less
        list(by_themselves([request], models))
        spent.append(time.process_time() - began)
    found["seconds"] = median(np.array(spent[1:]))  # the first one warms up
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How a score falls from pictures (``image``) to words (``zero_shot``), and comes back with a prior.

    gap: how much better IQ is than ZS, whichever way the score runs; closed: the share of it that PD closes.
    """

    system: str
    score: str
    image: float
    zero_shot: float
    prior: float
    gap: Estimate
    closed: Estimate

    @property
    def verdict(self) -> str:
        """``closed``, ``not closed``, or ``no gap`` where words, within the interval, do as well."""
        if not self.gap.low > 0:
            return "no gap"
        return "closed" if self.closed.value >= CLOSED else "not closed"


Measure = Callable[[Hearing, np.ndarray], float]  # of some of the shots
Score = Callable[[np.ndarray], float]  # the same of one system's sounds


def gaps(heard: Sequence[tuple[System, Hearing]], truth: Truth) -> tuple[Gap, ...]:
    """For each generator, and each mapper before it, that was asked in all three ways."""
    found: list[Gap] = []
    for system, prior in heard:
        if system.query != "PD":
            continue
        kin = {
            one.query: hearing
            for one, hearing in heard
            if replace(one, query="PD", frames=0) == replace(system, frames=0)
        }
        if {"IQ", "ZS"} <= set(kin):
            name = replace(system, query="", condition="picture").name  # as if nobody had been asked
            found += _gaps(name, kin["IQ"], kin["ZS"], prior, truth)
    return tuple(found)


def _gaps(name: str, image: Hearing, words: Hearing, prior: Hearing, truth: Truth) -> Iterator[Gap]:
    for score, (measure, sign) in _measures(image, truth).items():
        one, other, third = _of(measure, image), _of(measure, words), _of(measure, prior)

        def gap(rows: np.ndarray, one: Score = one, other: Score = other, sign: float = sign) -> float:
            return sign * (one(rows) - other(rows))

        def closed(rows: np.ndarray, one: Score = one, other: Score = other, third: Score = third) -> float:
            apart = one(rows) - other(rows)
            return (third(rows) - other(rows)) / apart if apart else math.nan

        every = np.arange(len(truth.items))[:, None]
        yield Gap(
            system=name,
            score=score,
            image=one(every),
            zero_shot=other(every),
            prior=third(every),
            gap=jackknife(gap, [every]),
            closed=jackknife(closed, [every]),
        )


def _of(measure: Measure, hearing: Hearing) -> Score:
    return lambda rows: measure(hearing, rows[:, 0])


def _measures(hearing: Hearing, truth: Truth) -> dict[str, tuple[Measure, float]]:
    """Score -> the measure over some shots, and whether more of it is better (1) or less (-1)."""
    others = truth.others
    rms = math.sqrt(max(float(np.square(others.verdicts.embeddings).mean()), metrics.TINY))

    def fd_judge(one: Hearing, rows: np.ndarray) -> float:
        mine = one.verdicts.embeddings[rows] / rms
        return metrics.frechet_distance(mine, others.verdicts.embeddings / rms)

    def fd_clap(one: Hearing, rows: np.ndarray) -> float:
        return metrics.frechet_distance(one.clap[rows], others.clap)

    def relevance(one: Hearing, rows: np.ndarray) -> float:
        assert truth.words is not None
        return float(metrics.cosines(one.clap[rows], truth.words[rows]).mean())

    def first(one: Hearing, rows: np.ndarray) -> float:
        return float(metrics.top(one.verdicts.probabilities[rows], truth.labels[rows], 1).mean())

    found: dict[str, tuple[Measure, float]] = {"fd_judge": (fd_judge, -1.0)}
    if hearing.clap.shape[1]:
        found["fd_clap"] = (fd_clap, -1.0)
    if truth.words is not None:
        found["clap_text"] = (relevance, 1.0)
    return found | {"top1": (first, 1.0)}
