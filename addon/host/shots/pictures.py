# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of each shot, for the list: the middle one of those that were taken anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
import bpy.utils.previews

if TYPE_CHECKING:
    import numpy as np

WIDE = 96
MOST = 500

_previews: Any = None


def remember(key: str, pictures: np.ndarray) -> None:
    """Keep the middle one of ``pictures``, (T, H, W, 3) uint8, for the shot ``key``."""
    global _previews
    if bpy.app.background or not len(pictures):
        return
    import numpy as np

    from ...shots import frames

    if _previews is None:
        _previews = bpy.utils.previews.new()
    if key not in _previews and len(_previews) >= MOST:
        return
    middle = pictures[len(pictures) // 2]
    height = max(1, round(WIDE * middle.shape[0] / middle.shape[1]))
    small = np.empty((height, WIDE, 3), np.uint8)
    frames.to_model(middle, small)
    pixels = np.ones((height, WIDE, 4), np.float32)
    pixels[:, :, :3] = small[::-1] / np.float32(255)
    preview = _previews[key] if key in _previews else _previews.new(key)
    preview.image_size = (WIDE, height)
    preview.image_pixels_float.foreach_set(pixels.ravel())


def icon(key: str) -> int:
    """The picture of the shot ``key`` as an icon's number; 0 while there is none."""
    if _previews is None or key not in _previews:
        return 0
    return int(_previews[key].icon_id)


CLASSES = ()


def unregister() -> None:
    """Let the pictures go."""
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
