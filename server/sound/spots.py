# SPDX-License-Identifier: GPL-3.0-or-later
"""One short sound for a hit: cut to its attack, and varied as the same thing sounds when it is hit again.

Pure functions over (samples,) float32.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.signal
import soxr

from .finishing import limit, loudness, resample
from .onsets import attack, envelope

SPOT_S = Fraction(64, 25)  # what is generated for one hit: 2.56 s, a quarter of the model's own length
ATTACK_WITHIN = 0.6  # of the sound: what begins later would have no tail
TAIL_DB = -60.0  # what is quieter than this against the peak is no longer a tail
HOLD_S = 0.05
DECAY_DB_S = 40.0  # 60 dB in a second and a half, as a large bell or a live room
STRIKES_S = 0.04  # in which a hit reaches its highest level
AGAIN_S, AGAIN_DB = 0.03, 6.0  # behind that nothing rises by more than this: it would be another hit
FADE_IN_S = 0.0005
FADE_OUT_S = 0.05
MOST_GAIN_DB = 40.0
PITCHES = 5
PITCH_SPREAD = 0.03  # heard as the same thing hit elsewhere
LEVEL_SPREAD_DB = 1.5
DULLEST_DB = -12.0  # above BRIGHT_HZ, for a hit of no strength at all
BRIGHT_HZ = 2000.0
SHADES = 8  # steps of brightness
VERSIONS_KEPT = 64


def spot(
    waveform: np.ndarray, rate_in_hz: int, rate_hz: int, loudness_lufs: float, *, dies_away: bool = True
) -> np.ndarray:
    """(N,) at ``rate_in_hz`` -> (M,) float32 at ``rate_hz`` that begins with its attack and ends with its
    tail. ``dies_away``: what a generator goes on humming behind a hit is faded like a natural tail, and it
    strikes once.
    """
    mono = np.nan_to_num(np.asarray(waveform, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    sound = resample(mono[:, None], rate_in_hz, rate_hz)[:, 0]
    sound = sound[attack(sound[: round(len(sound) * ATTACK_WITHIN)], rate_hz) :]
    sound = dying(once(sound, rate_hz), rate_hz) if dies_away else sound
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return np.zeros(max(1, len(sound)), np.float32)
    heard = np.flatnonzero(np.abs(sound) > peak * 10.0 ** (TAIL_DB / 20.0))
    sound = ends(sound[: int(heard[-1]) + 1], rate_hz)
    measured = loudness(sound[:, None], rate_hz)
    if np.isfinite(measured):
        sound = sound * np.float32(10.0 ** (min(loudness_lufs - measured, MOST_GAIN_DB) / 20.0))
    return limit(sound[:, None], rate_hz)[:, 0]


def dying(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """A natural tail falls faster than this by itself and hardly changes; a noise floor is taken away."""
    after_s = np.maximum(np.arange(len(sound)) / rate_hz - HOLD_S, 0.0)
    return sound * (10.0 ** (-DECAY_DB_S * after_s / 20.0)).astype(np.float32)


def once(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """(M,) that begins with its attack, without what rises in it again behind that: another hit, unseen."""
    level = envelope(sound, rate_hz, AGAIN_S)
    if not len(level):
        return sound
    first = int(level[: round(STRIKES_S * rate_hz)].argmax())
    allowed = np.minimum.accumulate(level[first:]) * 10.0 ** (AGAIN_DB / 20.0)
    gain = np.ones(len(sound), np.float32)
    gain[first:] = np.minimum(1.0, allowed / np.maximum(level[first:], 1e-12))
    return sound * gain


def ends(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """A fade too short to soften the attack, and one long enough to end a tail."""
    start = min(round(FADE_IN_S * rate_hz), len(sound) // 4)
    stop = min(round(FADE_OUT_S * rate_hz), len(sound) // 2)
    shaped = sound.copy()
    if start:
        shaped[:start] *= np.linspace(0.0, 1.0, start, endpoint=False, dtype=np.float32)
    if stop:
        shaped[-stop:] *= np.linspace(1.0, 0.0, stop, dtype=np.float32)
    return shaped


@dataclass(frozen=True, slots=True)
class Version:
    """Which of the sounds, how much higher or lower (a step of PITCHES), and how much softer in dB."""

    sound: int
    pitch: int
    softer_db: float


def versions(numbers: Sequence[int], sounds: int, *names: object) -> Iterator[Version]:
    """A version for each hit: the first as it was made, and never the same sound or pitch twice in a row.

    ``numbers`` and ``names`` decide, so the same hits always sound the same.
    """
    before = Version(0, PITCHES // 2, 0.0)
    for place, number in enumerate(numbers):
        if place:
            text = "\0".join(map(str, ("spot", *names, number)))
            digest = hashlib.sha256(text.encode()).digest()
            before = Version(
                _other(digest[0], sounds, before.sound),
                _other(digest[1], PITCHES, before.pitch),
                LEVEL_SPREAD_DB * digest[2] / 255.0,
            )
        yield before


def _other(chance: int, count: int, before: int) -> int:
    """One of ``count`` that is not ``before``, if there is another."""
    found = chance % (count - 1) if count > 1 else 0
    return found + (count > 1 and found >= before)


class Voice:
    """The sounds of one kind of hit, at every pitch and brightness that its hits want."""

    def __init__(self, sounds: Sequence[np.ndarray], rate_hz: int) -> None:
        self._sounds, self._rate_hz = sounds, rate_hz
        self._version = functools.lru_cache(maxsize=VERSIONS_KEPT)(self._make)

    def __call__(self, version: Version, strength: float) -> np.ndarray:
        """(M,) float32, for reading only; the softer the hit, the duller."""
        return self._version(version.sound, version.pitch, round(strength * SHADES))

    def _make(self, number: int, pitch: int, shade: int) -> np.ndarray:
        sound = higher(self._sounds[number], pitch, self._rate_hz)
        return duller(sound, shade / SHADES, self._rate_hz)


def higher(sound: np.ndarray, step: int, rate_hz: int) -> np.ndarray:
    """(M,) at another pitch and so of another length; the middle one of PITCHES is the sound itself."""
    share = PITCH_SPREAD * (step - PITCHES // 2) / (PITCHES // 2)
    if not share:
        return sound
    found = np.asarray(soxr.resample(sound, rate_hz, rate_hz / (1.0 + share), quality="HQ"), np.float32)
    return found if len(found) else sound


def duller(sound: np.ndarray, strength: float, rate_hz: int) -> np.ndarray:
    """(M,) with its heights turned down as ``strength`` falls from 1, and its attack where it was.

    A shelf of first order and minimum phase, by the bilinear transform of (g s + w) / (s + w).
    """
    gain = 10.0 ** (DULLEST_DB * (1.0 - strength) / 20.0)
    if gain >= 1.0:
        return sound
    corner = np.tan(np.pi * min(BRIGHT_HZ / rate_hz, 0.45))
    scale = 1.0 + corner
    above, below = [(gain + corner) / scale, (corner - gain) / scale], [1.0, (corner - 1.0) / scale]
    return np.asarray(scipy.signal.lfilter(above, below, sound), np.float32)
