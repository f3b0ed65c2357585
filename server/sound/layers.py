# SPDX-License-Identifier: GPL-3.0-or-later
"""The spots layer: the sounds of every kind of hit, on every hit of the shot, as clips.

A clip begins exactly at its hit, its first sample is the attack. Level follows the strength of the hit and
its distance, and tails ring on until the same thing is hit again. Pure functions over numpy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...addon.wire import limits
from ...addon.wire.messages import Clip, Event
from . import damping, headroom
from .clusters import Cluster
from .spots import FADE_OUT_S, Voice, ends, versions

LEAST_STRENGTH = 0.03  # about -30 dB: a hit is never silent
DISTANCE_DB = 6.0  # at most louder or softer by this, against the middle of all distances
HEARD_DB = -20.0  # of a hit's own peak: below it the bed may come back


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How hits become clips. ``one_each``: a clip for each hit, or all of a kind mixed into one.

    ``most_samples``: the longest clip; a tail that would outlast that is faded out.
    ``distance_m``: the middle of all hits' distances.
    """

    rate_hz: int
    seed: int
    one_each: bool
    most_samples: int
    distance_m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """One hit as it sounds: sound (M, C); ``number`` of its event, ``group``: number of its cluster."""

    event: Event
    number: int
    group: int
    words: str
    sound: np.ndarray

    def heard_s(self, rate_hz: int) -> tuple[float, float]:
        """From its attack to where it has become soft, in seconds of the shot."""
        level = np.abs(self.sound).max(axis=1)
        loud = np.flatnonzero(level > float(level.max()) * 10.0 ** (HEARD_DB / 20.0))
        start_s = float(self.event.time_s)
        return start_s, start_s + (int(loud[-1]) + 1 if len(loud) else 0) / rate_hz


def place(
    clusters: Sequence[Cluster],
    sounds: Sequence[Sequence[np.ndarray]],
    take: int,
    placing: Placing,
    check: Callable[[], None] = lambda: None,
) -> list[Placed]:
    """Every hit with its own sound, from the sounds (M,) of each cluster; what they add up to is no clipping.

    Hits of one kind at the same moment are one: the strongest. ``check`` is called at each and may raise.
    """
    found: list[Placed] = []
    for group, (cluster, own) in enumerate(zip(clusters, sounds, strict=True)):
        found += _rung(cluster, own, group, take, placing, check)
    starts = [_sample(one.event, placing.rate_hz) for one in found]
    fitted = headroom.fitted([one.sound for one in found], starts, placing.rate_hz, check)
    return [
        one
        if one.sound is sound
        else Placed(event=one.event, number=one.number, group=one.group, words=one.words, sound=sound)
        for one, sound in zip(found, fitted, strict=True)
    ]


def clips(placed: Sequence[Placed], take: int, placing: Placing) -> list[Clip]:
    """One for each hit that starts exactly there, or one for each kind that starts at its first hit."""
    if placing.one_each:
        return [_clip(one, take, placing, one.event.time_s, one.sound, number=one.number) for one in placed]
    groups: dict[int, list[Placed]] = {}
    for one in placed:
        groups.setdefault(one.group, []).append(one)
    return [
        _clip(together[0], take, placing, *_mixed(together, placing.rate_hz, placing.most_samples))
        for together in groups.values()
    ]


def over(bed: Clip, spots: Sequence[Clip], check: Callable[[], None] = lambda: None) -> list[Clip]:
    """The spots of a take, so that they are no clipping together with its bed either. That stays as it is,
    wherever the hits are.
    """
    starts = [round(clip.start_s * bed.rate_hz) for clip in spots]
    parts = [clip.waveform for clip in spots]
    fitted = headroom.fitted(parts, starts, bed.rate_hz, check, under=bed.waveform)
    return [
        clip if sound is clip.waveform else replace(clip, waveform=sound)
        for clip, sound in zip(spots, fitted, strict=True)
    ]


def middle_distance(events: Sequence[Event]) -> float:
    """Median distance of the hits that have one, in metres; 0 if none has."""
    known = [event.distance_m for event in events if event.distance_m > 0]
    return float(np.median(known)) if known else 0.0


def _rung(
    cluster: Cluster,
    sounds: Sequence[np.ndarray],
    group: int,
    take: int,
    placing: Placing,
    check: Callable[[], None],
) -> list[Placed]:
    """The hits of one cluster by time, each damped by those after it. All are stereo if one is panned."""
    rate_hz = placing.rate_hz
    voice = Voice([_cut(sound, rate_hz, placing.most_samples) for sound in sounds], rate_hz)
    starts = [_sample(event, rate_hz) for event in cluster.events]
    heard = damping.at_once(starts, [event.strength for event in cluster.events], rate_hz)
    numbers = [cluster.numbers[index] for index in heard]
    parts = []
    for index, version in zip(heard, versions(numbers, len(sounds), placing.seed, take), strict=True):
        check()
        event = cluster.events[index]
        level_db = _nearer_db(event, placing.distance_m) - version.softer_db
        gain = max(event.strength, LEAST_STRENGTH) * 10.0 ** (level_db / 20.0)
        part = _cut(voice(version, event.strength), rate_hz, placing.most_samples)
        parts.append(part * np.float32(gain))
    rung = damping.damp(parts, [starts[index] for index in heard], rate_hz, check)
    stereo = any(event.pan for event in cluster.events)
    events = [cluster.events[index] for index in heard]
    return [
        Placed(
            event=event,
            number=number,
            group=group,
            words=cluster.words,
            sound=_panned(sound, event.pan if stereo else None),
        )
        for event, number, sound in zip(events, numbers, rung, strict=True)
    ]


def _sample(event: Event, rate_hz: int) -> int:
    return round(event.time_s * rate_hz)


def _nearer_db(event: Event, middle_m: float) -> float:
    """Louder by 6 dB at half the middle distance, within limits; 0 where distances are not known."""
    if middle_m <= 0 or event.distance_m <= 0:
        return 0.0
    return float(np.clip(20 * np.log10(middle_m / event.distance_m), -DISTANCE_DB, DISTANCE_DB))


def _panned(sound: np.ndarray, pan: float | None) -> np.ndarray:
    """(M,) -> (M, 1), or (M, 2) of constant power, whose middle is in each ear as loud as the mono sound."""
    if pan is None:
        return np.ascontiguousarray(sound[:, None], np.float32)
    angle = (pan + 1.0) * np.pi / 4.0
    sides = np.sqrt(2.0) * np.array([np.cos(angle), np.sin(angle)])
    return np.ascontiguousarray(sound[:, None] * sides.astype(np.float32)[None], np.float32)


def _cut(sound: np.ndarray, rate_hz: int, samples: int) -> np.ndarray:
    return sound if len(sound) <= samples else ends(sound[:samples], rate_hz)


def _mixed(placed: Sequence[Placed], rate_hz: int, most_samples: int) -> tuple[Fraction, np.ndarray]:
    start_s = min(one.event.time_s for one in placed)
    starts = [round((one.event.time_s - start_s) * rate_hz) for one in placed]
    length = max(start + len(one.sound) for start, one in zip(starts, placed, strict=True))
    mix = np.zeros((length, placed[0].sound.shape[1]), np.float32)
    for start, one in zip(starts, placed, strict=True):
        mix[start : start + len(one.sound)] += one.sound
    if length > most_samples:
        mix = mix[:most_samples]
        stop = min(round(FADE_OUT_S * rate_hz), most_samples)
        mix[-stop:] *= np.linspace(1.0, 0.0, stop, dtype=np.float32)[:, None]
    return start_s, mix


def _clip(
    one: Placed, take: int, placing: Placing, start_s: Fraction, sound: np.ndarray, number: int = -1
) -> Clip:
    return Clip(
        take=take,
        layer="spots",
        start_s=start_s,
        rate_hz=placing.rate_hz,
        waveform=np.clip(sound, -1.0, 1.0),  # a kind alone may pass what all together do not
        label=one.words[: limits.NAME],
        event=number,
        group=one.group,
    )
