# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that are hit again while they still ring: the new contact damps the old ringing, and is heard.

Pure functions over (samples,) float32 and sample numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

AT_ONCE_S = 0.002  # hits of one thing that are as close as this are one
LEAD_S, STILL_S = 0.01, 0.002  # before the hit: time to fade what would hide it, and then to keep still
UNDER_DB = 10.0  # how far below the new attack the old ringing is by then, at least
TOUCH_DB = 6.0  # what the contact itself takes away ...
TOUCH_S = 0.04  # ... in this time
LEVEL_S = 0.01  # over which levels are compared
GONE_DB = -60.0  # of its own peak: a tail that is as far down ends


def at_once(starts: Sequence[int], levels: Sequence[float], rate_hz: int) -> list[int]:
    """Indices of the hits that are heard, by rising start: of those of the same moment the strongest."""
    kept: list[int] = []
    for index in sorted(range(len(starts)), key=lambda index: (starts[index], index)):
        if not kept or starts[index] - starts[kept[-1]] >= AT_ONCE_S * rate_hz:
            kept.append(index)
        elif levels[index] > levels[kept[-1]]:
            kept[-1] = index
    return kept


def damp(
    parts: Sequence[np.ndarray],
    starts: Sequence[int],
    rate_hz: int,
    check: Callable[[], None] = lambda: None,
) -> list[np.ndarray]:
    """Each part (M,) as it rings until later ones, which begin at rising ``starts``, have silenced it.

    ``check`` is called at each and may raise.
    """
    made: list[np.ndarray] = []
    ringing: list[int] = []
    for index, (part, start) in enumerate(zip(parts, starts, strict=True)):
        check()
        ringing = [other for other in ringing if starts[other] + len(made[other]) > start]
        tails = [_level(made[other], start - starts[other], rate_hz) for other in ringing]
        loud = float(np.linalg.norm(tails))
        wanted = _level(part, round(LEVEL_S * rate_hz / 2), rate_hz) * 10.0 ** (-UNDER_DB / 20.0)
        share = min(1.0, wanted / loud) if loud > 0.0 else 1.0
        for other in ringing:
            made[other] = _damped(made[other], start - starts[other], share, rate_hz)
        made.append(np.array(part, np.float32))
        ringing.append(index)
    return made


def _level(sound: np.ndarray, centre: int, rate_hz: int) -> float:
    """Root of the mean square around ``centre``; what lies beyond the end is silence."""
    width = max(2, round(LEVEL_S * rate_hz))
    near = sound[max(0, centre - width // 2) : centre + width // 2].astype(np.float64)
    return float(np.sqrt(np.square(near).sum() / width))


def _damped(sound: np.ndarray, after: int, share: float, rate_hz: int) -> np.ndarray:
    """``sound`` faded to ``share`` until sample ``after``, and further by the touch; cut where it is gone."""
    lead, touch = min(round(LEAD_S * rate_hz), after // 2), round(TOUCH_S * rate_hz)
    start, stop = after - lead, min(after + touch, len(sound))
    fall = lead - min(round(STILL_S * rate_hz), lead // 4)
    sound[start : start + fall] *= _fall(1.0, share, fall)
    sound[start + fall : after] *= np.float32(share)
    last = share * 10.0 ** (-TOUCH_DB / 20.0)
    sound[after:stop] *= _fall(share, last, touch)[: stop - after]
    sound[stop:] *= np.float32(last)
    rest = float(np.abs(sound[stop:]).max(initial=0.0))
    if rest > 10.0 ** (GONE_DB / 20.0) * float(np.abs(sound).max()):
        return sound
    sound[after:stop] *= _fall(1.0, 0.0, stop - after)
    return sound[:stop]


def _fall(high: float, low: float, length: int) -> np.ndarray:
    """(length,) from ``high`` down to ``low`` along half a cosine."""
    along = (np.arange(length) + 0.5) / max(1, length)
    return (low + (high - low) * (0.5 + 0.5 * np.cos(np.pi * along))).astype(np.float32)
