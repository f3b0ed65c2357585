# SPDX-License-Identifier: GPL-3.0-or-later
"""A window is closed, or its last 3D view, while pictures are taken: the job goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Window = Callable[..., dict[str, Any]]


def test_closing_windows_loses_nothing(window: Window) -> None:
    found = window("windows", options=["-p", "0", "0", "800", "500"])  # a small one is drawn sooner
    assert found["states"] == ["placed"] * 3, found["why"]
