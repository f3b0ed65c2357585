# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts: from one picture to the next nothing is where it was, and it does not come back at once.

A flash changes every pixel as well, but after it the old picture is there again. A swift pan changes every
pixel too, but goes on for several pictures, and what is seen can still be found a little further along.
"""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from ...addon.wire import limits
from .look import Look, dense_flow, look_at

_WIDE, _HIGH = 64, 48  # pixels that cuts are looked for in
_CHANGED = 0.06  # of the picture, at least; little is left of a bare set seen from elsewhere
_MORE = 1.5  # times the noise is a change
_NEXT = 0.83  # how alike a picture nearly always is to the next; the same set from elsewhere is less
_LIKE = 0.7  # the same for two pictures of one shot that lie a little farther apart
_DROP = 0.15  # by which the pictures around a cut are less alike than those beside them
_FLASH = 3  # pictures that a flash lasts at most
_AROUND = [(back, ahead) for back in range(1, _FLASH + 2) for ahead in range(_FLASH + 1) if back + ahead > 1]
_FLAT = 4.0  # grey levels of spread; a picture with less shows nothing
_FLAT_CHANGE = 20.0  # grey levels between two pictures of which one shows nothing
_CALM = 6.0  # grey levels below which contrast is not stretched


def find_cuts(grey: np.ndarray, rate: Fraction) -> list[Fraction]:
    """Seconds at which a new shot begins, rising, 0 left out. grey: (T, h, w) uint8; rate: pictures a
    second. Raises BadInput for what is not a film.
    """
    return [number / rate for number in cut_pictures(look_at(grey))]


def cut_pictures(look: Look) -> list[int]:
    """Numbers of the pictures that begin a new shot."""
    shots = _Shots(look)
    found: list[int] = []
    for number in range(1, len(look)):
        if shots.changed(number) and shots.is_cut(number) and (not found or number - found[-1] > 1):
            found.append(number)
    return found[: limits.CUTS]


class _Shots:
    """Compares pictures of one film, the last few of which are kept."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._flow = dense_flow()
        self._kept: dict[int, np.ndarray] = {}
        across, down = np.meshgrid(np.arange(_WIDE, dtype=np.float32), np.arange(_HIGH, dtype=np.float32))
        self._grid = np.stack([across, down], 2)

    def picture(self, number: int) -> np.ndarray:
        if number not in self._kept:
            if len(self._kept) > 6 * _FLASH:
                self._kept.pop(min(self._kept))
            small = cv2.resize(self._look.grey[number], (_WIDE, _HIGH), interpolation=cv2.INTER_AREA)
            self._kept[number] = np.asarray(small)
        return self._kept[number]

    def changed(self, number: int) -> bool:
        """Whether a good part of the picture differs from the one before."""
        change = cv2.absdiff(self.picture(number - 1), self.picture(number))
        return float((change > _MORE * self._look.noise).mean()) > _CHANGED

    def is_cut(self, number: int) -> bool:
        one, two = self.picture(number - 1), self.picture(number)
        if min(one.std(), two.std()) < _FLAT:  # out of black, or into it
            return abs(float(one.mean()) - float(two.mean())) > _FLAT_CHANGE and not self._returns(
                number, 0.0
            )
        alike = self._alike(number - 1, number)
        return alike < _NEXT and self._stands_out(number, alike) and not self._returns(number, alike)

    def _stands_out(self, number: int, alike: float) -> bool:
        last = len(self._look) - 1
        beside = [self._alike(n - 1, n) for n in (number - 1, number + 1) if 1 <= n <= last]
        return all(other > alike + _DROP for other in beside)

    def _returns(self, number: int, alike: float) -> bool:
        """Whether one of the next pictures is of the shot that one of the last was of: only a flash."""
        last = len(self._look) - 1
        pairs = [(number - back, number + ahead) for back, ahead in _AROUND]
        return any(self._same(one, two, alike) for one, two in pairs if one >= 0 and two <= last)

    def _same(self, one: int, two: int, alike: float) -> bool:
        first, second = self.picture(one), self.picture(two)
        if min(first.std(), second.std()) < _FLAT:
            return float(cv2.absdiff(first, second).mean()) < _FLAT_CHANGE / 2
        return self._alike(one, two) > max(alike + _DROP, _LIKE)

    def _alike(self, one: int, two: int) -> float:
        """Correlation of what the two show, wherever it has moved to and however bright it is."""
        first, second = self.picture(one), self.picture(two)
        flow = self._flow.calc(second, first, None)
        moved = cv2.remap(first, self._grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        a, b = _contrast(np.asarray(moved)), _contrast(second)
        return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def _contrast(picture: np.ndarray) -> np.ndarray:
    """What stands out from its surroundings, evened out, so that brightness counts little."""
    plain = picture.astype(np.float32)
    around = cv2.blur(plain, (15, 15))
    spread = np.sqrt(np.maximum(cv2.blur(plain * plain, (15, 15)) - around * around, 0.0))
    return np.asarray((plain - around) / (spread + _CALM))
