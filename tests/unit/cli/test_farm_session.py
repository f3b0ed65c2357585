# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's session that does not open leaves nothing running, and may be opened again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import WorkerFailedToStart
from footfall.cli import farm_session


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every keeper that is started; each only waits."""
    found: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def started(_words: list[str], **settings: Any) -> subprocess.Popen[bytes]:
        found.append(start([sys.executable, "-c", "input()"], **{**settings, "stdin": subprocess.PIPE}))
        return found[-1]

    monkeypatch.setattr(farm_session.subprocess, "Popen", started)
    return found


def end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.poll() is not None
    assert keeper.stdin is not None
    keeper.stdin.close()


def test_one_that_is_cancelled(
    tmp_path: Path, keepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(farm_session.time, "sleep", cancelled)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            farm_session.open_session(tmp_path / "session", None)
        end(keepers[-1])
        assert not (tmp_path / "session" / farm_session.KEYS).exists()


def test_one_that_takes_too_long(
    tmp_path: Path, keepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm_session, "OPEN_S", 0.0)
    with pytest.raises(WorkerFailedToStart, match="doctor"):
        farm_session.open_session(tmp_path / "session", None)
    end(keepers[-1])
    assert not (tmp_path / "session" / farm_session.KEYS).exists()
