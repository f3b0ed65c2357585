# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output for JSON lines alone: Blender prints there as well."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def own_stdout() -> TextIO:
    """A stream to where standard output went; from now on all else that is printed goes to standard error."""
    sys.stdout.flush()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return lines
