# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of an evaluation: one rising fraction over work of different weight, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

MAKING, LISTENING = 10.0, 1.0  # what a shot costs, roughly


class Meter:
    """``say(words, fraction, seconds left or None)`` after each piece. ``total``: all work."""

    def __init__(
        self,
        total: float,
        say: Callable[[str, float, float | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._say = say
        self._clock = clock
        self._began = clock()
        self._done = 0.0

    def add(self, words: str, work: float) -> None:
        self._done = min(self._total, self._done + work)
        spent = self._clock() - self._began
        left = spent * (self._total - self._done) / self._done if self._done and spent > 1.0 else None
        self._say(words, self._done / self._total if self._total else 1.0, left)
