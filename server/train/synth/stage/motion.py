# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion as plain functions of time that meets every hit exactly. Seconds in, stage units out; no Blender."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from ..shot import SECONDS, Shot


def times(shot: Shot) -> tuple[float, ...]:
    """When the shot hits, in seconds."""
    return tuple(hit.time_s for hit in shot.hits)


def last_before(hits: Sequence[float], t: float) -> int:
    """Index of the last hit at or before ``t``; -1 before the first."""
    return bisect_right(hits, t) - 1


def since(hits: Sequence[float], t: float) -> float:
    """Seconds since the last hit; a large number before the first."""
    index = last_before(hits, t)
    return t - hits[index] if index >= 0 else 1e3


def fall_height(hits: Sequence[float], t: float, drop: float, gravity: float) -> float:
    """Height above the ground of a body that falls from ``drop`` and bounces: zero exactly at every hit.

    It waits at ``drop`` until it must be let go; between two hits it flies the parabola that they demand,
    cut off at ``drop``; after the last it lies.
    """
    index = last_before(hits, t)
    if index < 0:
        return min(drop, 0.5 * gravity * (hits[0] - t) ** 2)
    if index + 1 >= len(hits):
        return 0.0
    first, second = hits[index], hits[index + 1]
    apex = min(gravity * (second - first) ** 2 / 8, 0.85 * drop)
    return 4 * apex * (t - first) * (second - t) / (second - first) ** 2


def gravity_for(hits: Sequence[float], drop: float) -> float:
    """A pull in stage units a second squared that keeps every bounce below ``drop``."""
    gap = max(np.diff(hits), default=0.0)
    return float(min(9.81 * 2, 8 * 0.85 * drop / gap**2)) if gap > 0 else 9.81 * 2


def travelled(hits: Sequence[float], t: float, rest: float = 0.5) -> float:
    """Grows evenly while a body flies and bounces, and stops within ``rest`` after the last hit."""
    start, end = max(hits[0] - 0.25, 0.0), hits[-1]
    after = min(max(t - end, 0.0), rest)
    return min(max(t - start, 0.0), max(end - start, 0.0)) + after * (1 - after / (2 * rest))


def swing(shot: Shot, t: float) -> tuple[float, float]:
    """(number of the stroke that runs at ``t``, how far it is from 0 to 1); (-1, 0) before the first."""
    at, every = float(shot.parameters.get("at", 0.0)), float(shot.parameters.get("every", 1.0))
    if t < at:
        return -1.0, 0.0
    stroke, rest = divmod(t - at, every)
    return stroke, rest / every


def there_and_back(shot: Shot, t: float) -> float:
    """-1 to 1 and back: one way in each stroke, at rest at both ends."""
    stroke, part = swing(shot, t)
    ease = 0.5 - 0.5 * np.cos(np.pi * min(part / 0.9, 1.0))
    side = -1.0 if stroke % 2 == 0 else 1.0
    return float(side * (1 - 2 * ease)) if stroke >= 0 else -1.0


def foot(
    lands: Sequence[float], gap: float, t: float, *, stride: float, lift: float
) -> tuple[float, float, float]:
    """One foot that lands at ``lands``: (way along the walk, height, 0..1 through the swing).

    The way is in stage units from where the walk begins; the height is zero from every landing until the
    next swing begins, which takes ``gap`` seconds.
    """
    index = last_before(lands, t)
    here = stride * index
    if index + 1 >= len(lands):
        return here, 0.0, 0.0
    part = 1.0 - (lands[index + 1] - t) / gap
    if part <= 0.0:
        return here, 0.0, 0.0
    ease = part * part * (3 - 2 * part)
    return here + stride * ease, lift * float(np.sin(np.pi * part**0.8)), part


def fade(t: float, begin: float, seconds: float) -> float:
    """0 before ``begin``, 1 after ``seconds`` more."""
    return float(min(max((t - begin) / seconds, 0.0), 1.0))


def middle() -> float:
    """The middle of a shot, in seconds."""
    return SECONDS / 2
