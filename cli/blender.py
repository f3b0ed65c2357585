# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender without a window, for .blend files: the executable that the user named, the bpy module, or PATH's.

bpy never runs in this process, because torch may live here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..addon.wire.errors import BadInput

BOOTSTRAP = Path(__file__).resolve().parent.parent / "addon" / "host" / "bootstrap.py"


@dataclass(frozen=True)
class Blender:
    """How to start Blender in background: ``executable``, or this Python's bpy module when it is empty."""

    executable: str = ""

    def __str__(self) -> str:
        return self.executable or f"bpy module of {sys.executable}"

    def command(self, blend: Path | None, *words: str) -> list[str]:
        """The command line that opens ``blend`` (None: an empty file) and runs ``footfall WORDS`` in it."""
        if not self.executable:
            opened = [str(blend)] if blend else []
            # -P: beside a .blend lies a folder named footfall, with its sound, and it must not be imported
            return [sys.executable, "-P", "-m", "footfall.addon.host.background", *opened, "--", *words]
        opened = [str(blend)] if blend else ["--factory-startup"]
        return [self.executable, "-b", *opened, "--python", str(BOOTSTRAP), "--", *words]


def find_blender(named: str = "") -> Blender:
    """``named``, else FOOTFALL_BLENDER, else the bpy module, else ``blender`` on PATH. Raises BadInput."""
    wanted = named or os.environ.get("FOOTFALL_BLENDER", "")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise BadInput(f"{wanted} is not a program; give Blender's executable with --blender.")
        return Blender(found)
    if importlib.util.find_spec("bpy") is not None:
        return Blender()
    on_path = shutil.which("blender")
    if on_path is None:
        raise BadInput("No Blender was found; name its executable with --blender, or install the bpy module.")
    return Blender(on_path)
