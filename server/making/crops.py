# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a picture around a hit: what hits what, seen close. Numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...addon.wire.messages import Event

SIDE = 224  # pixels; what the encoders look at
AROUND = 1.8  # times the size of the thing: what it hits is seen too
SMALLEST = 0.3  # of the picture's height: the picture is of another moment, and the thing moves


def crops(frames: np.ndarray, times_s: np.ndarray, events: Sequence[Event], side: int = SIDE) -> np.ndarray:
    """(N, side, side, 3) uint8 from frames (T, H, W, 3), T at least 1: for each event a square around its
    place in the picture nearest in time. Every event must have a place.
    """
    found = np.empty((len(events), side, side, 3), np.uint8)
    for out, event in zip(found, events, strict=True):
        frame = frames[int(np.abs(times_s - float(event.time_s)).argmin())]
        out[:] = _crop(frame, event.place, side)
    return found


def _crop(frame: np.ndarray, place: Sequence[float], side: int) -> np.ndarray:
    """A square of (H, W, 3), moved into the picture where it would look beyond, and resized in two steps."""
    height, width = frame.shape[:2]
    across, down, size = place
    edge = min(max(AROUND * size, SMALLEST) * height, height, width)
    top = min(max(down * height - edge / 2, 0.0), height - edge)
    left = min(max(across * width - edge / 2, 0.0), width - edge)
    rows = _between(frame, top, edge, side, axis=0)
    crop: np.ndarray = np.rint(_between(rows, left, edge, side, axis=1)).astype(np.uint8)
    return crop


def _between(picture: np.ndarray, first: float, length: float, count: int, axis: int) -> np.ndarray:
    """``count`` rows or columns, evenly over ``length`` from ``first``, each mixed of the two around it."""
    places = np.clip(first + (np.arange(count) + 0.5) * length / count - 0.5, 0, picture.shape[axis] - 1)
    before = np.floor(places).astype(int)
    after = np.minimum(before + 1, picture.shape[axis] - 1)
    shape = [1] * picture.ndim
    shape[axis] = count
    share = (places - before).reshape(shape)
    one, other = np.take(picture, before, axis).astype(np.float64), np.take(picture, after, axis)
    mixed: np.ndarray = one + (other - one) * share
    return mixed
