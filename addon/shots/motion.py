# SPDX-License-Identifier: GPL-3.0-or-later
"""Small grey pictures of every frame, in which the worker looks for hits: how many, how small, and kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..wire import limits
from ..wire.errors import BadInput
from .frames import model_size, to_model

FINE = 224  # pixels of the short side, for short shots: as large as the models' pictures
SIDE = 144  # the same, for long ones
MOST_PER_SECOND = 60  # pictures; more show no more
FINE_BYTES = 128 * 1024 * 1024  # of a whole shot, a minute of widescreen; more is a long shot
MOST_BYTES = 448 * 1024 * 1024  # the same; even longer shots get smaller pictures
_LEAST_SIDE = 32
_GREY = np.array([0.2126, 0.7152, 0.0722], np.float32)  # how bright red, green and blue look (ITU-R BT.709)


@dataclass(frozen=True, slots=True)
class MotionPlan:
    """Every ``step``-th frame: ``count`` pictures, ``rate`` a second. ``size``: (height, width)."""

    step: int
    count: int
    rate: Fraction
    size: tuple[int, int]


def plan_motion(frames: int, rate: Fraction, height: int, width: int) -> MotionPlan:
    """For ``frames`` frames of height x width square pixels at ``rate`` a second. Raises BadInput."""
    if frames < 1 or rate <= 0:
        raise BadInput("There is nothing to look at: the range is empty.")
    step = max(1, math.floor(rate / MOST_PER_SECOND), -(-frames // limits.MOTION))
    count = -(-frames // step)
    size = (0, 0)
    for side in (FINE, *range(SIDE, _LEAST_SIDE - 1, -16)):
        size = model_size(height, width, short=side, longest=limits.MOTION_SIDE[1])
        if count * size[0] * size[1] <= (FINE_BYTES if side == FINE else MOST_BYTES):
            break
    return MotionPlan(step, count, rate / step, size)


class MotionFrames:
    """The pictures of one shot. ``grey``: (count, height, width) uint8, top row first."""

    def __init__(self, plan: MotionPlan) -> None:
        self.plan = plan
        self.grey = np.zeros((plan.count, *plan.size), np.uint8)
        self._small = np.empty((*plan.size, 3), np.uint8)

    def put(self, index: int, pixels: np.ndarray, *, bottom_up: bool = False) -> None:
        """Write one picture of any size, (H, W, 3 or 4), into its place."""
        to_model(pixels, self._small, bottom_up=bottom_up)
        np.copyto(self.grey[index], self._small @ _GREY + 0.5, casting="unsafe")
