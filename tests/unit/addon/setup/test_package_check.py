# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that are installed and do not work are found, and named."""

from __future__ import annotations

import subprocess
import sys

import pytest
from footfall.addon.setup.package_check import CHECK, findings
from footfall.tests.fakes.worker_shop import Shop, run


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_found(shop: Shop) -> None:
    shop.sells("tinypart", "raise OSError('a driver is missing')\n")
    progress = run(shop.begin())
    assert progress.state == "failed"
    assert progress.error is not None
    assert "tinypart" in progress.error.sentence
    assert "a driver is missing" in progress.error.detail
    assert shop.state() == "incomplete"


def test_the_check_names_what_does_not_work() -> None:
    command = [sys.executable, "-I", "-B", "-c", CHECK, "pyzmq", "no-such_package"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    found = findings(told.stdout)
    assert list(found["problems"]) == ["no-such_package"]
    assert found["version"].startswith("3.")
