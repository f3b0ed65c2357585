# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits in a real window: found, cancelled, undone, and drawn however many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]

TICK_MS = 50.0


def test_hits(window: Window) -> None:
    found = window("hits")
    assert found["after_cancel"] == 0
    assert found["found"] > 10
    assert found["told"].startswith(f"{found['found']} hits found")
    assert found["added"] == found["found"] + 1
    assert (found["after_undo"], found["after_redo"]) == (0, found["found"])  # the search is one step
    assert found["frame"] == found["frame_after"] == 161
    assert max(took for what, took in found["ticks"].items() if what != "picture") < TICK_MS, found["ticks"]
    assert found["batch_ms"] < TICK_MS
    assert found["built_anew"] == 0
    print(f"ticks {found['ticks']}; 10,000 hits: written in {found['write_ms']:.0f} ms,", end=" ")
    print(f"put together for drawing in {found['batch_ms']:.1f} ms")
