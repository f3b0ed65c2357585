# SPDX-License-Identifier: GPL-3.0-or-later
"""Overall progress of one job out of the fractions of its phases. Pure; time is passed in."""

from __future__ import annotations

from ...addon.wire.messages import PHASES

# Share of a usual job; sampling is most of it. They add up to 1.
WEIGHTS: dict[str, float] = {
    "queued": 0.0,
    "loading": 0.08,
    "looking": 0.10,
    "mapping": 0.04,
    "sampling": 0.62,
    "decoding": 0.12,
    "finishing": 0.04,
}
_ONLY_LOOKING = {name: float(name == "looking") for name in WEIGHTS}
MOST = 0.99  # 1 is the result itself
_TELLING_S = 0.25  # an estimate from less is a guess
_TELLING_FRACTION = 0.02


class Overall:
    """Never runs backwards, whatever order the phases come in, and never reaches 1.

    Phases may alternate (bed, then spots): each counts with the furthest that it has reached. A phase that
    was passed over, as loading is when the weights are there, counts as done once a later one has begun.
    only_looks: a job that is all looking.
    """

    def __init__(self, only_looks: bool = False) -> None:
        self._weights = _ONLY_LOOKING if only_looks else WEIGHTS
        self._reached: dict[str, float] = {}
        self._fraction = 0.0
        self._sampling_since: float | None = None
        self._sampling_from = 0.0

    @property
    def fraction(self) -> float:
        """0..MOST"""
        return self._fraction

    def report(self, phase: str, fraction: float, now: float) -> None:
        """``phase`` of PHASES has come as far as ``fraction``, which is pulled inside 0..1.

        Raises ValueError for an unknown phase.
        """
        if phase not in WEIGHTS:
            raise ValueError(f"{phase!r} is no phase of a job: {', '.join(PHASES)}")
        inside = min(max(fraction, 0.0), 1.0) if fraction == fraction else 0.0
        self._reached[phase] = max(self._reached.get(phase, 0.0), inside)
        furthest = max(PHASES.index(name) for name in self._reached)
        done = sum(
            weight * self._reached.get(name, 1.0 if PHASES.index(name) < furthest else 0.0)
            for name, weight in self._weights.items()
        )
        self._fraction = max(self._fraction, min(done, MOST))
        if phase == "sampling" and self._sampling_since is None:
            self._sampling_since, self._sampling_from = now, self._fraction

    def left_s(self, now: float) -> float:
        """Seconds to the result, or -1 while there is nothing to judge by.

        Judged from sampling on: before, the pace says nothing, because loading may take none or all of the
        time.
        """
        if self._sampling_since is None:
            return -1.0
        elapsed_s = now - self._sampling_since
        gained = self._fraction - self._sampling_from
        if elapsed_s < _TELLING_S or gained < _TELLING_FRACTION:
            return -1.0
        return elapsed_s * (1.0 - self._fraction) / gained
