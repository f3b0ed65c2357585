# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits and cuts that a request wants found in its small grey pictures, before any sound is made.

What was found in the last pictures is remembered under their hash: another seed or prompt for the same shot
looks at nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ... import __version__
from ...addon.wire import limits
from ...addon.wire.errors import WorkerNotInstalled
from ...addon.wire.messages import Event, FoleyRequest, Provenance
from ..control import JobControl, Rendering

SAME = Fraction(3, 4)  # of a picture: a hit found so near to one that was known is that one
NOTHING_SEEN = "No hits were found in the pictures; add them by hand, or lower the threshold."
PART = 0.5  # of the phase "looking", where a model looks at the frames as well


class Looking:
    """Finds, and remembers what it found last."""

    def __init__(self) -> None:
        self._key = b""
        self._found: tuple[tuple[Event, ...], tuple[Fraction, ...]] = ((), ())

    def complete(self, request: FoleyRequest, control: JobControl) -> FoleyRequest:
        """``request`` with what its ``motion`` shows added to its events and cuts, in order of time.

        Raises Cancelled, and WorkerNotInstalled where the environment is older than this search.
        """
        if request.motion is None:
            return request
        part = 1.0 if request.only_looks else PART

        def tell(fraction: float) -> None:
            control.check()
            control.progress("looking", part * fraction)

        tell(0.0)
        key = _key(request.motion, request.motion_rate)
        if key != self._key:
            self._found = _find(request.motion, request.motion_rate, tell)
            self._key = key
        events, cuts = self._found
        strong = (hit for hit in events if hit.strength >= request.least_strength)
        near_s = SAME / request.motion_rate
        tell(1.0)
        return replace(
            request,
            events=_with_found(request.events, strong, near_s, request.duration_s),
            cuts=_with_cuts(request.cuts, cuts, near_s, request.duration_s),
        )


def rendering(request: FoleyRequest, device: str) -> Rendering:
    """The answer to a completed request that asked for no sound: no model was loaded, none is named."""
    story = Provenance(
        bundle=request.bundle,
        bundle_sha256="0" * 64,
        licence="",
        commercial=True,
        mapper=request.mapper,
        version=__version__,
        device=device,
        dtype="uint8",
        steps=1,
        guidance=0.0,
    )
    warnings = () if request.events else (NOTHING_SEEN,)
    return Rendering(clips=(), provenance=story, warnings=warnings, events=request.events, cuts=request.cuts)


def _find(
    motion: np.ndarray, rate: Fraction, tell: Callable[[float], None]
) -> tuple[tuple[Event, ...], tuple[Fraction, ...]]:
    try:
        from ..vision.cuts import find_cuts
        from ..vision.hits import find_hits
    except ImportError as error:
        raise WorkerNotInstalled(
            "Finding hits in pictures needs a part that this worker lacks; set up the worker again.",
            str(error),
        ) from error
    return tuple(find_hits(motion, rate, tell=tell)), tuple(find_cuts(motion, rate))


def _key(motion: np.ndarray, rate: Fraction) -> bytes:
    digest = hashlib.sha256(f"{motion.shape} {rate}".encode())
    digest.update(motion.data)
    return digest.digest()


def _with_found(
    known: tuple[Event, ...], found: Iterable[Event], near_s: Fraction, duration_s: Fraction
) -> tuple[Event, ...]:
    """Known hits stay as they are, but learn where in the picture they are seen."""
    hits = list(known)
    added = []
    for hit in found:
        near = [n for n, other in enumerate(known) if abs(other.time_s - hit.time_s) < near_s]
        if not near:
            added.append(hit)
            continue
        best = min(near, key=lambda n: abs(known[n].time_s - hit.time_s))
        if not hits[best].place:
            hits[best] = replace(hits[best], place=hit.place)
    room = limits.EVENTS - len(hits)
    inside = sorted((hit for hit in added if hit.time_s < duration_s), key=lambda hit: -hit.strength)
    return tuple(sorted(hits + inside[:room], key=lambda hit: hit.time_s))


def _with_cuts(
    known: tuple[Fraction, ...], found: Iterable[Fraction], near_s: Fraction, duration_s: Fraction
) -> tuple[Fraction, ...]:
    new = [cut for cut in found if cut < duration_s and all(abs(cut - one) >= near_s for one in known)]
    return tuple(sorted([*known, *new])[: limits.CUTS])
