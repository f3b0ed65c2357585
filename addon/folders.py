# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Footfall keeps its own things on this computer: one folder, shared by every Blender and by the shell.

The places are those that ``platformdirs`` names, without needing it inside Blender.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "footfall"
ENV_MODELS = "FOOTFALL_MODELS"  # another models folder
ENV_PYTHON = "FOOTFALL_WORKER_PYTHON"  # an interpreter that can run the worker


def _named(environment: Mapping[str, str], variable: str) -> Path | None:
    """The folder that ``variable`` names, absolute: the worker's current folder is another one than ours."""
    value = environment.get(variable)
    return Path(value).expanduser().absolute() if value else None


def data_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder for what should survive updates: models and the worker's own environment. Not made here."""
    home = Path.home()
    if platform == "win32":
        return (_named(environment, "LOCALAPPDATA") or home / "AppData" / "Local") / NAME
    if platform == "darwin":
        return home / "Library" / "Application Support" / NAME
    return (_named(environment, "XDG_DATA_HOME") or home / ".local" / "share") / NAME


def models_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where model bundles are looked for: FOOTFALL_MODELS, else below the data folder."""
    return _named(environment, ENV_MODELS) or data_folder(environment, platform) / "models"


def worker_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where Set Up Worker makes the worker's environment."""
    return data_folder(environment, platform) / "worker"


def log_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where the worker writes its rotated log."""
    return data_folder(environment, platform) / "logs"
