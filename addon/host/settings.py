# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to this computer and not to a scene, as plain values.

``current`` is the one way to read it. Without an entry in Blender's preferences (the bpy module from a
wheel, a farm node) it falls back to the environment, then to defaults; a preference that is set always wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import folders

PACKAGE = (__package__ or "").rpartition(".addon.")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The preferences as plain values, folders resolved. ``worker_python``: used instead of the set-up
    one; ``remote``: the worker is on another computer, at ``remote_address``.
    """

    worker_folder: Path
    worker_python: Path | None
    base_python: str
    device: str
    memory_limit_mb: int
    idle_s: float
    output_folder: Path | None
    models_folder: Path
    online: bool
    remote: bool = False
    remote_address: str = ""
    remote_keys: Path = Path()


def current() -> Settings:
    """The settings in force now. Main thread only."""
    entry = bpy.context.preferences.addons.get(PACKAGE)
    chosen: Any = entry.preferences if entry is not None else None
    named = os.environ.get(folders.ENV_PYTHON, "")
    return Settings(
        worker_folder=_folder(chosen, "worker_folder") or folders.worker_folder(),
        worker_python=Path(named) if named else None,
        base_python=getattr(chosen, "base_python", ""),
        device=getattr(chosen, "device", "auto"),
        memory_limit_mb=getattr(chosen, "memory_limit_mb", 0),
        idle_s=60.0 * getattr(chosen, "idle_minutes", 5),
        output_folder=_folder(chosen, "output_folder"),
        models_folder=_folder(chosen, "models_folder") or folders.models_folder(),
        online=bool(bpy.app.online_access),
        remote=bool(getattr(chosen, "use_remote", False)),
        remote_address=getattr(chosen, "remote_address", ""),
        remote_keys=_folder(chosen, "remote_keys") or Path(),
    )


def _folder(chosen: Any, name: str) -> Path | None:
    text = getattr(chosen, name, "")
    return Path(bpy.path.abspath(text)).resolve() if text else None
