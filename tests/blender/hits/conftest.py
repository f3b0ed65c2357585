# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on, for tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import footfall
import pytest


@pytest.fixture
def enabled() -> Iterator[None]:
    footfall.register()
    yield
    footfall.unregister()
