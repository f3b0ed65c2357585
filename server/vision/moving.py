# SPDX-License-Identifier: GPL-3.0-or-later
"""Where something moves, told apart from what changes all the time: noise, shimmering textures, a camera in
the hand.
"""

from __future__ import annotations

import cv2
import numpy as np

from .camera import Camera, camera_move
from .look import Look

_PICKS = 32  # pairs of pictures that the shimmer is judged by
_NEAR = 7  # pixels around, whose shimmer counts as well
_SHIMMER = 5.0  # times what a place usually changes by
_AROUND = np.ones((5, 5), np.uint8)  # what moves, and a little around it


def shimmer(shot: Look) -> np.ndarray:
    """(h, w) float32: grey levels that each part of the picture may change by though nothing moves there."""
    picks = np.unique(np.linspace(1, len(shot) - 1, _PICKS).astype(int))
    changes = []
    for number in picks:
        before, now = shot.picture(number - 1), shot.picture(number)
        changes.append(cv2.absdiff(camera_move(before, now, shot.noise).warp(before), now))
    usual = np.median(np.stack(changes), 0).astype(np.float32)
    around = np.maximum(usual, cv2.blur(usual, (_NEAR, _NEAR)))
    return np.asarray(np.maximum(_SHIMMER * around, np.float32(shot.noise)))


def moving(before: np.ndarray, now: np.ndarray, camera: Camera, noise: np.ndarray) -> np.ndarray:
    """(h, w) bool, for two pictures and what ``shimmer`` says."""
    changed = (cv2.absdiff(camera.warp(before), now) > noise).astype(np.uint8)
    return np.asarray(cv2.dilate(changed, _AROUND)) > 0
