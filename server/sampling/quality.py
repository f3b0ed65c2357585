# SPDX-License-Identifier: GPL-3.0-or-later
"""What draft, good and best mean: the one table of steps, solver, guidance and candidates.

The guidance interval is given in noise levels, sigma = sqrt((1 - alpha) / alpha), after Kynkäänniemi et al.
2024 (arXiv 2404.07724): guidance harms at high noise and does nothing at low noise, and an unguided step
costs half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .guidance import Interval

GUIDANCE = 2.5  # AudioLDM's own
RESCALE = 0.0  # of Lin et al. 2023, section 3.4; AudioLDM was made without


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """``solver``: one of schedules.SOLVERS; ``candidates``: sounds made for each take, the best is kept."""

    steps: int
    solver: str
    interval: Interval
    candidates: int = 1
    guidance: float = GUIDANCE
    rescale: float = RESCALE


QUALITIES: dict[str, Quality] = {
    "draft": Quality(steps=10, solver="unipc", interval=Interval(0.19, 2.9)),
    "good": Quality(steps=20, solver="dpm++", interval=Interval(0.19, 1.61)),
    "best": Quality(steps=50, solver="dpm++", interval=Interval(0.19, 5.4), candidates=3),
}


def quality(name: str, own: Mapping[str, Mapping[str, Any]]) -> Quality:
    """The row ``name`` of the table, with what a bundle says about itself (``Manifest.sampling``) instead.

    Where a model decides what a sound will be depends on its noise schedule, and so do the best interval and
    scale of guidance. ``low`` and ``high`` of the bundle are the interval's.
    """
    row, said = QUALITIES[name], dict(own.get(name, {}))
    low, high = said.pop("low", row.interval.low), said.pop("high", row.interval.high)
    return replace(row, interval=Interval(low, high), **said)
