# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on over an empty file, with a worker that is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import footfall
import pytest
from footfall.tests.blender.host_tools import fake_python


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(fake_python(tmp_path)))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    footfall.register()
    yield
    footfall.unregister()
