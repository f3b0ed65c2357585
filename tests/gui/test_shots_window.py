# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots in a real Blender window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]

TICK_MS = 50.0  # the longest of our turns, but for the drawing of one picture


def test_shots(window: Window) -> None:
    found = window("shots")
    assert found["states"] == ["done"] * 4 + ["failed", "done"]
    assert found["frames"] == [1, 21, 41, 61, 81, 101]
    assert found["files"] == ["out.bed.wav", "out.mix.wav", "out.otio"]
    longest = max(took for what, took in found["ticks"].items() if what != "picture")
    assert longest < TICK_MS, found["ticks"]
    print(f"slowest ticks in ms: {found['ticks']}")
