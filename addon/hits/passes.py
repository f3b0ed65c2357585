# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that rush past the camera: the moment at which they are nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAST = 2.5  # radians a second, as seen from the camera
NEAR = 0.12  # half size over distance: a sixth of a usual picture's height
FROM = 2.0  # how many times nearer than some frames before
BACK = 7  # frames before
BEFORE, AFTER = BACK, 1  # frames that only tell what was before and after


@dataclass(frozen=True, slots=True)
class Pass:
    """Thing number ``body`` is nearest at ``time`` (frames), moving at ``speed`` (lengths per frame)."""

    body: int
    time: float
    speed: float


def find(first: int, places: np.ndarray, eyes: np.ndarray, radius: np.ndarray, fps: float) -> list[Pass]:
    """Passes in (F, B, 3) places of frames ``first`` on, past (F, 3) places of the camera.

    An eye is NaN where there is no camera, or another than before. The first ``BEFORE`` and the last
    ``AFTER`` frames are only looked at.
    """
    if len(places) <= BEFORE + AFTER or np.isnan(eyes).all():
        return []
    with np.errstate(all="ignore"):
        ways = places - eyes[:, None]
        away = np.sqrt((ways**2).sum(axis=2))
        before, now, after, long_ago = away[BACK - 1 : -2], away[BACK:-1], away[BACK + 1 :], away[: -1 - BACK]
        found = (now < before) & (now <= after) & (radius > NEAR * now) & (now > radius)
        # Some frames before it was far off; nothing is known of what came into being since.
        found &= (long_ago > FROM * now) | (away[BACK - 3 : -4] > FROM * now)
        rows, bodies = np.nonzero(found)
        speed = np.linalg.norm(ways[rows + BACK + 1, bodies] - ways[rows + BACK - 1, bodies], axis=1) / 2.0
        own = np.linalg.norm(places[rows + BACK + 1, bodies] - places[rows + BACK - 1, bodies], axis=1) / 2.0
        near = now[rows, bodies]
        fast = (speed * fps > FAST * near) & (own > 0.5 * speed)
        bend = before[rows, bodies] ** 2 - 2.0 * near**2 + after[rows, bodies] ** 2
        offset = (before[rows, bodies] ** 2 - after[rows, bodies] ** 2) / np.maximum(2.0 * bend, 1e-12)
    return [
        Pass(
            int(bodies[i]),
            first + BACK + int(rows[i]) + float(np.clip(offset[i], -0.5, 0.5)),
            float(speed[i]),
        )
        for i in np.flatnonzero(fast)
    ]
