# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels at the size that the models look at: numpy only, each picture written once, into its final place.

A whole shot is one array, made before the first picture; no second copy of it ever exists.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..wire import limits
from ..wire.errors import BadInput

SHORT_SIDE = 224  # what CLIP looks at
LONG_SIDE = 560  # 2.5 : 1, as wide as cinema gets
_ALPHA = ("ignore", "straight")


def model_size(height: int, width: int, short: int = SHORT_SIDE, longest: int = LONG_SIDE) -> tuple[int, int]:
    """(height, width) for pictures of ``height`` x ``width`` square pixels: the short side becomes ``short``.

    The aspect is kept, the long side is at most ``longest``, and nothing is enlarged, except that no side
    gets smaller than the protocol's least.
    """
    if height < 1 or width < 1:
        raise BadInput("The picture has no size; set a resolution in the output properties.")
    scale = min(1.0, short / min(height, width), longest / max(height, width))
    least = limits.FRAME_SIDE[0]
    return max(least, round(height * scale)), max(least, round(width * scale))


def most_frames(height: int, width: int) -> int:
    """How many frames of this size one request may hold."""
    return max(1, min(limits.FRAMES, limits.FRAME_BYTES // (height * width * 3)))


class ShotFrames:
    """The frames of one shot. ``frames``: (count, height, width, 3) uint8 sRGB, top row first, contiguous."""

    def __init__(self, count: int, height: int, width: int) -> None:
        if not 0 < count <= most_frames(height, width):
            raise BadInput(
                f"{count} pictures are too many for one shot; take fewer per second or a shorter range."
            )
        self.frames = np.empty((count, height, width, 3), np.uint8)

    def put(
        self,
        index: int,
        pixels: np.ndarray,
        *,
        bottom_up: bool = False,
        linear: bool = False,
        alpha: str = "ignore",
    ) -> None:
        """Write one picture of any size into its place; see ``to_model`` for what it may be."""
        to_model(pixels, self.frames[index], bottom_up=bottom_up, linear=linear, alpha=alpha)


def to_model(
    pixels: np.ndarray,
    out: np.ndarray,
    *,
    bottom_up: bool = False,
    linear: bool = False,
    alpha: str = "ignore",
) -> None:
    """Write ``pixels`` into ``out``, each new pixel the average of the area that it covers.

    pixels: (H, W, 3 or 4), uint8 or float with 0..1 on display; ``linear``: floats are linear light;
    ``bottom_up``: first row is the lowest, as GPUs give it; ``alpha`` "straight": over black, as the
    sequencer shows it, "ignore": there is none or it is multiplied in already. out: (h, w, 3) uint8 sRGB,
    top row first. Raises BadInput for pixels of another kind.
    """
    _check(pixels, alpha)
    if bottom_up:
        pixels = pixels[::-1]
    straight = alpha == "straight" and pixels.shape[2] == 4
    colours = pixels[:, :, :3]
    if pixels.dtype == np.uint8 and not straight and colours.shape == out.shape:
        np.copyto(out, colours)
        return
    small = _average(pixels if straight else colours, out.shape[0], out.shape[1], straight=straight)
    if pixels.dtype != np.uint8:
        small = np.nan_to_num(small, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        if linear:
            small = _encode(small)
        small *= 255.0
    np.clip(small, 0.0, 255.0, out=small)
    np.rint(small, out=small)
    np.copyto(out, small, casting="unsafe")


def _check(pixels: np.ndarray, alpha: str) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or 0 in pixels.shape:
        raise BadInput("A picture came without colours or without size; capture it again.")
    if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
        raise BadInput("A picture came in a format that is not known; capture it again.")
    if alpha not in _ALPHA:
        raise ValueError(f"alpha is one of {_ALPHA}")


def _average(pixels: np.ndarray, height: int, width: int, *, straight: bool) -> np.ndarray:
    """(H, W, C) -> (height, width, 3) float32 by area, rows first since they lie together in memory."""
    rows = np.empty((height, pixels.shape[1], 3), np.float32)
    for target, (first, last, weights) in enumerate(_spans(pixels.shape[0], height)):
        block = pixels[first:last].astype(np.float32)
        if straight:
            full = 255.0 if pixels.dtype == np.uint8 else 1.0
            block = block[:, :, :3] * (block[:, :, 3:] / np.float32(full))
        rows[target] = np.tensordot(weights, block, axes=1)
    if rows.shape[1] == width:
        return rows
    columns = np.empty((height, width, 3), np.float32)
    for target, (first, last, weights) in enumerate(_spans(rows.shape[1], width)):
        columns[:, target] = np.einsum("hwc,w->hc", rows[:, first:last], weights)
    return columns


@lru_cache(maxsize=16)
def _spans(size: int, target: int) -> tuple[tuple[int, int, np.ndarray], ...]:
    """For each of ``target`` equal parts of ``size`` pixels: (first, end, how much of each pixel it
    covers).
    """
    spans = []
    for part in range(target):
        low, high = part * size / target, (part + 1) * size / target
        first, last = int(low), min(size, max(int(low) + 1, -int(-high // 1)))
        edges = np.arange(first, last + 1, dtype=np.float64)
        cover = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        cover = np.clip(cover, 1e-9, None)
        spans.append((first, last, (cover / cover.sum()).astype(np.float32)))
    return tuple(spans)


def _encode(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..1 to sRGB's curve (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(
        np.float32
    )
