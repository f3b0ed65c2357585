# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture of a shot that nobody looks at, because words alone say what is heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUTE = "words"
SIDE = 8  # pixels of the pictures that are not there


class NoPictures:
    """As capture.Capture, with nothing in it."""

    route = ROUTE
    reason = "Words alone say what is heard."
    motion = None
    next_frame = None
    progress = 1.0
    times = ()

    def step(self) -> bool:
        return False

    def beside(self, work: Callable[[], bool], *, plays: bool = False) -> bool:
        return work()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """No frames, and the times of none."""
        return np.zeros((0, SIDE, SIDE, 3), np.uint8), np.zeros(0)

    def abort(self) -> None:
        """There is nothing to give back."""
