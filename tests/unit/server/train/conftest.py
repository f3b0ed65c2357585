# SPDX-License-Identifier: GPL-3.0-or-later
"""A training without a break, to compare others with."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen steps without a break."""
    from footfall.tests.fakes.toy_runs import run
    from footfall.tests.fakes.toy_training import Toy

    folder = tmp_path_factory.mktemp("straight")
    run(Toy(), folder, 14)
    return folder
