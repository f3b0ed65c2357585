# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain statistics of a sound, and whether a family's generated sounds keep within its real ones' spread."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BLOCK_S = 0.02
BANDS_HZ = (0.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
SPREAD = (0.05, 0.95)  # quantiles of the real sounds that bound their spread
SILENT_DBFS = -70.0
FEWEST = 5  # real sounds that make a spread
FLOOR = 1e-10


def describe(sound: np.ndarray, rate_hz: int) -> dict[str, float]:
    """(N,) at the common level -> its spectral and loudness statistics.

    centroid_oct, spread_oct, rolloff_oct: of the mean power spectrum, in octaves (above 1 Hz); flatness_db;
    band_LOW_db: level of six bands against the whole; crest_db: peak against mean power; range_db: 95th
    against 10th percentile of the level of 20 ms blocks; floor_db: their 5th percentile against the loudest.
    """
    wave = np.asarray(sound, np.float64) if len(sound) else np.zeros(1)
    power, frequency, blocks = _spectrum(wave, rate_hz)
    whole = power.sum() + FLOOR
    octave = np.log2(np.maximum(frequency, 1.0))
    centroid = float((power * octave).sum() / whole)
    rolloff = frequency[int(np.searchsorted(np.cumsum(power), 0.85 * power.sum()).clip(0, len(power) - 1))]
    levels = np.sort(_db(blocks))
    found = {
        "centroid_oct": centroid,
        "spread_oct": float(np.sqrt((power * np.square(octave - centroid)).sum() / whole)),
        "rolloff_oct": float(np.log2(max(rolloff, 1.0))),
        "flatness_db": float(np.mean(_db(power)) - _db(power.mean())),
        "crest_db": float(_db(np.square(wave).max(initial=0.0)) - _db(np.square(wave).mean())),
        "range_db": float(np.quantile(levels, 0.95) - np.quantile(levels, 0.1)),
        "floor_db": float(np.quantile(levels, 0.05) - levels[-1]),
    }
    for low, high in itertools.pairwise(BANDS_HZ):
        inside = power[(frequency >= low) & (frequency < high)].sum()
        found[f"band_{low:.0f}_db"] = float(_db(inside) - _db(whole))
    return found


def _spectrum(wave: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean power of each frequency, the frequencies in Hz, and the power of each block."""
    size = round(BLOCK_S * rate_hz)
    count = max(1, len(wave) // size)
    blocks = np.resize(np.pad(wave, (0, max(0, size - len(wave)))), count * size).reshape(count, size)
    power = np.square(np.abs(np.fft.rfft(blocks * np.hanning(size), axis=-1))).mean(0)
    # the constant part is no sound
    return power[1:], np.fft.rfftfreq(size, 1.0 / rate_hz)[1:], np.square(blocks).mean(-1)


def _db(power: np.ndarray | float) -> np.ndarray:
    return 10.0 * np.log10(np.asarray(power) + FLOOR)


def is_silent(sound: np.ndarray) -> bool:
    """Whether the root mean square of (N,) as it would be heard lies below -70 dB of full scale."""
    power = float(np.square(np.asarray(sound, np.float64)).mean()) if len(sound) else 0.0
    return not np.isfinite(power) or power < 10.0 ** (SILENT_DBFS / 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A family's statistic whose generated median lies outside of the real sounds' spread."""

    family: str
    statistic: str
    found: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """``share``: of all (family, statistic), those whose generated median is within the real spread."""

    share: float
    compared: int
    outside: tuple[Outside, ...]


Table = Mapping[str, list[dict[str, float]]]  # family -> statistics of its sounds


def within(real: Table, generated: Table) -> Spread:
    """Families of at least five real sounds and one generated are compared; NaN where there is none."""
    outside: list[Outside] = []
    compared = 0
    for family, sounds in sorted(generated.items()):
        truth = real.get(family, [])
        if not sounds or len(truth) < FEWEST:
            continue
        for name in truth[0]:
            low, high = np.quantile([row[name] for row in truth], SPREAD)
            middle = float(np.median([row[name] for row in sounds]))
            compared += 1
            if not low <= middle <= high:
                place = Outside(family=family, statistic=name, found=middle, low=float(low), high=float(high))
                outside.append(place)
    share = 1.0 - len(outside) / compared if compared else float("nan")
    return Spread(share=share, compared=compared, outside=tuple(outside))
