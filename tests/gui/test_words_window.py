# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound of words alone, in a real Blender window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]

TICK_MS = 50.0


def test_words(window: Window) -> None:
    found = window("words")
    assert found["can"] is False
    assert len(found["strips"]) == 1
    assert max(found["ticks"].values()) < TICK_MS, found["ticks"]
