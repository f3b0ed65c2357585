# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync inside one sound: in which columns hits may sound, and their attacks moved to the sample.

The model makes one sound that is silent outside of the hits' windows (``columns``). A column is 40 ms, so the
attack of each is then looked for and moved to its hit (``aligned``). Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...addon.wire.messages import Event
from .clusters import LASTING
from .onsets import attack, envelope

RINGS_S, LASTS_S = 0.8, 2.0  # how long a hit may sound, and one that goes on
STILL = 2  # columns before a hit that are silent, so that it begins out of nothing, where there is room
LEAST = 3  # columns that a hit gets
EARLY_S, LATE_S = 0.04, 0.2  # where the attack of a hit is looked for
BEFORE_S = 0.004  # a hit's sound fades in so long before its attack
FADE_S = 0.004
MOST_GAIN_DB = 24.0  # what the model made softer than that against its loudest hit stays softer
RISE, TINY = 4.0, 1e-10  # what rises less, in power, or is softer, is no attack
STRIKE_DB_S = (
    40.0  # what has none, or swells, gets its level at once and falls like something that was struck
)
AT_ONCE_S, AT_ONCE = 0.02, 0.5  # a hit has this share of its highest level after this time
MOST_STRIKE_DB = 30.0  # as much as a soft beginning is raised
LEVEL_S = 0.01
LEAST_STRENGTH = 0.1  # about -20 dB


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


def aligned(sound: np.ndarray, events: Sequence[Event], rate_hz: int) -> np.ndarray:
    """(N, C) with each hit's attack at its time, and as loud as the hit is hard.

    The sound is cut before each attack, and the pieces are put to their hits. What the model lets swell gets
    the outline of a hit.
    """
    hits = _hits(events, len(sound), rate_hz)
    if not hits:
        return np.zeros_like(sound)
    mono = sound.mean(axis=1)
    nexts = [round(hit.time_s * rate_hz) for hit in hits[1:]] + [len(sound)]
    before = round(BEFORE_S * rate_hz)
    found: list[tuple[int, int]] = []  # where a hit should begin, and where it does
    for hit, following in zip(hits, nexts, strict=True):
        at = round(hit.time_s * rate_hz)
        found.append((at, _attack(mono, at, following, rate_hz)))
    starts = [max(0, begins - before) for _, begins in found]
    pieces = []
    for hit, start, stop in zip(hits, starts, [*starts[1:], len(sound)], strict=True):
        piece = sound[start:stop]
        pieces.append(_faded(piece if hit.kind in LASTING else _struck(piece, rate_hz), rate_hz))
    levels = [_loudest(piece, rate_hz) for piece in pieces]
    out = np.zeros_like(sound)
    for hit, (at, begins), start, piece, own in zip(hits, found, starts, pieces, levels, strict=True):
        gain = min(max(levels) / max(own, 1e-9), 10.0 ** (MOST_GAIN_DB / 20.0))
        to = start + at - begins
        low, high = max(0, to), min(len(out), to + len(piece))
        if low < high:
            part = piece[low - to : high - to]
            out[low:high] += part * np.float32(gain * max(hit.strength, LEAST_STRENGTH))
    return out


def _hits(events: Sequence[Event], samples: int, rate_hz: int) -> list[Event]:
    """The strongest hit of each moment at which something is hit, rising."""
    strongest: dict[int, Event] = {}
    for event in events:
        at = round(event.time_s * rate_hz)
        if at < samples and (at not in strongest or event.strength > strongest[at].strength):
            strongest[at] = event
    return [strongest[at] for at in sorted(strongest)]


def _struck(piece: np.ndarray, rate_hz: int) -> np.ndarray:
    """``piece`` as it is if it begins like a hit, else with the outline of one."""
    level = envelope(piece.mean(axis=1), rate_hz, 2 * LEVEL_S)
    highest = float(level.max(initial=0.0))
    if float(level[: round((BEFORE_S + AT_ONCE_S) * rate_hz)].max(initial=0.0)) >= AT_ONCE * highest:
        return piece
    after_s = np.maximum(np.arange(len(piece)) / rate_hz - BEFORE_S, 0.0)
    wanted = highest * 10.0 ** (-STRIKE_DB_S * after_s / 20.0)
    gain = wanted / np.maximum(level, highest * 10.0 ** (-MOST_STRIKE_DB / 20.0))
    return piece * np.minimum(gain, 10.0 ** (MOST_STRIKE_DB / 20.0)).astype(np.float32)[:, None]


def _loudest(piece: np.ndarray, rate_hz: int) -> float:
    """The highest level over LEVEL_S."""
    return float(envelope(piece.mean(axis=1), rate_hz, LEVEL_S).max(initial=0.0))


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
    length = min(round(FADE_S * rate_hz), len(piece) // 2)
    shaped = piece.copy()
    if length:
        ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)[:, None]
        shaped[:length] *= ramp
        shaped[-length:] *= ramp[::-1]
    return shaped
