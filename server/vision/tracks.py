# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of moving things, followed from picture to picture.

Points are set where something moves and are followed by Lucas and Kanade's method. A thing that bounces off
another moves quite differently from one picture to the next, so each point tries several guesses of its next
step (the same as before, none, thrown back, what the dense flow says) and keeps the one whose surroundings
fit best. A point whose way back does not lead to where it came from is given up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .camera import STILL, Camera
from .look import dense_flow

MOST = 300  # points followed at a time
STEPS = 5  # the last steps of a point that are remembered
_SPACING = 2  # pixels between two points
_BACK = 1.0  # pixels that the way back may miss by
_UNLIKE = 30.0  # mean grey levels by which a point's surroundings may change in one step
_BETTER, _BETTER_BY = 0.8, 0.25  # of the grey levels that a guess misses by: a later one must miss by less
_NOISE, _SHARE = 3.0, 0.7  # the same: so many, and this share of the contrast there
_STAYS = 0.5  # of the noise: a point whose surroundings changed by less has stayed
_REST = 0.1  # pixels a step, below which a point rests
_LEFT = 0.6  # of the noise: a place that changed by less is as it was STEPS pictures ago
_TRAVELLED = 2.0  # pixels, from which a point should have changed the place where it is now
_AROUND = (7, 7)  # pixels of a place
_LK: dict[str, Any] = {
    "winSize": (9, 9),
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 12, 0.02),
    "minEigThreshold": 1e-4,
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
}
_MIRRORS = np.array([(1, -1), (-1, 1), (-1, -1)], np.float32)  # off a floor, off a wall, straight back


@dataclass(frozen=True, slots=True)
class Followed:
    """Points after a step. places: (N, 2) where they are now, across and down in pixels; steps: (N, STEPS, 2)
    the latest last, less what the camera did; NaN before a point was set.
    """

    places: np.ndarray
    steps: np.ndarray


class Tracks:
    """Feed it the pictures of one shot in order, all of one size."""

    def __init__(self) -> None:
        self._flow = dense_flow()
        self._places = np.empty((0, 2), np.float32)
        self._last = np.empty((0, 2), np.float32)  # the last step as seen, NaN for a new point
        self._steps = np.empty((0, STEPS, 2), np.float32)
        self._past: deque[tuple[np.ndarray, Camera]] = deque(maxlen=STEPS)

    def push(
        self, before: np.ndarray, now: np.ndarray, moving: np.ndarray, camera: Camera, noise: np.ndarray
    ) -> Followed:
        """One step, from picture ``before`` to ``now``, both (h, w) uint8. moving: (h, w) bool, where they
        differ by more than what ``camera`` did; noise: (h, w) grey levels that mean nothing there.
        """
        self._past = deque(
            ((old, camera.after(moved)) for old, moved in [*self._past, (before, STILL)]), STEPS
        )
        self._set(before, moving)
        if len(self._places):
            self._follow(before, now, camera, noise)
        return Followed(self._places, self._steps)

    def _set(self, picture: np.ndarray, moving: np.ndarray) -> None:
        """New points where something moves and none is near."""
        free = MOST - len(self._places)
        if free <= 0 or not moving.any():
            return
        mask = moving.astype(np.uint8)
        for x, y in np.rint(self._places).astype(int).tolist():
            cv2.circle(mask, (x, y), _SPACING, 0, -1)
        found = cv2.goodFeaturesToTrack(picture, free, 0.02, _SPACING, mask=mask, blockSize=3)
        if found is None:
            return
        count = len(found)
        self._places = np.concatenate([self._places, found.reshape(-1, 2)])
        self._last = np.concatenate([self._last, np.full((count, 2), np.nan, np.float32)])
        self._steps = np.concatenate([self._steps, np.full((count, STEPS, 2), np.nan, np.float32)])

    def _follow(self, before: np.ndarray, now: np.ndarray, camera: Camera, noise: np.ndarray) -> None:
        height, width = now.shape
        still = camera.move(self._places)
        ends, cost = self._best(before, now, still - self._places, noise)
        back, status, _ = cv2.calcOpticalFlowPyrLK(now, before, ends, self._places.copy(), maxLevel=0, **_LK)
        missed = np.hypot(*(back - self._places).T)
        steps = np.concatenate([self._steps[:, 1:], (ends - still)[:, None]], 1).astype(np.float32)
        inside = ((ends > 1) & (ends < (width - 2, height - 2))).all(1)
        rests = (np.abs(steps) < _REST).all((1, 2))
        at = np.clip(np.rint(self._places).astype(int), 0, (width - 1, height - 1))
        kept = (
            ~self._left_behind(ends, steps, now, noise)
            & inside
            & (cost < _UNLIKE)
            & (cost < _NOISE + _SHARE * _contrast(before)[at[:, 1], at[:, 0]])
            & (status[:, 0] > 0)
            & (missed < _BACK)
            & ~rests
        )
        self._last = (ends - self._places)[kept]
        self._places, self._steps = ends[kept], steps[kept]

    def _left_behind(
        self, ends: np.ndarray, steps: np.ndarray, now: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """(N,) bool: has come from elsewhere, yet where it is now all is as it was before: its thing has gone
        on without it.
        """
        height, width = now.shape
        old, moved = self._past[0]
        change = cv2.blur(cv2.absdiff(moved.warp(old), now).astype(np.float32), _AROUND)
        at = np.clip(np.rint(ends).astype(int), 0, (width - 1, height - 1))
        as_before = change[at[:, 1], at[:, 0]] < _LEFT * noise[at[:, 1], at[:, 0]]
        return as_before & (np.hypot(*np.nansum(steps, 1).T) > _TRAVELLED)

    def _best(
        self, before: np.ndarray, now: np.ndarray, still: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """((N, 2) where the points went, (N,) by how many grey levels their surroundings differ there)."""
        height, width = now.shape
        flow = self._flow.calc(before, now, None)
        at = np.clip(np.rint(self._places).astype(int), 0, (width - 1, height - 1))
        dense = flow[at[:, 1], at[:, 0]]
        last = np.where(np.isnan(self._last), dense, self._last)
        ends = self._places.copy()
        least = np.full(len(ends), np.inf, np.float32)
        fits = np.zeros(len(ends), bool)
        for guess in (still, last, dense, *(last * mirror for mirror in _MIRRORS)):
            start = np.ascontiguousarray(self._places + guess, np.float32)
            found, status, error = cv2.calcOpticalFlowPyrLK(
                before, now, self._places, start, maxLevel=1, **_LK
            )
            cost = np.where(status[:, 0] > 0, error[:, 0], np.inf)
            better = (cost < _BETTER * least - _BETTER_BY) & ~fits
            least[better], ends[better] = cost[better], found[better]
            if guess is still:
                fits = least < _STAYS * noise[at[:, 1], at[:, 0]]
        return ends, least


def _contrast(picture: np.ndarray) -> np.ndarray:
    """(h, w) float32: how many grey levels the surroundings of each pixel differ among themselves."""
    plain = picture.astype(np.float32)
    mean = cv2.blur(plain, _LK["winSize"])
    return np.asarray(np.sqrt(np.maximum(cv2.blur(plain * plain, _LK["winSize"]) - mean * mean, 0.0)))
