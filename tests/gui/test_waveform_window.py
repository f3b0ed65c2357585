# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's own threads still read is not taken away from under them (see check_waveform.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_sound_is_taken_away_while_its_waveform_is_read(script: Callable[[str], dict[str, Any]]) -> None:
    """Removing its data-block along with the strip crashed Blender."""
    found = script("check_waveform.py")
    assert found["code"] == 0, found["output"]
    assert (found["strips"], found["saved"]) == (0, [])
