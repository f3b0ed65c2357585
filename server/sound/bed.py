# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed's outline: joined at hard cuts, closed to a loop, lowered under the spots.

Pure functions over arrays of shape (samples, channels) and seconds of the shot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import median_filter, minimum_filter1d, uniform_filter1d

from .headroom import turned_down

CUT_S = Fraction(1, 100)  # in which one side of a hard cut goes over into the other, half before it
LEAD_S = Fraction(12, 25)  # made before a cut and not heard: models begin softly, and a cut does not
SHORTEST_S = Fraction(1, 4)  # between cuts: what is shorter belongs to what is before it
LOOP_S = Fraction(1, 2)  # at most: what lies behind the end and goes over into the beginning
LOOK_AHEAD_S, RELEASE_S = 0.005, 0.15
BEHIND_DB = 6.0  # below the hits that are heard in front of it
CALM_STEP_S, CALM_AROUND_S = 0.005, 1.5
CALM_OVER_DB, MOST_CALM_DB = 6.0, 12.0  # over the middle level around it; by how much it comes down at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of the bed that is made on its own: what is shown from ``start_s`` to ``stop_s``, and the sound
    from ``lead_s`` before that to ``tail_s`` behind it.
    """

    start_s: Fraction
    stop_s: Fraction
    lead_s: Fraction = Fraction(0)
    tail_s: Fraction = Fraction(0)

    @property
    def from_s(self) -> Fraction:
        return self.start_s - self.lead_s

    @property
    def length_s(self) -> Fraction:
        return self.lead_s + self.stop_s - self.start_s + self.tail_s


def segments(
    duration_s: Fraction, cuts: Iterable[Fraction], *, loop: bool, lead_s: Fraction = Fraction(0)
) -> tuple[Segment, ...]:
    """The bed in one piece, or one for each side of the cuts. A loop reaches beyond its end, and begins as if
    it had been there before; any other does so by ``lead_s``.
    """
    edges = [Fraction(0)]
    for cut in sorted(cuts):
        if cut - edges[-1] >= SHORTEST_S and duration_s - cut >= SHORTEST_S:
            edges.append(cut)
    beyond = loop_s(duration_s, edges) if loop else Fraction(0)
    last = len(edges) - 1
    return tuple(
        Segment(
            start_s=edge,
            stop_s=edges[index + 1] if index < last else duration_s,
            lead_s=LEAD_S if index or loop else lead_s,
            tail_s=CUT_S / 2 if index < last else beyond,
        )
        for index, edge in enumerate(edges)
    )


def loop_s(duration_s: Fraction, edges: Sequence[Fraction] = ()) -> Fraction:
    """How long the end of a loop goes over into its beginning; no longer than what is shown there."""
    return min(LOOP_S, (edges[1] if len(edges) > 1 else duration_s) / 4)


def joined(pieces: Sequence[np.ndarray], parts: Sequence[Segment], rate_hz: int) -> np.ndarray:
    """One sound of the pieces (N, C), which begin at their ``from_s``: as loud through a cut as around it."""
    stops = [round((part.stop_s + part.tail_s) * rate_hz) for part in parts]
    sound = np.zeros((stops[-1], pieces[0].shape[1]), np.float32)
    for index, (piece, part, stop) in enumerate(zip(pieces, parts, stops, strict=True)):
        first, cross = round(part.start_s * rate_hz), 0
        if index:
            first = round((part.start_s - CUT_S / 2) * rate_hz)
            cross = stops[index - 1] - first
            sound[first : first + cross] *= rise(cross)[::-1]
        own = piece[first - round(part.from_s * rate_hz) :][: stop - first].copy()
        own[:cross] *= rise(len(own[:cross]))
        sound[first : first + len(own)] += own
    return sound


def rise(length: int) -> np.ndarray:
    """(length, 1) from 0 to 1, so that its square and the square of its mirror image add up to 1."""
    return np.sin((np.arange(length) + 0.5) / max(1, length) * (math.pi / 2)).astype(np.float32)[:, None]


def looped(sound: np.ndarray, samples: int) -> np.ndarray:
    """``sound`` (N, C), longer than ``samples``, as a loop of that length: what lies behind its end goes over
    into its beginning, so that the last sample is followed by the first as in the sound itself.
    """
    beyond = sound[samples : 2 * samples]
    closed = sound[:samples].copy()
    closed[: len(beyond)] *= rise(len(beyond))
    closed[: len(beyond)] += beyond * rise(len(beyond))[::-1]
    return closed


def calmed(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """``sound`` (N, C) with what sticks out of it turned down: where each hit has a sound of its own, a bed
    that strikes as well is heard as hits which nobody sees.
    """
    step = max(1, round(CALM_STEP_S * rate_hz))
    padded = np.pad(sound, ((0, -len(sound) % step), (0, 0)))
    power = np.square(padded).reshape(len(padded) // step, -1).mean(axis=1, dtype=np.float64)
    level = np.sqrt(uniform_filter1d(power, 4, mode="nearest"))
    middle = median_filter(level, round(CALM_AROUND_S / CALM_STEP_S) | 1, mode="nearest")
    allowed = middle * 10.0 ** (CALM_OVER_DB / 20.0)
    gain = np.clip(allowed / np.maximum(level, 1e-12), 10.0 ** (-MOST_CALM_DB / 20.0), 1.0)
    gain[level <= 0.0] = 1.0
    gain = uniform_filter1d(minimum_filter1d(gain, 5, mode="nearest"), 5, mode="nearest")
    return turned_down(sound, 0, gain, step)


def ducked(
    sound: np.ndarray,
    heard_s: Iterable[tuple[float, float]],
    by_db: float,
    rate_hz: int,
    *,
    loop: bool = False,
) -> np.ndarray:
    """``sound`` (N, C) lower by ``by_db`` wherever spots are heard, given as (start, stop) in seconds.

    It goes down just before a spot and comes back slowly behind it, along smooth curves in decibels.
    """
    spans = list(heard_s)
    if by_db <= 0.0 or not spans:
        return sound
    depth = np.zeros(len(sound), np.float32)
    ahead, back = round(LOOK_AHEAD_S * rate_hz), round(RELEASE_S * rate_hz)
    for start_s, stop_s in spans:
        start, stop = round(start_s * rate_hz), round(stop_s * rate_hz)
        curve = np.concatenate((_ease(ahead), np.ones(max(0, stop - start), np.float32), _ease(back)[::-1]))
        for turn in (-1, 0, 1) if loop else (0,):
            first = start - ahead + turn * len(sound)
            low, high = max(0, first), min(len(sound), first + len(curve))
            if low < high:
                into = depth[low:high]
                np.maximum(into, curve[low - first : high - first], out=into)
    gain = 10.0 ** (depth.astype(np.float64) * (-by_db / 20.0))
    return np.ascontiguousarray(sound * gain[:, None], np.float32)


def _ease(length: int) -> np.ndarray:
    """(length,) from 0 to 1 along half a cosine."""
    along = (np.arange(length) + 0.5) / max(1, length)
    return (0.5 - 0.5 * np.cos(np.pi * along)).astype(np.float32)
