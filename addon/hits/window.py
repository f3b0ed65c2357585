# SPDX-License-Identifier: GPL-3.0-or-later
"""The last frames of everything that moves, so that many frames can be searched at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BEFORE, AFTER = 8, 5  # frames around those that are searched
_MOST = 1024
_ROWS = 30_000  # things times frames kept at once: what can be searched within a tick


class Window:
    """(F, B, 4, 4) matrices of frames ``first`` on, and the corners of what bends.

    points: how many corners thing number so-and-so has. Frames before the first and after the last one that
    was put in are NaN: nothing is known of them.
    """

    def __init__(self, start: int, bodies: int, points: Mapping[int, int]) -> None:
        length = min(_MOST, max(_ROWS // max(bodies, 1), 2 * (BEFORE + AFTER)))
        self.first = start - BEFORE
        self.filled = BEFORE
        self.matrices = np.full((length, bodies, 4, 4), np.nan, np.float32)
        self.points = {
            number: np.full((length, count, 3), np.nan, np.float32) for number, count in points.items()
        }

    @property
    def full(self) -> bool:
        return self.filled == len(self.matrices)

    @property
    def next_frame(self) -> int:
        return self.first + self.filled

    def put(self) -> np.ndarray:
        """Room for the next frame: (B, 4, 4) to be filled in at once; its corners go to ``points``."""
        self.filled += 1
        room: np.ndarray = self.matrices[self.filled - 1]
        return room

    def end(self) -> None:
        """After the last frame: nothing comes any more."""
        for _ in range(min(AFTER, len(self.matrices) - self.filled)):
            self.put()[:] = np.nan
            for kept in self.points.values():
                kept[self.filled - 1] = np.nan

    def roll(self) -> None:
        """Make room, once what is there has been searched."""
        keep = min(BEFORE + AFTER, self.filled)
        for kept in (self.matrices, *self.points.values()):
            kept[:keep] = kept[self.filled - keep : self.filled].copy()
        self.first += self.filled - keep
        self.filled = keep

    def at(self, frame: int) -> np.ndarray | None:
        """(B, 4, 4) of a frame; None where it is not kept."""
        index = frame - self.first
        return self.matrices[index] if 0 <= index < self.filled else None

    def around(self, body: int, frame: int, back: int, ahead: int) -> np.ndarray:
        """(back + 1 + ahead, 4, 4) of one thing, NaN where nothing is kept."""
        found: np.ndarray = self.around_many(np.array([body]), np.array([frame]), back, ahead)[0]
        return found

    def around_many(self, bodies: np.ndarray, frames: np.ndarray, back: int, ahead: int) -> np.ndarray:
        """(C, back + 1 + ahead, 4, 4) of things at frames of their own, NaN where nothing is kept."""
        rows = (frames - self.first)[:, None] + np.arange(-back, ahead + 1)
        inside = (rows >= 0) & (rows < self.filled)
        found: np.ndarray = self.matrices[np.where(inside, rows, 0), bodies[:, None]].astype(np.float64)
        found[~inside] = np.nan
        return found
