# SPDX-License-Identifier: GPL-3.0-or-later
"""What small grey pictures add to a request: hits, cuts, and nothing twice. No model is loaded for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.addon.wire.messages import Event, FoleyRequest
from footfall.server.making import looking
from footfall.server.making.looking import Looking
from footfall.server.worker.outcome import check_rendering
from footfall.server.worker.progress import MOST, Overall
from footfall.tests.fakes.moving_shapes import bouncing_ball, ground

from ..conftest import Recorder, shot

if TYPE_CHECKING:
    from footfall.server.making.pipeline import FoleyPipeline

RATE = Fraction(24)
FILM, TRUTH = bouncing_ball()


def asked(**changes: object) -> FoleyRequest:
    values = {"motion": FILM, "motion_rate": RATE, "duration_s": Fraction(60, 24), **changes}
    return shot(**values)


def told(request: FoleyRequest) -> list[float]:
    return [float(event.time_s * RATE) for event in request.events]


def test_found_hits_join_the_known_ones() -> None:
    early = Event(time_s=Fraction(1, 24), words="creak")
    same = Event(time_s=Fraction(round(10 * TRUTH[0]) + 5, 240), words="wood", strength=0.3)
    request = Looking().complete(asked(events=(early, same)), Recorder())
    assert told(request) == sorted(told(request))
    assert request.events[0] == early
    assert request.events[1] == replace(same, place=request.events[1].place)
    assert len(request.events[1].place) == 3
    assert told(request)[2:] == pytest.approx(TRUTH[1:], abs=0.5)


def test_without_pictures_a_request_stays_as_it_is() -> None:
    request = shot(events=(Event(time_s=Fraction(1, 5)),), cuts=(Fraction(1, 4),))
    assert Looking().complete(request, Recorder()) is request


def test_cuts_join_the_known_ones() -> None:
    film = np.concatenate([np.repeat(ground(n)[None].astype(np.uint8), 12, 0) for n in range(3)])
    known = (Fraction(12, 24) + Fraction(1, 100),)
    request = Looking().complete(asked(motion=film, cuts=known, duration_s=Fraction(23, 24)), Recorder())
    assert request.cuts == known  # the second lies behind the end
    request = Looking().complete(asked(motion=film, cuts=known), Recorder())
    assert request.cuts == (*known, Fraction(1))


def test_weak_ones_and_those_after_the_end_are_left_out() -> None:
    found = Looking().complete(asked(), Recorder()).events
    strong = Looking().complete(asked(least_strength=found[0].strength), Recorder()).events
    assert strong == found[:1]
    short = Looking().complete(asked(duration_s=Fraction(20, 24)), Recorder()).events
    assert short == found[:1]


def test_the_same_pictures_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = Looking()
    first = eyes.complete(asked(), Recorder())
    monkeypatch.setattr(looking, "_find", lambda *_: pytest.fail("looked again"))
    assert eyes.complete(asked(seed=7), Recorder()).events == first.events


def test_looking_can_be_stopped_and_leaves_nothing() -> None:
    eyes = Looking()
    with pytest.raises(Cancelled):
        eyes.complete(asked(), Recorder(stop_at=20))
    assert told(eyes.complete(asked(), Recorder())) == pytest.approx(TRUTH, abs=0.5)


def test_only_looking_loads_no_model(make_pipeline: Callable[[], FoleyPipeline]) -> None:
    pipeline = make_pipeline()
    pipeline._load = lambda *_: pytest.fail("a model was loaded")  # type: ignore[method-assign]
    request = asked(
        layers=(), bundle="not here", frames=np.empty((0, 8, 8, 3), np.uint8), times_s=np.empty(0)
    )
    recorder = Recorder()
    done = check_rendering(pipeline.run(request, recorder), request)
    assert done.clips == ()
    assert [float(event.time_s * RATE) for event in done.events] == pytest.approx(TRUTH, abs=0.5)
    assert {phase for phase, _ in recorder.told} == {"looking"}
    overall = Overall(only_looks=True)
    for phase, fraction in recorder.told:
        overall.report(phase, fraction, 0.0)
    assert overall.fraction == MOST


def test_nothing_seen_is_told(make_pipeline: Callable[[], FoleyPipeline]) -> None:
    request = asked(layers=(), motion=np.zeros((20, 16, 16), np.uint8))
    done = check_rendering(make_pipeline().run(request, Recorder()), request)
    assert done.warnings == (looking.NOTHING_SEEN,)


def test_sounds_come_with_the_hits_that_were_used(make_pipeline: Callable[[], FoleyPipeline]) -> None:
    request = asked(layers=("bed", "spots"), bundle="tiny")
    done = check_rendering(make_pipeline().run(request, Recorder()), request)
    assert [float(event.time_s * RATE) for event in done.events] == pytest.approx(TRUTH, abs=0.5)
    assert {clip.layer for clip in done.clips} == {"bed", "spots"}
