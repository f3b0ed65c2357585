# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels as a PNG, with words in it: the standard library and numpy are enough.

As in the PNG specification, third edition: 8-bit RGB, no filter, no interlacing, texts as iTXt in UTF-8.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB8 = bytes((8, 2, 0, 0, 0))  # bits, colours, compression, filter, interlacing


def encode(pixels: np.ndarray, texts: Mapping[str, str] | None = None) -> bytes:
    """``pixels``: (H, W, 3) uint8 sRGB, top row first; ``texts``: keyword (Latin, short) -> words."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError("pixels must be (H, W, 3) uint8")
    height, width = pixels.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    chunks = [_chunk(b"IHDR", struct.pack(">LL", width, height) + _RGB8), _chunk(b"sRGB", b"\0")]
    for keyword, words in (texts or {}).items():
        head = keyword.encode("latin-1") + b"\0\0\0\0\0"  # not compressed, no language
        chunks.append(_chunk(b"iTXt", head + words.encode()))
    chunks += [_chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)), _chunk(b"IEND", b"")]
    return _SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
