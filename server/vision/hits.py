# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits in small grey pictures: things that are suddenly stopped or thrown back, and flashes of light.

The pictures of each shot are run through twice, forward and backward, since a thing that can be followed into
a hit may be lost in it, and the other way round. What both runs saw, at several points of one thing and of
its shadow, is one hit.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...addon.wire import limits
from ...addon.wire.messages import Event
from .camera import STILL, Camera, camera_move
from .cuts import cut_pictures
from .flashes import Flash, find_flashes
from .judging import Sight, odds, signs
from .look import Look, held, look_at
from .moving import moving, shimmer
from .tracks import STEPS, Tracks
from .turns import MIDDLE, Turn, turns

SURE = -1.4  # logarithm of the odds; below it more is told that is false than is missed
_SEEN = 3.0  # evidence of all turns that agree: less is not worth a look
MOST_AT_ONCE = 4  # hits within one picture; more is rain, noise or a crowd
_USUAL_RATE = 30  # pictures a second that are enough; of many more, some are left out
_LEAST = 0.006  # of the picture's short side, in one picture: less is no change of velocity
_REACH = 0.11  # of the short side: how far one thing spans
_SAME = ((1.0, 0.15), (3.0, 0.12))  # (pictures, of the height) within which turns are of one hit
_BESIDE = (1.0, 0.25)  # the same for a thing and its shadow, or its other end
_ALIKE, _EQUAL = 0.8, 0.3  # cosine, share of the evidence: above both, it is another thing that hits as well
_TOGETHER = 1.2  # pictures: what counts towards the hit's time and evidence
_LOUD = 1.2  # picture heights a second, of a thing of a tenth of the height: a strength of 0.63

Tell = Callable[[float], None]


def _untold(fraction: float) -> None:
    """Nobody asks how far it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What may be a hit. time: picture number, fractions too; signs, odds: as ``judging`` tells them; place,
    box: pixels; change: pixels a picture.
    """

    time: float
    signs: list[float]
    odds: float
    place: tuple[float, float]
    box: tuple[float, float]
    change: float


def find_hits(grey: np.ndarray, rate: Fraction, *, tell: Tell = _untold, least: float = 0.0) -> list[Event]:
    """What is seen to hit, in order of time.

    grey: (T, h, w) uint8, every picture of the film; a short side of 224 pixels is best, 144 will do. rate:
    pictures a second. tell: told the fraction done at every picture, may raise to stop. least: strength
    below which hits are left out. Times are seconds from the first picture, to a small part of a picture.
    Takes some milliseconds a picture and the memory of a few. Raises BadInput for what is not a film.
    """
    look = look_at(grey)
    step, phase = held(look)
    stride = step * max(1, round(rate / step / _USUAL_RATE))
    edges = [0, *cut_pictures(look), len(grey)]
    events = [_flash_event(flash, rate) for flash in find_flashes(look, rate) if flash.number not in edges]
    for first, end in itertools.pairwise(edges):
        begin = first + (phase - first) % step
        shot = replace(look, grey=grey[begin:end:stride])

        def tell_all(fraction: float, first: int = first, end: int = end) -> None:
            tell((first + (end - first) * fraction) / len(grey))

        events += [_event(hit, begin / rate, rate / stride, shot) for hit in _hits(shot, tell_all)]
    strongest = sorted((e for e in events if e.strength >= least), key=lambda event: -event.strength)
    return sorted(strongest[: limits.EVENTS], key=lambda event: event.time_s)


def _hits(shot: Look, tell: Tell) -> list[Seen]:
    """Hits of one shot without cuts. What is seen beside a surer one is its shadow, or what it struck."""
    told: dict[int, list[Seen]] = defaultdict(list)  # by the picture that they are in
    for hit in sorted(may_hit(shot, tell), key=lambda one: -one.odds):
        at = math.floor(hit.time)
        around = itertools.chain.from_iterable(told[n] for n in (at - 1, at, at + 1))
        if hit.odds <= SURE or len(told[at]) == MOST_AT_ONCE:
            continue
        if not any(_is_beside(other, hit, shot.height) for other in around):
            told[at].append(hit)
    return [hit for at_once in told.values() for hit in at_once]


def _is_beside(one: Seen, other: Seen, height: float) -> bool:
    pictures, reach = _BESIDE
    return abs(one.time - other.time) < pictures and math.dist(one.place, other.place) / height < reach


def may_hit(shot: Look, tell: Tell = _untold) -> list[Seen]:
    """All that may be a hit in one shot without cuts, however unlikely, in order of time."""
    if len(shot) <= STEPS:
        return []
    noise = shimmer(shot)
    cameras = [STILL]
    found = [*_run(shot, noise, False, tell, cameras)]
    found += _run(shot, noise, True, lambda part: tell(0.5 + part), [])
    sight = Sight(shot, cameras)
    groups = sorted(_gathered(found, shot.height), key=lambda group: group[0].time)
    return [one for group in groups if (one := _joined(group, sight)) is not None]


def _run(shot: Look, noise: np.ndarray, backward: bool, tell: Tell, cameras: list[Camera]) -> Iterator[Turn]:
    """The turns that are seen in one run through the pictures; the camera's moves go to ``cameras``."""
    tracks = Tracks()
    count, last = len(shot), len(shot) - 1
    least, reach = _LEAST * shot.short_side, _REACH * shot.short_side
    before = shot.picture(last if backward else 0)
    for step in range(1, count):
        tell(0.5 * step / count)
        now = shot.picture(last - step if backward else step)
        camera = camera_move(before, now, shot.noise)
        cameras.append(camera)
        followed = tracks.push(before, now, moving(before, now, camera, noise), camera, noise)
        first = step - STEPS + MIDDLE
        first = last - first - 1 if backward else first
        yield from turns(followed, first, least=least, reach=reach, backward=backward)
        before = now


def _gathered(found: list[Turn], height: float) -> list[list[Turn]]:
    """Turns of one hit each, the surest first."""
    groups: list[list[Turn]] = []
    begun: dict[int, list[list[Turn]]] = defaultdict(list)  # by the picture of their first
    for turn in sorted(found, key=lambda one: -one.evidence):
        at = math.floor(turn.time)
        near = (group for n in range(at - 3, at + 4) for group in begun[n])
        group = next((group for group in near if _of_one(group[0], turn, height)), None)
        if group is None:
            group = []
            groups.append(group)
            begun[at].append(group)
        group.append(turn)
    return groups


def _of_one(first: Turn, other: Turn, height: float) -> bool:
    apart = math.dist(first.place, other.place) / height
    away = abs(first.time - other.time)
    if any(away < pictures and apart < reach for pictures, reach in _SAME):
        return True
    if away >= _BESIDE[0] or apart >= _BESIDE[1]:
        return False
    sizes = float(np.hypot(*first.change) * np.hypot(*other.change))
    alike = float(first.change @ other.change) > _ALIKE * sizes
    return not (alike and other.evidence > _EQUAL * first.evidence)


def _joined(group: list[Turn], sight: Sight) -> Seen | None:
    """One hit of its turns, None for what is hardly seen.

    Those that turn the other way shortly after are the followers' echo.
    """
    best = group[0]
    same = [t for t in group if abs(t.time - best.time) < _TOGETHER and float(t.change @ best.change) > 0]
    weights = np.array([turn.evidence for turn in same])
    if weights.sum() < _SEEN:
        return None
    time = float(np.average([turn.time for turn in same], weights=weights))
    found = signs(same, time, sight)
    return Seen(time, found, odds(found), best.place, best.box, float(np.hypot(*best.change)))


def _event(hit: Seen, start_s: Fraction, rate: Fraction, shot: Look) -> Event:
    """rate: of the pictures that were looked at."""
    height = shot.height
    width = height * shot.grey.shape[2] / shot.grey.shape[1]
    across, down = min(1.0, hit.place[0] / width), min(1.0, hit.place[1] / height)
    size = min(1.0, max(hit.box) / height)
    speed = hit.change / height * float(rate) * (size / 0.1) ** 0.3
    return Event(
        time_s=_seconds(start_s + Fraction(hit.time) / rate),
        kind="hit",
        strength=1.0 - math.exp(-speed / _LOUD),
        pan=2.0 * across - 1.0,
        place=(across, down, size),
    )


def _flash_event(flash: Flash, rate: Fraction) -> Event:
    across, down = flash.place
    return Event(
        time_s=_seconds(flash.number / rate),
        kind="flash",
        strength=flash.rise,
        pan=2.0 * across - 1.0,
        place=(across, down, flash.size),
    )


def _seconds(time_s: Fraction) -> Fraction:
    """Short enough for the wire, and never before the start."""
    return max(Fraction(0), time_s).limit_denominator(1_000_000)
