# SPDX-License-Identifier: GPL-3.0-or-later
"""How surely turns that were seen together are a hit.

Twelve signs are weighed. What was followed: from how many looks the turn was seen, how clean it is, how fast
and from where the thing came. And what the picture itself did there: whether it changed most just around that
moment, and whether things went back to where they had been. ``scripts/truth/fitting.py`` fits the weights to
scenes whose hits are known, none of them held out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .camera import Camera
from .look import Look
from .turns import Turn

WEIGHTS = {
    "looks": 1.78,  # in how many runs and places the turn was seen
    "clean": 2.47,  # share of its points that turn as a hit ought to
    "both": -0.42,  # seen forward and backward; then there are two looks or more
    "bend": -7.85,  # of the smooth motion around it
    "onward": -2.52,  # how fast it goes on, of its speed before
    "speed": -1.73,  # before
    "aside": -0.89,  # how far the change points to a side
    "down": 3.07,  # how far it came down
    "spread": -0.06,  # of the times that the looks tell
    "around": 2.23,  # how much more the picture changes there than in the pictures before and after
    "peak": -1.62,  # how much it changes then, of the most in the pictures around
    "returns": -2.69,  # how unlike later pictures are to those before
}
BIAS = 0.06
_SPAN = 9  # pictures before and after
_FAINT = 0.3  # grey levels, or pixels: less counts as nothing
_LITTLE = 0.5  # grey levels by which all of a place may differ
_USUAL = 144.0  # pixels of height that speeds are told for
_NEAREST, _FARTHEST = 0.035, 0.1  # of the height, around a place, that belong to it
_BEFORE, _AFTER = (1, 2), (1, 2, 3, 4)  # pictures that are compared for what returns


class Sight:
    """The pictures around a place; quickest when it is asked in order of time.

    cameras: the camera's move to each picture from the one before.
    """

    def __init__(self, shot: Look, cameras: Sequence[Camera]) -> None:
        self._shot, self._cameras = shot, cameras
        self._kept: dict[int, np.ndarray] = {}

    @property
    def height(self) -> float:
        return self._shot.height

    def changes(self, number: int, part: tuple[slice, slice]) -> np.ndarray:
        """(2 * _SPAN + 1,) grey levels beyond the noise from each picture around ``number`` to the next, NaN
        beyond the shot.
        """
        found = np.full(2 * _SPAN + 1, np.nan)
        for row, before in enumerate(range(number - _SPAN, number + _SPAN + 1)):
            if 0 <= before < len(self._shot) - 1:
                found[row] = self._change(before + 1)[part].mean()
        return found

    def _change(self, number: int) -> np.ndarray:
        """(h, w) from the picture before, less what the camera did; the last few are kept."""
        if number not in self._kept:
            if len(self._kept) > 3 * _SPAN:
                self._kept.pop(min(self._kept))
            old = self._cameras[number].warp(self._shot.picture(number - 1))
            change = cv2.absdiff(old, self._shot.picture(number)).astype(np.float32)
            self._kept[number] = np.maximum(change - np.float32(self._shot.noise / 2.0), np.float32(0.0))
        return self._kept[number]

    def returns(self, number: int, part: tuple[slice, slice]) -> float:
        """0 where all is again as it had been before picture ``number``, 1 where it is not."""
        here, then = (self._part(number + ahead, part) for ahead in (0, 1))
        best = 1.0
        for back in _BEFORE:
            old = self._part(number - back, part)
            gone = max(_apart(old, here), _apart(old, then)) + _LITTLE
            best = min(best, *(_apart(old, self._part(number + 1 + n, part)) / gone for n in _AFTER))
        return best

    def around(self, turn: Turn) -> tuple[slice, slice]:
        """The part of the picture that a turn is seen in."""
        high, wide = self._shot.picture(0).shape
        half = round(min(max(max(turn.box) / 2.0 + 2.0, _NEAREST * high), _FARTHEST * high))
        x, y = (min(max(round(one), 0), most - 1) for one, most in zip(turn.place, (wide, high), strict=True))
        return slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1)

    def _part(self, number: int, part: tuple[slice, slice]) -> np.ndarray:
        return np.ascontiguousarray(self._shot.picture(min(max(number, 0), len(self._shot) - 1))[part])


def signs(same: Sequence[Turn], time: float, sight: Sight) -> list[float]:
    """What ``WEIGHTS`` weigh, of turns that agree, the surest first.

    time: number of the picture, fractions too.
    """
    best, number = same[0], math.floor(time)
    weights = np.array([turn.evidence for turn in same]) + 1e-9

    def mean(of: Callable[[Turn], float]) -> float:
        return float(np.average([of(turn) for turn in same], weights=weights))

    size = float(np.hypot(*best.change))
    speed = mean(lambda turn: float(np.hypot(*turn.left)))
    part = sight.around(best)
    changes = sight.changes(number, part)
    before, after = _mean(changes[_SPAN - 2 : _SPAN]), _mean(changes[_SPAN + 1 : _SPAN + 3])
    then = max(_mean(changes[_SPAN - 1 : _SPAN]), _mean(changes[_SPAN : _SPAN + 1]))
    return [
        math.log(len(same)),
        mean(lambda turn: turn.clean),
        float(len({turn.backward for turn in same}) == 2),
        mean(lambda turn: turn.bend),
        mean(lambda turn: turn.onward),
        _log(speed * _USUAL / sight.height),
        abs(float(best.change[0])) / size,
        mean(lambda turn: float(turn.left[1])) / (speed + _FAINT),
        float(np.std([turn.time for turn in same])),
        _log(max(before, after)) - _log(_mean(changes)),
        _log(then) - _log(float(np.nanmax(changes, initial=0.0))),
        sight.returns(number, part),
    ]


def odds(found: Sequence[float]) -> float:
    """The logarithm of how many times likelier these signs are a hit's than not."""
    return BIAS + sum(weight * sign for weight, sign in zip(WEIGHTS.values(), found, strict=True))


def _log(value: float) -> float:
    return math.log(max(value, 0.0) + _FAINT)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(cv2.absdiff(one, other).mean())
