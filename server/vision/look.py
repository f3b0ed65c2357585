# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures as the finders see them: small enough to be quick, and how much of a change is mere noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ...addon.wire.errors import BadInput

LARGEST = 224  # pixels of the short side; more takes longer
_LEAST = 4.0  # grey levels
_HELD_LEAST = 12  # pictures, from which it can be told that each is held
_HELD_SHARE = 0.3  # of the new ones that differ from the one before
_PICKS = 24  # pairs of pictures that the noise is judged by
_QUIET = 60  # percent of the pixels that most pictures leave as they are


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """grey: (T, h, w) uint8, reduced when it is asked for; noise: grey levels that mean nothing."""

    grey: np.ndarray
    noise: float

    def __len__(self) -> int:
        return len(self.grey)

    def picture(self, number: int) -> np.ndarray:
        """(h, w) uint8, contiguous, its short side at most LARGEST."""
        return _small(self.grey[number])

    @property
    def short_side(self) -> int:
        """Of the pictures as ``picture`` gives them."""
        return min(LARGEST, *self.grey.shape[1:])

    @property
    def height(self) -> float:
        """Of the pictures as ``picture`` gives them."""
        return float(self.grey.shape[1] * self.short_side / min(self.grey.shape[1:]))


def held(look: Look) -> tuple[int, int]:
    """(every how many pictures something new is shown, the first of these): (2, 0) for a film drawn on twos,
    (1, 0) where each picture may be new.
    """
    if len(look) < _HELD_LEAST:
        return 1, 0
    new = [
        bool((cv2.absdiff(look.grey[n - 1], look.grey[n]) > look.noise).any()) for n in range(1, len(look))
    ]
    changes = np.array([False, *new])
    for step in (4, 3, 2):
        for first in range(step):
            of_these = np.arange(len(look)) % step == first
            if not changes[~of_these].any() and changes[of_these].mean() > _HELD_SHARE:
                return step, first
    return 1, 0


def look_at(grey: np.ndarray) -> Look:
    """Raises BadInput for what is not (T, h, w) uint8."""
    if grey.ndim != 3 or grey.dtype != np.uint8 or 0 in grey.shape[1:]:
        raise BadInput("Hits are looked for in small grey pictures of one size; capture them again.")
    return Look(grey, _noise(grey))


def dense_flow() -> Any:
    """Its ``calc(before, now, None)`` says where each pixel has gone, (h, w, 2) pixels across and down."""
    make: Callable[[int], Any] = cv2.DISOpticalFlow.create
    return make(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)


def _small(picture: np.ndarray) -> np.ndarray:
    scale = LARGEST / min(picture.shape)
    if scale >= 1.0:
        return np.ascontiguousarray(picture)
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _noise(grey: np.ndarray) -> float:
    """Four times what the quieter part of the picture changes by, in the middle one of some pairs."""
    if len(grey) < 2:
        return _LEAST
    picks = np.unique(np.linspace(1, len(grey) - 1, _PICKS).astype(int))
    changes = [np.percentile(cv2.absdiff(_small(grey[n]), _small(grey[n - 1])), _QUIET) for n in picks]
    return max(_LEAST, 4.0 * float(np.median(changes)))
