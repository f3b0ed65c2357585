# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shot looked like, in a few hundred characters: a strip can tell whether its picture has changed.

Each picture becomes 8 x 8 colours; a long shot's are averaged in groups. Two of them are compared cell by
cell, so that a small thing that moves is seen, and what noise and rounding do to a cell is not.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

CELLS = 8
_EACH = 3  # points that are looked at in each cell, in either direction
MOST = 120  # pictures that are told apart
TOLERANCE = 4  # of 255, in one cell


def sign(frames: np.ndarray) -> str:
    """frames: (T, H, W, 3) uint8. "" when there is none."""
    if not len(frames):
        return ""
    rows, columns = (_points(size) for size in frames.shape[1:3])
    points = frames[:, rows[:, None], columns].reshape(-1, CELLS, _EACH, CELLS, _EACH, 3)
    cells = points.mean(axis=(2, 4))
    groups = np.array_split(cells, min(len(cells), MOST))
    small = np.stack([group.mean(axis=0) for group in groups]).round().astype(np.uint8)
    steps = np.diff(small, axis=0, prepend=np.zeros_like(small[:1]))  # wraps; a still picture is all zeros
    packed = base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode()
    return f"{len(frames)}:{packed}"


def differ(before: str, now: str) -> bool:
    """Whether two of them show something else. What cannot be read differs from everything."""
    if before == now:
        return False
    old, new = _read(before), _read(now)
    if old is None or new is None or old[0] != new[0] or old[1].shape != new[1].shape:
        return True
    return bool(np.abs(old[1].astype(np.int16) - new[1]).max(initial=0) > TOLERANCE)


def _points(size: int) -> np.ndarray:
    """Where to look along a side of ``size`` pixels: the middles of CELLS x _EACH equal parts."""
    count = CELLS * _EACH
    return (np.arange(count) * 2 + 1) * size // (2 * count)


def _read(text: str) -> tuple[int, np.ndarray] | None:
    count, _, packed = text.partition(":")
    each = CELLS * CELLS * 3
    try:
        plain = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), MOST * each)
    except (ValueError, binascii.Error, zlib.error):
        return None
    if not count.isdecimal() or len(count) > 9 or not plain or len(plain) % each:
        return None
    steps = np.frombuffer(plain, np.uint8).reshape(-1, CELLS, CELLS, 3)
    return int(count), np.cumsum(steps, axis=0, dtype=np.uint8)
