# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part's ``task(work, settings)`` may ask of the command line; some parts know further options."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """``tiny``: sizes for a test of the whole chain; ``seed``: of weights and batches."""

    @property
    def tiny(self) -> bool: ...

    @property
    def seed(self) -> int: ...
