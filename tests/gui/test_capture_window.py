# SPDX-License-Identifier: GPL-3.0-or-later
"""Capturing in a real window: right pictures, nothing changed, short ticks (see check_capture.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

TICK_MS = 50.0  # the longest tick, but for the drawing of one picture


def test_capture_in_a_window(script: Callable[[str], dict[str, Any]]) -> None:
    report = script("check_capture.py")
    failed = {name: held for name, held in report["checks"].items() if held is not True}
    assert not failed, failed
    assert report["code"] == 0, report["output"]
    assert max(row["slowest rest"] for row in report["ms"].values()) < TICK_MS, report["ms"]
    print(json.dumps(report["ms"], indent=1))
