# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads with a name that crash dumps, logs and ``top`` show alike."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path


def daemon(name: str, body: Callable[[], object]) -> threading.Thread:
    """A thread, not yet started, that never keeps the process from ending."""

    def run() -> None:
        name_current(name)
        body()

    return threading.Thread(target=run, name=name, daemon=True)


def name_current(name: str) -> None:
    """Name the current thread, on Linux for the kernel as well (its first 15 characters)."""
    threading.current_thread().name = name
    if sys.platform != "linux":
        return
    try:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name[:15])
    except OSError:  # no /proc here: the name is a convenience
        return
