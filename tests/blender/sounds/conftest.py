# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job, as the tests of placing get it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from footfall.tests.blender.sounds.placed import RATE


@pytest.fixture
def job(sound: Any, store: Any) -> Callable[..., Any]:
    """``job(spots=3, takes=1, start=101)`` -> Stored with a bed and some spots per take."""

    def make(spots: int = 3, takes: int = 1, start: int = 101, **more: Any) -> Any:
        clips = [sound(0, take=take, seconds=1) for take in range(takes)]
        clips += [
            sound(Fraction(n, 2), take=take, layer="spots", seconds=0.25, label="glass")
            for take in range(takes)
            for n in range(spots)
        ]
        return store(clips, RATE, start, **more)

    return make
