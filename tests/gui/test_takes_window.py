# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in a real Blender window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]

STEP_MS = 50.0
TICK_MS = 50.0  # a new take into its strip


def test_takes(window: Window) -> None:
    found = window("takes")
    assert found["files"] == 4
    assert found["place"][1] == 5  # four, two more, one deleted
    median = sorted(found["steps_ms"])[len(found["steps_ms"]) // 2]
    assert median < STEP_MS, found["steps_ms"]
    assert '"prompt": "wet steel"' in found["clipboard"]
    assert {"PAGE_UP", "PAGE_DOWN", "J"} <= set(found["keys"])
    assert "as before" in found["updated"]  # looking again in the window sees the same pictures
    assert found["ticks"].get("place", 0.0) < TICK_MS, found["ticks"]
    print(f"stepping: median {median:.1f} ms, longest {max(found['steps_ms']):.1f} ms")
