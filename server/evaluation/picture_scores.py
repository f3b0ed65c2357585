# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of pictures that were made of sounds, after AudioToken (Yariv et al. 2023, arXiv:2305.13050).

AIS: does the picture fit the sound; IIS: is it like the shot's true picture; AIC: does a classifier of
pictures name what the sound is of; FID: how far the set lies from true pictures. There the networks are
Wav2CLIP, CLIP, an ImageNet classifier and Inception; here all is done with one CLIP, a bridge of captions
from CLAP to it, and a linear classifier on true pictures. So these figures are to be read beside each other
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import metrics
from .intervals import Estimate, bootstrap, jackknife
from .linear import PictureJudge
from .scores import Figure, Row, plain

FIGURES: dict[str, Figure] = {
    "aic": Figure(words="AIC, right family first", better="high", digits=1, percent=True),
    "aic5": Figure(words="right family among five", better="high", digits=1, percent=True),
    "iis": Figure(words="IIS, with the true picture", better="high", digits=3),
    "iis_over": Figure(
        words="liker its own true picture than others'", better="high", digits=1, percent=True
    ),
    "ais": Figure(words="AIS, with the sound", better="high", digits=3),
    "ais_over": Figure(words="fits its own sound better than others'", better="high", digits=1, percent=True),
    "fid": Figure(words="Fréchet distance to true pictures, CLIP", better="low", digits=3),
    "variety": Figure(words="variety within a family", better="", digits=3),
}
PAIRED = tuple(name for name in FIGURES if name not in ("fid", "variety"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """N shots. seen: (N, D) unit CLIP rows of their true pictures; heard: (N, D) unit CLIP rows of what their
    sounds call to mind; others: (M, D) unit rows of true pictures of other shots; labels: (N,) of the judge.
    """

    families: Sequence[str]
    seen: np.ndarray
    heard: np.ndarray
    others: np.ndarray
    labels: np.ndarray
    judge: PictureJudge


def values(rows: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    """(N, D) unit rows of pictures -> every paired figure for each of them (N,)."""
    said = truth.judge(rows)
    return {
        "aic": metrics.top(said, truth.labels, 1),
        "aic5": metrics.top(said, truth.labels, 5),
        "iis": metrics.cosines(rows, truth.seen),
        "iis_over": metrics.above_others(rows, truth.seen),
        "ais": metrics.cosines(rows, truth.heard),
        "ais_over": metrics.above_others(rows, truth.heard),
    }


def row(name: str, kind: str, rows: np.ndarray, truth: Truth, *, paired_alone: bool = False) -> Row:
    """``paired_alone``: the set is one that has been measured already, in another order."""
    each = values(rows, truth)
    found = {figure: bootstrap(numbers) for figure, numbers in each.items()}
    if not paired_alone:
        found["fid"] = jackknife(metrics.frechet_distance, [rows, truth.others])
        found["variety"] = plain(metrics.variety(rows, truth.labels), len(rows))
    names = np.array(truth.families)
    families = {
        str(family): {
            "shots": int((names == family).sum()),
            "aic": float(each["aic"][names == family].mean()),
        }
        for family in np.unique(names)
    }
    return Row(name=name, kind=kind, scores=found, families=families)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one system lies above another in a figure, over the same shots; its interval is of pairs."""

    system: str
    other: str
    score: str
    lead: Estimate

    @property
    def verdict(self) -> str:
        if self.lead.low > 0:
            return "above"
        return "below" if self.lead.high < 0 else "too close to tell"


def differences(
    system: str, others: Sequence[str], made: dict[str, np.ndarray], truth: Truth
) -> tuple[Difference, ...]:
    mine = values(made[system], truth)
    found = []
    for other in others:
        theirs = values(made[other], truth)
        for score in ("aic", "iis", "ais"):
            lead = bootstrap(mine[score] - theirs[score])
            found.append(Difference(system=system, other=other, score=score, lead=lead))
    return tuple(found)
