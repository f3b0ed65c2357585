# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own folders are whole paths: the worker's current folder is not that of whoever starts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.addon.folders import data_folder, log_folder, models_folder


def test_what_the_user_names_is_made_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert models_folder({"FOOTFALL_MODELS": "models"}) == tmp_path / "models"
    assert models_folder({"FOOTFALL_MODELS": "~/models"}) == tmp_path / "home" / "models"
    assert log_folder({"XDG_DATA_HOME": "data"}, "linux") == tmp_path / "data" / "footfall" / "logs"
    assert data_folder({"LOCALAPPDATA": "data"}, "win32") == tmp_path / "data" / "footfall"
    assert data_folder({}, "linux") == tmp_path / "home" / ".local" / "share" / "footfall"
