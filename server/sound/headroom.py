# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds that fall together stay below full scale: for a moment, all that sounds then is turned down.

Pure functions over arrays of shape (samples, channels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d

CEILING_DB = -1.5  # of the samples; what lies between them stays under -1
STEP_S = 0.001
AROUND_S = 0.04  # within which the level comes down and goes up again
BLOCK = 2**19  # samples that are summed at a time


def fitted(
    parts: Sequence[np.ndarray],
    starts: Sequence[int],
    rate_hz: int,
    check: Callable[[], None] = lambda: None,
    under: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The parts (M, C), C 1 or 2, so that neither one of them nor their sum passes the ceiling anywhere.

    The same gain for all at each moment, so what is heard together keeps its balance. ``under``: (N, C), what
    else is heard from the first sample on; it stays as it is. ``check`` is called now and then and may raise.
    """
    step = max(1, round(STEP_S * rate_hz))
    gain = _gains(parts, starts, step, under, check)
    if float(gain.min(initial=1.0)) >= 1.0:
        return list(parts)
    half = max(1, round(AROUND_S / 2 / STEP_S))
    # A mean over no more than the minimum looked at never passes what is allowed, at the steps or between.
    gain = minimum_filter1d(gain, 2 * half + 3, mode="constant", cval=1.0)
    gain = uniform_filter1d(gain, 2 * half + 1, mode="nearest")
    found = []
    for part, start in zip(parts, starts, strict=True):
        check()
        found.append(turned_down(part, start, gain, step))
    return found


def turned_down(part: np.ndarray, start: int, gain: np.ndarray, step: int) -> np.ndarray:
    """``part`` (M, C) with the gain of its time, one for every ``step`` samples; itself where that is 1."""
    if float(gain[max(0, start // step - 1) : (start + len(part)) // step + 2].min()) >= 1.0:
        return part
    middles = (np.arange(len(gain)) + 0.5) * step
    turned = np.empty_like(part)
    for low in range(0, len(part), BLOCK):
        piece = part[low : low + BLOCK]
        now = np.interp(np.arange(start + low, start + low + len(piece)), middles, gain)
        turned[low : low + BLOCK] = piece * now.astype(np.float32)[:, None]
    return turned


def _gains(
    parts: Sequence[np.ndarray],
    starts: Sequence[int],
    step: int,
    under: np.ndarray | None,
    check: Callable[[], None],
) -> np.ndarray:
    """(steps,) by how much the parts must come down in every ``step`` samples, for their sum and for each."""
    stops = [start + len(part) for part, start in zip(parts, starts, strict=True)]
    ceiling = 10.0 ** (CEILING_DB / 20.0)
    block = BLOCK // step * step
    gains = np.ones(-(-max(stops, default=0) // step))
    for low in range(0, max(stops, default=0), block):
        check()
        total = np.zeros((block, 2), np.float32)
        alone = np.zeros((block, 2), np.float32)
        for part, start, stop in zip(parts, starts, stops, strict=True):
            first, last = max(start, low), min(stop, low + block)
            if first < last:
                here = part[first - start : last - start]
                total[first - low : last - low] += here
                into = alone[first - low : last - low]
                np.maximum(into, np.abs(here), out=into)
        room = np.full((block, 2), ceiling, np.float32)
        if under is not None:
            here = under[low : low + block]
            room[: len(here)] -= here * np.sign(total[: len(here)])
        needed = np.maximum(np.abs(total) / np.maximum(room, 1e-3), alone / ceiling)
        most = needed.max(axis=1).reshape(-1, step).max(axis=1)
        gains[low // step : (low + block) // step] = 1.0 / np.maximum(most, 1.0)[: len(gains) - low // step]
    return gains
