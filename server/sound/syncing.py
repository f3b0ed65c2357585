# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync inside one sound: in which columns hits may sound, and their attacks moved to the sample.

The model makes one sound that is silent outside of the hits' windows (``columns``). A column is 40 ms, so the
attack of each is then looked for and moved to its hit (``aligned``). Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...addon.wire.messages import Event
from . import damping
from .clusters import LASTING
from .onsets import attack, envelope
from .spots import FADE_OUT_S, PITCHES, duller, dying, higher, once

RINGS_S, LASTS_S = 0.8, 2.0  # how long a hit may sound, and one that goes on
STILL = 2  # columns before a hit that are silent, so that it begins out of nothing, where there is room
LEAST = 3  # columns that a hit gets
EARLY_S, LATE_S = 0.04, 0.2  # where the attack of a hit is looked for
BEFORE_S = 0.001  # a hit's sound fades in so long before its attack
MOST_GAIN_DB = 24.0  # what the model made softer than that against its loudest hit is no hit
RISE, TINY = 4.0, 1e-10  # what rises less, in power, or is softer, is no attack
STRIKE_DB_S = (
    40.0  # what has none, or swells, gets its level at once and falls like something that was struck
)
AT_ONCE_S, AT_ONCE = 0.02, 0.5  # a hit has this share of its highest level after this time
MOST_STRIKE_DB = 30.0  # as much as a soft beginning is raised
SHORT_S, SHORT = 0.2, 0.5  # what is cut before this share of the time to the next hit is no hit
LEVEL_S = 0.01
LEAST_STRENGTH = 0.1  # about -20 dB
OTHER_PITCHES = tuple(step for step in (1, 3, 0, 4) if step < PITCHES)  # of a sound that is heard again


def columns(events: Sequence[Event], column_s: float, count: int) -> tuple[tuple[int, int], ...]:
    """[first, stop) columns of ``count`` in which something may sound, rising, none touching another."""
    hits = sorted(
        (int(float(event.time_s) / column_s), LASTS_S if event.kind in LASTING else RINGS_S)
        for event in events
    )
    found: list[tuple[int, int]] = []
    for index, (first, length_s) in enumerate(hits):
        stop = first + round(length_s / column_s)
        if index + 1 < len(hits):
            stop = min(stop, max(hits[index + 1][0] - STILL, first + LEAST))
        first, stop = min(first, count), min(stop, count)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        elif first < stop:
            found.append((first, stop))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """What the model made for a hit: (M,), begins BEFORE_S before its attack; ``level``: its highest."""

    hit: Event
    sound: np.ndarray
    level: float

    @property
    def lasts(self) -> bool:
        return self.hit.kind in LASTING


def aligned(sound: np.ndarray, events: Sequence[Event], rate_hz: int) -> np.ndarray:
    """(N, C) -> (N, 1) with each hit's attack at its time, and as loud as the hit is hard.

    The sound is cut before each attack, and the pieces are put to their hits; what still rings then is damped
    like that of a thing which is hit again. Where the model made nothing for a hit, the likest of the others
    is heard again, a little higher or lower.
    """
    hits = _hits(events, len(sound), rate_hz)
    out = np.zeros(len(sound), np.float32)
    pieces = _pieces(sound.mean(axis=1, dtype=np.float32), hits, rate_hz) if hits else []
    loudest = max((piece.level for piece in pieces), default=0.0)
    if loudest <= 0.0:
        return out[:, None]
    least = loudest * 10.0 ** (-MOST_GAIN_DB / 20.0)
    made = [piece for piece in pieces if piece.level >= least]
    parts, heard_again = [], 0
    for piece in pieces:
        if piece.level < least:
            piece = _again(piece.hit, made, OTHER_PITCHES[heard_again % len(OTHER_PITCHES)], rate_hz)
            heard_again += 1
        gain = loudest / piece.level * max(piece.hit.strength, LEAST_STRENGTH)
        parts.append(piece.sound * np.float32(gain))
    starts = [round(hit.time_s * rate_hz) - round(BEFORE_S * rate_hz) for hit in hits]
    for start, part in zip(starts, damping.damp(parts, starts, rate_hz), strict=True):
        low, high = max(0, start), min(len(out), start + len(part))
        out[low:high] += part[low - start : high - start]
    return out[:, None]


def _pieces(mono: np.ndarray, hits: Sequence[Event], rate_hz: int) -> list[_Piece]:
    """``mono`` (N,) cut before the attack of each hit."""
    ats = [round(hit.time_s * rate_hz) for hit in hits]
    before = round(BEFORE_S * rate_hz)
    starts = [
        max(0, _attack(mono, at, following, rate_hz) - before)
        for at, following in zip(ats, [*ats[1:], len(mono)], strict=True)
    ]
    found = []
    gaps = np.diff([*ats, len(mono)])
    for hit, gap, start, stop in zip(hits, gaps, starts, [*starts[1:], len(mono)], strict=True):
        piece = mono[start:stop]
        if len(piece) < SHORT * min(gap, SHORT_S * rate_hz):
            piece = piece[:0]
        if hit.kind not in LASTING:
            piece = dying(once(_struck(piece, rate_hz), rate_hz), rate_hz)
        found.append(_Piece(hit, _faded(piece, rate_hz), _loudest(piece, rate_hz)))
    return found


def _again(hit: Event, made: Sequence[_Piece], pitch: int, rate_hz: int) -> _Piece:
    """The likest of ``made`` for another hit: of its kind, by its words, and near to it."""
    words = set(hit.words.lower().split())

    def likeness(other: _Piece) -> tuple[bool, int, float]:
        common = len(words & set(other.hit.words.lower().split()))
        return other.lasts == (hit.kind in LASTING), common, -abs(float(other.hit.time_s - hit.time_s))

    likest = max(made, key=likeness)
    sound = higher(likest.sound, pitch, rate_hz)
    softer = min(1.0, max(hit.strength, LEAST_STRENGTH) / max(likest.hit.strength, LEAST_STRENGTH))
    sound = duller(sound, softer, rate_hz)
    return _Piece(hit, sound, _loudest(sound, rate_hz))


def _hits(events: Sequence[Event], samples: int, rate_hz: int) -> list[Event]:
    """The strongest hit of each moment at which something is hit, rising."""
    strongest: dict[int, Event] = {}
    for event in events:
        at = round(event.time_s * rate_hz)
        if at < samples and (at not in strongest or event.strength > strongest[at].strength):
            strongest[at] = event
    return [strongest[at] for at in sorted(strongest)]


def _struck(piece: np.ndarray, rate_hz: int) -> np.ndarray:
    """``piece`` (M,) as it is if it begins like a hit, else with the outline of one."""
    level = envelope(piece, rate_hz, 2 * LEVEL_S)
    highest = float(level.max(initial=0.0))
    if float(level[: round((BEFORE_S + AT_ONCE_S) * rate_hz)].max(initial=0.0)) >= AT_ONCE * highest:
        return piece
    after_s = np.maximum(np.arange(len(piece)) / rate_hz - BEFORE_S, 0.0)
    wanted = highest * 10.0 ** (-STRIKE_DB_S * after_s / 20.0)
    gain = wanted / np.maximum(level, highest * 10.0 ** (-MOST_STRIKE_DB / 20.0))
    return piece * np.minimum(gain, 10.0 ** (MOST_STRIKE_DB / 20.0)).astype(np.float32)


def _loudest(piece: np.ndarray, rate_hz: int) -> float:
    """The highest level over LEVEL_S."""
    return float(envelope(piece, rate_hz, LEVEL_S).max(initial=0.0))


def _attack(mono: np.ndarray, at: int, following: int, rate_hz: int) -> int:
    """The sample at which the hit at sample ``at`` is heard; ``at`` where nothing rises."""
    context = round(LEVEL_S * rate_hz)
    low = max(0, at - round(EARLY_S * rate_hz))
    high = min(at + round(LATE_S * rate_hz), max(following, at + context))
    start = max(0, low - context)
    found = start + attack(mono[start:high], rate_hz, first=low - start)
    earlier = float(np.square(mono[max(0, found - 3 * context) : max(0, found - context)]).sum()) / 2
    later = float(np.square(mono[found : found + 2 * context]).sum()) / 2
    return found if later > RISE * max(earlier, TINY * context) else at


def _faded(piece: np.ndarray, rate_hz: int) -> np.ndarray:
    shaped = piece.copy()
    before, end = (min(round(seconds * rate_hz), len(piece) // 2) for seconds in (BEFORE_S, FADE_OUT_S))
    shaped[:before] *= np.linspace(0.0, 1.0, before, dtype=np.float32)
    shaped[len(piece) - end :] *= np.linspace(1.0, 0.0, end, dtype=np.float32)
    return shaped
