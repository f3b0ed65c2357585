# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera's own move between two pictures: what most of the picture does at once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_CHANGED = 0.02  # of the picture; where less has changed, nobody asks whether the camera moved
_POINTS = 120
_FEWEST = 12
_UNMOVED = 0.05  # pixels
_LEAST = 0.08  # pixels at a corner; less is no move


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """matrix: (2, 3) float64, from places in the picture before to places in this one."""

    matrix: np.ndarray

    def move(self, places: np.ndarray) -> np.ndarray:
        """(N, 2) where the camera's move alone takes ``places``."""
        if self is STILL:
            return places
        moved: np.ndarray = (places @ self.matrix[:, :2].T + self.matrix[:, 2]).astype(places.dtype)
        return moved

    def after(self, first: Camera) -> Camera:
        """``first``, and then this one."""
        if first is STILL:
            return self
        if self is STILL:
            return first
        turn, shift = self.matrix[:, :2], self.matrix[:, 2:]
        return Camera(np.hstack([turn @ first.matrix[:, :2], turn @ first.matrix[:, 2:] + shift]))

    def warp(self, picture: np.ndarray) -> np.ndarray:
        """The picture before as the camera would see it now."""
        if self is STILL:
            return picture
        size = (picture.shape[1], picture.shape[0])
        return np.asarray(cv2.warpAffine(picture, self.matrix, size, borderMode=cv2.BORDER_REPLICATE))


STILL = Camera(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))


def camera_move(before: np.ndarray, now: np.ndarray, noise: float) -> Camera:
    """From one (h, w) uint8 picture to the next; STILL unless most of the picture moves as one."""
    if float((cv2.absdiff(before, now) > noise).mean()) < _CHANGED:
        return STILL
    points = cv2.goodFeaturesToTrack(before, _POINTS, 0.01, max(2.0, min(before.shape) / 14), blockSize=3)
    if points is None or len(points) < _FEWEST:
        return STILL
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, now, points, None, winSize=(11, 11), maxLevel=3)
    good = status[:, 0] > 0
    source, target = points[good].reshape(-1, 2), found[good].reshape(-1, 2)
    if len(source) < _FEWEST or (np.hypot(*(target - source).T) < _UNMOVED).mean() > 0.5:
        return STILL
    matrix, fits = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=0.7, maxIters=300
    )
    if matrix is None or fits.mean() < 0.5 or not np.isfinite(matrix).all():
        return STILL
    height, width = now.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    shift = np.abs(corners @ matrix[:, :2].T + matrix[:, 2] - corners).max()
    return Camera(matrix) if shift > _LEAST else STILL
