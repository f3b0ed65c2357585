# SPDX-License-Identifier: GPL-3.0-or-later
"""Flashes: a part of the picture is suddenly brighter, and soon as it was before."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from .look import Look

_WIDE, _HIGH = 16, 12  # fields that the picture's brightness is read in
_RISE = 30.0  # grey levels in one picture
_PART = 0.15  # of the picture that brightens at once
_RETURN = 0.4  # of the rise that may be left when the flash is over
_LASTS_S = 0.35
_APART_S = 0.15  # a light that flickers faster is one light


@dataclass(frozen=True, slots=True)
class Flash:
    """number: the first bright picture; place: across and down, 0..1; size, rise: 0..1."""

    number: int
    place: tuple[float, float]
    size: float
    rise: float


def find_flashes(look: Look, rate: Fraction) -> list[Flash]:
    """In order of time. Pictures that only move are left out: a large part must brighten in one step."""
    if len(look) < 3:
        return []
    fields = np.stack([_fields(look.grey[number]) for number in range(len(look))])
    lasts = max(1, int(_LASTS_S * rate))
    found: list[Flash] = []
    for number in range(1, len(look) - 1):
        rise = fields[number] - fields[number - 1]
        bright = rise > _RISE
        if bright.mean() < _PART or (found and number - found[-1].number < _APART_S * rate):
            continue
        after = fields[number + 1 : number + 1 + lasts][:, bright] - fields[number - 1][bright]
        if (np.abs(after).mean(1) < _RETURN * rise[bright].mean()).any():
            down, across = np.argwhere(bright).mean(0) + 0.5
            size = float(bright.any(1).mean())
            place = (float(across / _WIDE), float(down / _HIGH))
            found.append(Flash(number, place, size, min(1.0, float(rise[bright].mean()) / 128.0)))
    return found


def _fields(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (_WIDE, _HIGH), interpolation=cv2.INTER_AREA), np.float32)
