# SPDX-License-Identifier: GPL-3.0-or-later
"""A storyboard of a sound in a real Blender window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]

TICK_MS = 50.0


def test_pictures(window: Window) -> None:
    found = window("pictures")
    assert found["made"] == 10  # five windows, two takes
    assert found["spans"][0][0] == found["span"][0]
    assert max(span[1] for span in found["spans"]) == found["span"][1]
    assert found["undone"] == 0
    assert found["again"] == 10
    assert found["ticks"]["sound"] < TICK_MS, found["ticks"]
    assert found["ticks"]["place"] < TICK_MS, found["ticks"]
    print(found["ticks"])
