# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether sounds begin where something happens: onsets, hits heard, timing error, false hits, AV-Align.

All times in seconds from the start of the shot. Numpy alone, no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..sound.onsets import attack

Times: TypeAlias = Sequence[float] | np.ndarray

TOLERANCE_S = 0.1  # a sound further from its hit does not belong to it
WINDOW_S, HOP_S = 0.02, 0.005
BANDS, LOW_HZ = 24, 200.0
DEEP_DB = 60.0  # what is so far below the loudest band is not heard
RISE_DB = 6.0  # mean rise over the bands that counts as an attack, at least
STANDS_OUT = 2.5  # and so many times what the sound does all the time around it
AROUND_S, GAP_S, REFINE_S, BEFORE_S = 0.3, 0.04, 0.02, 0.01
MOTION_SHARE = 0.1  # of the strongest motion: a weaker peak is none


def onsets(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """(N,) -> (K,) rising times at which something begins, each found to the sample by ``attack``."""
    rise = _rise(np.asarray(sound, np.float64), rate_hz)
    if not len(rise):
        return np.zeros(0)
    around = _median(rise, round(AROUND_S / HOP_S))
    high = np.flatnonzero(rise >= np.maximum(RISE_DB, STANDS_OUT * around))
    gap = round(GAP_S / HOP_S)
    picked = [int(k) for k in high if rise[k] >= rise[max(0, k - gap) : k + gap + 1].max()]
    found: list[float] = []
    for index in picked:
        centre = index * HOP_S
        first = max(0, round((centre - REFINE_S) * rate_hz))
        low = max(0, first - round(BEFORE_S * rate_hz))  # what rings there already is no attack
        part = np.asarray(sound[low : round((centre + REFINE_S) * rate_hz)], np.float32)
        time_s = (low + attack(part, rate_hz, first - low)) / rate_hz
        if not found or time_s - found[-1] >= GAP_S:
            found.append(time_s)
    return np.asarray(found, np.float64)


def _rise(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """(N,) -> (frames,) decibels by which the bands rise, on average, around each hop; falls count as 0."""
    size, hop = round(WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    if float(np.abs(sound).max(initial=0.0)) <= 0.0 or len(sound) < size:
        return np.zeros(0)
    padded = np.pad(sound, (size, size))
    count = (len(padded) - size) // hop + 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count] * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames, axis=-1)))
    edges = np.geomspace(LOW_HZ, rate_hz / 2, BANDS + 1) / rate_hz * size
    starts = np.unique(np.round(edges).astype(int))[:-1]
    level = 10.0 * np.log10(np.add.reduceat(power, starts, axis=-1) + 1e-20)
    level = np.maximum(level, level.max() - DEEP_DB)
    # What a window holds is compared with the one that ends where it begins.
    apart = round(WINDOW_S / HOP_S)
    rise = np.maximum(level[apart:] - level[:-apart], 0.0).mean(-1)
    # rise[k]: windows that meet at sample k * hop of the sound
    return rise[: len(sound) // hop + 1]


def _median(values: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(values, width // 2, mode="reflect" if len(values) > width // 2 else "edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * (width // 2) + 1)
    return np.median(view, axis=-1)


def match(
    truth: Sequence[float], found: Sequence[float], tolerance_s: float = TOLERANCE_S
) -> list[tuple[int, int]]:
    """Pairs (index of truth, index of found), one-to-one, both sorted inputs rising.

    As many pairs within the tolerance as there can be; of those ways, the one with the smallest sum of
    errors. (On a line, some best pairing has no crossings, so a table over both lists finds it.)
    """
    rows, columns = len(truth), len(found)
    # best[i][j]: (pairs, -error) with the first i and j
    best = [[(0, 0.0)] * (columns + 1) for _ in range(rows + 1)]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            choice = max(best[i - 1][j], best[i][j - 1])
            error = abs(truth[i - 1] - found[j - 1])
            if error <= tolerance_s:
                pairs, total = best[i - 1][j - 1]
                choice = max(choice, (pairs + 1, total - error))
            best[i][j] = choice
    chosen: list[tuple[int, int]] = []
    i, j = rows, columns
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            chosen.append((i - 1, j - 1))
            i, j = i - 1, j - 1
    return chosen[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How one sound keeps to its hits. errors_s: (K,) late is positive, one for each hit that was heard;
    ``at_s``: (K,) when those hits are; ``false``: onsets that belong to no hit.
    """

    hits: int
    errors_s: np.ndarray
    at_s: np.ndarray
    false: int
    duration_s: float

    @property
    def coverage(self) -> float:
        """Share of the hits that are heard; NaN where there are none."""
        return len(self.errors_s) / self.hits if self.hits else float("nan")

    @property
    def drift(self) -> float:
        """Seconds of error that are gained in a second (median slope, Theil and Sen); NaN below two hits."""
        later, earlier = np.triu_indices(len(self.at_s), 1)[::-1]
        apart = self.at_s[later] - self.at_s[earlier]
        slopes = (self.errors_s[later] - self.errors_s[earlier])[apart > 0] / apart[apart > 0]
        return float(np.median(slopes)) if len(slopes) else float("nan")


def against(hits_s: Times, found_s: Times, duration_s: float, tolerance_s: float = TOLERANCE_S) -> Timing:
    """The sound's onsets against the true hits, both in any order."""
    truth, found = np.sort(np.asarray(hits_s, float)), np.sort(np.asarray(found_s, float))
    pairs = match(truth.tolist(), found.tolist(), tolerance_s)
    hit = np.asarray([i for i, _ in pairs], int)
    heard = np.asarray([j for _, j in pairs], int)
    return Timing(
        hits=len(truth),
        errors_s=found[heard] - truth[hit],
        at_s=truth[hit],
        false=len(found) - len(pairs),
        duration_s=duration_s,
    )


def summary(timings: Sequence[Timing]) -> dict[str, float]:
    """Over all hits of many sounds: coverage, median and 95th percentile of the error, false hits, drift.

    ``f1`` weighs hits that are missed against onsets that are none; NaN where there is nothing to measure.
    """
    hits = sum(timing.hits for timing in timings)
    errors = np.abs(np.concatenate([np.zeros(0), *(timing.errors_s for timing in timings)]))
    false = sum(timing.false for timing in timings)
    seconds = sum(timing.duration_s for timing in timings)
    drifts = [timing.drift for timing in timings if np.isfinite(timing.drift)]
    nothing = float("nan")
    return {
        "hits": float(hits),
        "coverage": len(errors) / hits if hits else nothing,
        "median_ms": 1000.0 * float(np.median(errors)) if len(errors) else nothing,
        "p95_ms": 1000.0 * float(np.quantile(errors, 0.95)) if len(errors) else nothing,
        "false_per_s": false / seconds if seconds else nothing,
        "f1": 2 * len(errors) / (hits + len(errors) + false) if hits else nothing,
        "drift_ms_per_s": 1000.0 * float(np.median(np.abs(drifts))) if drifts else nothing,
    }


def motion_peaks(frames: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8, (T,) -> (K,) times between frames at which the picture changes most."""
    if len(frames) < 3:
        return np.zeros(0)
    grey = frames.astype(np.float32).mean(-1)
    change = np.abs(np.diff(grey, axis=0)).mean((1, 2))
    middle = (np.asarray(times_s)[1:] + np.asarray(times_s)[:-1]) / 2
    padded = np.concatenate(([-1.0], change, [-1.0]))
    high = change >= MOTION_SHARE * change.max()
    peak = (change > padded[:-2]) & (change >= padded[2:])
    return middle[high & peak & (change > 0)]


def av_align(sound_s: Times, motion_s: Times, window_s: float) -> float:
    """Onsets and motion peaks that meet within ``window_s``, of all there are (IoU); NaN without any.

    After AV-Align (Yariv et al. 2024), with frame differences for optical flow and pairs that are one-to-one.
    """
    heard, seen = sorted(map(float, sound_s)), sorted(map(float, motion_s))
    both = len(match(seen, heard, window_s))
    every = len(heard) + len(seen) - both
    return both / every if every else float("nan")
