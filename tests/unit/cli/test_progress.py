# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress on a terminal shows names as they are."""

from __future__ import annotations

import functools
import io

import pytest
from footfall.cli import progress
from rich.console import Console


def test_a_name_may_look_like_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = functools.partial(Console, file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal())
    with progress.ProgressLine() as line:
        line.show("shot 1 ([/intro] [bold]x)", 0.5)
    assert "shot 1 ([/intro] [bold]x)" in screen.getvalue()
