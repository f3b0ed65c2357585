# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding a thread still for a moment, so that no Python runs on it meanwhile.

Blender calls operators without Python's lock. Under ``temp_override`` they look members of the context up in
Python's thread state all the same, and crash when another thread is using it just then (seen in 4.5 to 5.2).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

_SETTLE_S = 0.0005  # from saying that it is there to being asleep


class Standstill:
    """``held`` is for the thread that asks, ``here`` for the one that is held, once a turn.

    wake: brings the other thread to its next ``here``.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked: tuple[threading.Event, threading.Event] | None = None  # has come to rest; may go on

    @contextlib.contextmanager
    def held(self, patience_s: float) -> Iterator[bool]:
        """Inside, the other thread sleeps; False if it did not come to rest within ``patience_s``."""
        resting, over = self._asked = threading.Event(), threading.Event()
        try:
            self._wake()
            rests = resting.wait(patience_s)
            if rests:
                time.sleep(_SETTLE_S)
            yield rests
        finally:
            self._asked = None
            over.set()

    def here(self) -> None:
        """Sleep while somebody asks for it."""
        asked = self._asked
        if asked is not None:
            resting, over = asked
            resting.set()
            over.wait()
