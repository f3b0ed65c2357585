# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sounds as files that anybody can open: PNG, whole or not there, with their story inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..whole_file import whole_file
from ..wire.errors import SaveError
from . import png
from .story import KEY


def octets(pixels: np.ndarray, story: str) -> bytes:
    """The PNG of (H, W, 3) uint8 pixels with its story."""
    return png.encode(pixels, {"Software": "Footfall", KEY: story})


def write(path: Path, pixels: np.ndarray, story: str) -> Path:
    """Write a picture where the user said. Raises SaveError."""
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(octets(pixels, story))
    except OSError as error:
        raise SaveError(f"{path} could not be written; choose another place.", str(error)) from error
    return path
