# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks between frames, for hits whose time whole frames leave in doubt; one look serves all that need it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from ...hits import arcs
from ...hits.arcs import Meeting, Sample
from .sources import Now

Looking = Generator[tuple[float, ...], list[np.ndarray | None], Meeting]


@dataclass(slots=True, eq=False)
class Doubt:
    """A hit to look at: thing ``body`` near ``frame``, its path's samples, and the place that is followed."""

    body: int
    frame: int
    met: Meeting
    early: list[Sample]
    late: list[Sample]
    arm: np.ndarray


def settle(
    doubts: list[Doubt],
    go: Callable[[int, float], Now],
    where: Callable[[Now, int], np.ndarray | None],
    most: int,
) -> Generator[None, None, list[Meeting]]:
    """Look at each of ``doubts``, those first that come first in the list; yields before each look.

    go: shows the scene at a frame and a fraction; where: (4, 4) of a thing there; most: looks in all.
    Returns the meetings in the same order; those that no look was left for are as they were.
    """
    running: dict[int, Looking] = {}
    wanted: dict[int, tuple[float, ...]] = {}
    settled = [one.met for one in doubts]
    for number, one in enumerate(doubts):
        looking = arcs.narrow(list(one.early), list(one.late), one.met)
        _go_on(looking, None, number, running, wanted, settled)
    while wanted and most > 0:
        moments = _in_order(doubts, wanted, most)
        places: dict[tuple[int, float], np.ndarray | None] = {}
        for moment, numbers in moments:
            yield
            most -= 1
            now = go(math.floor(moment), moment - math.floor(moment))
            for number in numbers:
                matrix = where(now, doubts[number].body)
                places[number, moment] = (
                    None if matrix is None else matrix[:3, :3] @ doubts[number].arm + matrix[:3, 3]
                )
        asked = list(wanted.items())
        wanted = {}
        for number, times in asked:
            answers = [places.get((number, doubts[number].frame + time)) for time in times]
            if any((number, doubts[number].frame + time) in places for time in times):
                _go_on(running[number], answers, number, running, wanted, settled)
    return settled


def _in_order(
    doubts: list[Doubt], wanted: dict[int, tuple[float, ...]], most: int
) -> Iterator[tuple[float, list[int]]]:
    """(frame, fraction included; whose look it is) as time goes on, at most ``most``."""
    moments: dict[float, list[int]] = {}
    for number, times in wanted.items():
        for time in times:
            moment = doubts[number].frame + time
            if moment in moments:
                moments[moment].append(number)
            elif len(moments) < most:
                moments[moment] = [number]
    yield from sorted(moments.items())


def _go_on(
    looking: Looking,
    answers: list[np.ndarray | None] | None,
    number: int,
    running: dict[int, Looking],
    wanted: dict[int, tuple[float, ...]],
    settled: list[Meeting],
) -> None:
    try:
        wanted[number] = next(looking) if answers is None else looking.send(answers)
        running[number] = looking
    except StopIteration as ended:
        settled[number] = ended.value
        running.pop(number, None)
