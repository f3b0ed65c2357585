# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on over an empty file, with a worker that is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from footfall.tests.blender.host_tools import enabled_addon


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with enabled_addon(tmp_path, monkeypatch):
        yield
