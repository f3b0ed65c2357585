# SPDX-License-Identifier: GPL-3.0-or-later
"""One shop for each test: an extension's folder, wheels, and an empty worker folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.tests.fakes.worker_shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
