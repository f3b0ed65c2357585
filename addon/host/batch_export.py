# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch leaves beside the saved file: stems, a mix and a timeline for other editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import sequencer


def export(result: Path, scenes: set[str], playblast: Path | None, report: dict[str, Any]) -> None:
    """Write what belongs to ``result`` and tell ``report``; ``sounds``: the files that its strips play."""
    report["sounds"] = [
        bpy.path.abspath(strip.sound.filepath)
        for name in sorted(scenes)
        for strip in sequencer.all_strips(bpy.data.scenes[name])
        if sequencer.uuid_of(strip) and strip.sound is not None
    ]
