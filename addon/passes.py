# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that rush past the camera: the moment at which they are nearest, as numbers only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

FAST = 2.5  # radians a second, as seen from the camera
NEAR = 0.12  # half size over distance: a sixth of a usual picture's height
FROM = 2.0  # how many times nearer than some frames before
KEPT = 9


@dataclass(frozen=True, slots=True)
class Pass:
    """Thing number ``body`` is nearest at ``time`` (frames), moving at ``speed`` (lengths per frame)."""

    body: int
    time: float
    speed: float


class Passes:
    """Takes the same centres as ``events.Watch``, and the camera's place."""

    def __init__(self, radius: np.ndarray, fps: float) -> None:
        self._radius, self._fps = np.asarray(radius, float), fps
        self._frames: deque[int] = deque(maxlen=KEPT)
        self._ways: deque[np.ndarray] = deque(maxlen=KEPT)
        self._places: deque[np.ndarray] = deque(maxlen=KEPT)

    def push(self, frame: int, places: np.ndarray, camera: np.ndarray | None) -> list[Pass]:
        """What passed most nearly one frame ago; without a camera, or just after a cut, nothing."""
        if camera is None:
            self.forget()
            return []
        self._frames.append(frame)
        self._ways.append(places - camera)
        self._places.append(places)
        if len(self._ways) < 5:
            return []
        with np.errstate(all="ignore"):
            first, before, now, after = (self._distance(i) for i in (0, -3, -2, -1))
            speed = np.linalg.norm(self._ways[-1] - self._ways[-3], axis=1) / 2.0
            own = np.linalg.norm(self._places[-1] - self._places[-3], axis=1) / 2.0
            found = (now < before) & (now <= after) & (self._radius > NEAR * now) & (first > FROM * now)
            found &= (speed * self._fps > FAST * now) & (own > 0.5 * speed) & (now > self._radius)
            bend = before**2 - 2.0 * now**2 + after**2
            offset = np.clip((before**2 - after**2) / np.maximum(2.0 * bend, 1e-12), -0.5, 0.5)
        return [
            Pass(int(body), self._frames[-2] + float(offset[body]), float(speed[body]))
            for body in np.flatnonzero(found)
        ]

    def forget(self) -> None:
        """Begin anew: the camera is another one."""
        self._frames.clear()
        self._ways.clear()
        self._places.clear()

    def _distance(self, index: int) -> np.ndarray:
        distance: np.ndarray = np.linalg.norm(self._ways[index], axis=1)
        return distance
