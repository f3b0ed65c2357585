# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sounds as files that anybody can open: PNG, whole or not there, with their story inside."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from ..wire.errors import SaveError
from . import png
from .story import KEY


def octets(pixels: np.ndarray, story: str) -> bytes:
    """The PNG of (H, W, 3) uint8 pixels with its story."""
    return png.encode(pixels, {"Software": "Footfall", KEY: story})


def write(path: Path, pixels: np.ndarray, story: str) -> Path:
    """Write a picture where the user said. Raises SaveError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(octets(pixels, story))
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SaveError(f"{path} could not be written; choose another place with -o.", str(error)) from error
    return path
