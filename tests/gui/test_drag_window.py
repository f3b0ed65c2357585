# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits dragged over the sequencer in a real window, by a mouse that Blender simulates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Window = Callable[..., dict[str, Any]]


def test_hits_are_dragged_where_they_are_drawn(window: Window) -> None:
    found = window("drag", options=["--enable-event-simulate"])
    assert found["live"] == found["moved"]
    assert found["moved"][::2] == [20, 80]
    assert found["moved"][1] == pytest.approx(62, abs=0.5)  # a pixel is about a sixth of a frame
    assert found["active"] == 1
    assert found["undone"] == found["put_back"] == found["after"] == [20, 50, 80]
    assert found["whole"] == 40
    assert found["on"] == [False, True, True]
    assert found["on_again"] == [True, True, True]  # by a double click
    assert found["pointed"] == -1
    assert found["strip"]  # its click was Blender's
