# SPDX-License-Identifier: GPL-3.0-or-later
"""From the vocoder's waveform to finished sound: rate, exact length, fades, loudness, true peak.

Loudness after EBU R128 / ITU-R BS.1770-4 by pyloudnorm; true peak by four-fold oversampling as the same
recommendation describes; rates by soxr. Pure functions over numpy arrays of shape (samples, channels).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyloudnorm
import soxr

TRUE_PEAK_CEILING_DB = -1.0
OVERSAMPLING = 4
FADE_S = 0.005
BLOCK_S = 0.4  # the shortest sound that BS.1770 defines a loudness for
QUIET_LUFS = -70.0  # the absolute gate: below it there is nothing to measure
MOST_GAIN_DB = 40.0  # a nearly silent sound is not blown up into its own noise
FLOOR = 1e-9
PEAK_BLOCK, PEAK_MARGIN = 2**20, 2048  # samples


def sample_count(duration_s: Fraction, rate_hz: int) -> int:
    """How many samples a sound of ``duration_s`` has at ``rate_hz``; at least one."""
    return max(1, round(duration_s * rate_hz))


def finish(
    waveform: np.ndarray,
    rate_in_hz: int,
    rate_hz: int,
    samples: int,
    loudness_lufs: float,
    *,
    fades: bool = True,
    ceiling_db: float = TRUE_PEAK_CEILING_DB,
) -> np.ndarray:
    """(N,) or (N, C) at ``rate_in_hz`` -> exactly (samples, C) float32 at ``rate_hz``, within [-1, 1], never
    NaN.

    Too long is cut, too short is padded with silence; both ends get a tiny fade so that no cut clicks, unless
    they meet each other (not ``fades``).
    """
    sound = as_columns(waveform)
    sound = fit(resample(sound, rate_in_hz, rate_hz), samples)
    sound = fade(sound, rate_hz) if fades else sound
    return limit(level(sound, rate_hz, loudness_lufs), rate_hz, ceiling_db)


def as_columns(waveform: np.ndarray) -> np.ndarray:
    """(N, C) float32; what is not a number becomes silence."""
    sound = np.asarray(waveform, np.float32)
    sound = sound[:, None] if sound.ndim == 1 else sound
    return np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)


def resample(sound: np.ndarray, rate_in_hz: int, rate_hz: int) -> np.ndarray:
    """soxr's highest quality: linear phase, so nothing moves in time."""
    if rate_in_hz == rate_hz or not len(sound):
        return sound
    return np.asarray(soxr.resample(sound, rate_in_hz, rate_hz, quality="VHQ"), np.float32)


def fit(sound: np.ndarray, samples: int) -> np.ndarray:
    """Exactly ``samples`` rows."""
    kept = sound[:samples]
    missing = samples - len(kept)
    return np.pad(kept, ((0, missing), (0, 0))) if missing else kept


def fade(sound: np.ndarray, rate_hz: int, seconds: float = FADE_S) -> np.ndarray:
    """A raised-cosine fade at both ends, at most a quarter of the sound each."""
    length = min(round(seconds * rate_hz), len(sound) // 4)
    if length < 1:
        return sound
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)[:, None]
    faded = sound.copy()
    faded[:length] *= ramp
    faded[-length:] *= ramp[::-1]
    return faded


def loudness(sound: np.ndarray, rate_hz: int) -> float:
    """Integrated loudness in LUFS; minus infinity for silence. A sound under 0.4 s is measured as one block.

    BS.1770 gates blocks of 0.4 s; a shorter sound is repeated until it fills one, so that a knock of 50 ms is
    judged by what is there and not by the silence that would pad it.
    """
    block = int(np.ceil(BLOCK_S * rate_hz)) + 1
    if len(sound) < block:
        sound = np.tile(sound, (-(-block // max(1, len(sound))), 1))[:block]
    if float(np.abs(sound).max(initial=0.0)) < FLOOR:
        return float("-inf")
    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(rate_hz).integrated_loudness(sound.astype(np.float64)))


def level(sound: np.ndarray, rate_hz: int, loudness_lufs: float) -> np.ndarray:
    """Brought to ``loudness_lufs``; silence stays silence, and no gain goes beyond 40 dB."""
    measured = loudness(sound, rate_hz)
    if not np.isfinite(measured) or measured < QUIET_LUFS:
        return sound
    gain_db = min(loudness_lufs - measured, MOST_GAIN_DB)
    return (sound * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)


def true_peak(sound: np.ndarray, rate_hz: int) -> float:
    """Largest absolute value between the samples too (BS.1770-4, annex 2), linear."""
    sampled = float(np.abs(sound).max(initial=0.0))
    if sampled < FLOOR:
        return sampled
    peak = sampled
    for start in range(0, len(sound), PEAK_BLOCK):  # in blocks that overlap, to keep memory small
        block = sound[max(0, start - PEAK_MARGIN) : start + PEAK_BLOCK + PEAK_MARGIN]
        between = soxr.resample(block, rate_hz, rate_hz * OVERSAMPLING, quality="HQ")
        peak = max(peak, float(np.abs(between).max(initial=0.0)))
    return peak


def limit(sound: np.ndarray, rate_hz: int, ceiling_db: float = TRUE_PEAK_CEILING_DB) -> np.ndarray:
    """Turned down as a whole where its true peak is above the ceiling.

    Dynamics are the artist's, not ours.
    """
    ceiling = 10.0 ** (ceiling_db / 20.0)
    peak = true_peak(sound, rate_hz)
    scaled = sound * np.float32(ceiling / peak) if peak > ceiling else sound
    return np.ascontiguousarray(scaled, np.float32)
