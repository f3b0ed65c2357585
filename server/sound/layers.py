# SPDX-License-Identifier: GPL-3.0-or-later
"""The spots layer: one short sound for all hits of a kind, cut to its attack and placed on each of them.

Hits with the same words share a sound, with small natural variation. The attack is the first sample of what
is placed, level follows the strength of the hit, and tails ring on. Pure functions over numpy arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import soxr

from ...addon.wire import limits
from ...addon.wire.messages import Clip, Event
from .finishing import limit, loudness, resample
from .onsets import attack

SPOT_S = Fraction(64, 25)  # what is generated for one hit: 2.56 s, a quarter of the model's own length
LEAST_STRENGTH = 0.03  # about -30 dB: a hit is never silent
ATTACK_WITHIN = 0.6  # of the sound: what begins later would have no tail
TAIL_DB = -60.0  # what is quieter than this against the peak is no longer a tail
HOLD_S = 0.05
DECAY_DB_S = 40.0  # 60 dB in a second and a half, as a large bell or a live room
LASTING = ("slide", "scrape", "roll")  # kinds of event that go on instead of dying away
FADE_IN_S = 0.0005
FADE_OUT_S = 0.05
VARIATIONS = 5
RATE_SPREAD = 0.03  # heard as the same thing hit elsewhere
LEVEL_SPREAD_DB = 1.5
DISTANCE_DB = 6.0  # at most louder or softer by this, against the middle of all distances
MOST_GAIN_DB = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Hits that share a sound. ``numbers``: their places in the request, so that variation is repeatable."""

    words: str
    events: tuple[Event, ...]
    numbers: tuple[int, ...]

    @property
    def dies_away(self) -> bool:
        return all(event.kind not in LASTING for event in self.events)

    @property
    def strongest(self) -> Event:
        return max(self.events, key=lambda event: event.strength)


def group_events(events: Sequence[Event], duration_s: Fraction, most: int) -> tuple[Group, ...]:
    """Hits within the shot by their words (without words: by kind), the largest groups first.

    Beyond ``most`` groups the smallest are heard together, under the words of the largest of them.
    """
    found: dict[str, list[int]] = {}
    for number, event in enumerate(events):
        if event.time_s <= duration_s:
            found.setdefault(" ".join((event.words or event.kind).lower().split()), []).append(number)
    ordered = sorted(found.values(), key=lambda numbers: (-len(numbers), numbers[0]))
    rest = sorted(number for numbers in ordered[most - 1 :] for number in numbers)
    if len(ordered) > most:
        first = ordered[most - 1][0]
        ordered = [*ordered[: most - 1], [first, *(number for number in rest if number != first)]]
    return tuple(
        Group(
            words=events[numbers[0]].words or events[numbers[0]].kind,
            events=tuple(events[number] for number in numbers),
            numbers=tuple(numbers),
        )
        for numbers in ordered
    )


def spot(
    waveform: np.ndarray, rate_in_hz: int, rate_hz: int, loudness_lufs: float, *, dies_away: bool = True
) -> np.ndarray:
    """(N,) at ``rate_in_hz`` -> (M,) float32 at ``rate_hz`` that begins with its attack and ends with its
    tail. ``dies_away``: what a generator goes on humming behind a hit is faded like a natural tail.
    """
    mono = np.nan_to_num(np.asarray(waveform, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    sound = resample(mono[:, None], rate_in_hz, rate_hz)[:, 0]
    sound = sound[attack(sound[: round(len(sound) * ATTACK_WITHIN)], rate_hz) :]
    sound = _dying(sound, rate_hz) if dies_away else sound
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return np.zeros(max(1, len(sound)), np.float32)
    heard = np.flatnonzero(np.abs(sound) > peak * 10.0 ** (TAIL_DB / 20.0))
    sound = _ends(sound[: int(heard[-1]) + 1], rate_hz)
    measured = loudness(sound[:, None], rate_hz)
    if np.isfinite(measured):
        sound = sound * np.float32(10.0 ** (min(loudness_lufs - measured, MOST_GAIN_DB) / 20.0))
    return limit(sound[:, None], rate_hz)[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How hits become clips. ``one_each``: a clip for each hit, or all of a group mixed into one.

    ``most_samples``: the longest clip; a tail that would outlast that is faded out.
    ``distance_m``: the middle of all hits' distances.
    """

    rate_hz: int
    seed: int
    one_each: bool
    most_samples: int
    distance_m: float = 0.0


def clips(group: Group, sound: np.ndarray, take: int, placing: Placing) -> list[Clip]:
    """The sound (M,) on every hit of the group. A clip starts exactly at its hit, a mix at the first hit."""
    rate_hz = placing.rate_hz
    versions = [_cut(one, rate_hz, placing.most_samples) for one in _variations(sound, rate_hz)]
    placed = list(_placed(group, versions, take, placing))
    if placing.one_each:
        parts = [(event.time_s, limit(part, rate_hz)) for event, part in placed]
    else:
        parts = [_mixed(placed, rate_hz, placing.most_samples)]
    label = group.words[: limits.NAME]
    return [
        Clip(take=take, layer="spots", start_s=start_s, rate_hz=rate_hz, waveform=part, label=label)
        for start_s, part in parts
    ]


def middle_distance(events: Sequence[Event]) -> float:
    """Median distance of the hits that have one, in metres; 0 if none has."""
    known = [event.distance_m for event in events if event.distance_m > 0]
    return float(np.median(known)) if known else 0.0


def span_s(group: Group) -> Fraction:
    """Seconds from the group's first hit to the end of its last one's tail, at most."""
    times = [event.time_s for event in group.events]
    return max(times) - min(times) + SPOT_S


def _dying(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """A natural tail falls faster than this by itself and hardly changes; a noise floor is taken away."""
    after_s = np.maximum(np.arange(len(sound)) / rate_hz - HOLD_S, 0.0)
    return sound * (10.0 ** (-DECAY_DB_S * after_s / 20.0)).astype(np.float32)


def _ends(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """A fade too short to soften the attack, and one long enough to end a tail."""
    start = min(round(FADE_IN_S * rate_hz), len(sound) // 4)
    stop = min(round(FADE_OUT_S * rate_hz), len(sound) // 2)
    shaped = sound.copy()
    if start:
        shaped[:start] *= np.linspace(0.0, 1.0, start, endpoint=False, dtype=np.float32)
    if stop:
        shaped[-stop:] *= np.linspace(1.0, 0.0, stop, dtype=np.float32)
    return shaped


def _variations(sound: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    """The sound itself, and the same a little higher and lower."""
    found = [sound]
    for index in range(1, VARIATIONS):
        share = RATE_SPREAD * ((index + 1) // 2) / (VARIATIONS // 2) * (1 if index % 2 else -1)
        found.append(np.asarray(soxr.resample(sound, rate_hz, rate_hz * (1.0 + share)), np.float32))
    return [one for one in found if len(one)]


def _placed(
    group: Group, versions: list[np.ndarray], take: int, placing: Placing
) -> Iterator[tuple[Event, np.ndarray]]:
    """Each hit with its own (M, C) sound. C is 2 for all if one of them is panned, else 1."""
    stereo = any(event.pan for event in group.events)
    for place, (number, event) in enumerate(zip(group.numbers, group.events, strict=True)):
        digest = hashlib.sha256(f"spot {placing.seed} {take} {number}".encode()).digest()
        which = digest[0] % len(versions) if place else 0
        softer_db = LEVEL_SPREAD_DB * digest[1] / 255.0 if place else 0.0
        level_db = _nearer_db(event, placing.distance_m) - softer_db
        gain = max(event.strength, LEAST_STRENGTH) * 10.0 ** (level_db / 20.0)
        yield event, _panned(versions[which] * np.float32(gain), event.pan if stereo else None)


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
    return sound if len(sound) <= samples else _ends(sound[:samples], rate_hz)


def _mixed(
    placed: list[tuple[Event, np.ndarray]], rate_hz: int, most_samples: int
) -> tuple[Fraction, np.ndarray]:
    start_s = min(event.time_s for event, _ in placed)
    starts = [round((event.time_s - start_s) * rate_hz) for event, _ in placed]
    length = max(start + len(part) for start, (_, part) in zip(starts, placed, strict=True))
    mix = np.zeros((length, placed[0][1].shape[1]), np.float32)
    for start, (_, part) in zip(starts, placed, strict=True):
        mix[start : start + len(part)] += part
    if length > most_samples:
        mix = mix[:most_samples]
        stop = min(round(FADE_OUT_S * rate_hz), most_samples)
        mix[-stop:] *= np.linspace(1.0, 0.0, stop, dtype=np.float32)[:, None]
    return start_s, limit(mix, rate_hz)
