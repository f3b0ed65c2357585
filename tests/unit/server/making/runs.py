# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a pipeline, and when two are the same."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from footfall.addon.wire.messages import Event, FoleyRequest
from footfall.server.control import Rendering
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.worker.outcome import check_rendering

from ..conftest import Recorder

if TYPE_CHECKING:
    pass

Make = Callable[[], FoleyPipeline]

HITS = (
    Event(time_s=Fraction(1, 7), words="a knock on wood", strength=0.5),
    Event(time_s=Fraction(1, 3), words="a knock on wood", pan=-0.5),
    Event(time_s=Fraction(2, 5), words="glass"),
)


def run(pipeline: FoleyPipeline, request: FoleyRequest) -> Rendering:
    return check_rendering(pipeline.run(request, Recorder()), request)


def same(one: Rendering, other: Rendering) -> bool:
    """To the bit."""
    return len(one.clips) == len(other.clips) and all(
        np.array_equal(left.waveform, right.waveform) and left.start_s == right.start_s
        for left, right in zip(one.clips, other.clips, strict=True)
    )
