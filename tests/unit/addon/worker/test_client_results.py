# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a result: believed, refused, delivered."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from footfall.addon.wire.errors import SaveError
from footfall.addon.wire.messages import Accepted, Failed, Pong, Result
from footfall.addon.worker.reports import Delivered
from footfall.tests.fakes.faulty_wire import Rig, TickEngine, answer, request

JOB, OTHER = (f"{n:032x}" for n in (1, 2))


# S11: a worker that cannot be believed


def bad(**changes: Any) -> Any:
    return lambda: TickEngine(make=lambda job_id, asked: answer(job_id, asked, **changes))


def long(samples: int) -> Any:
    import numpy as np

    return bad(waveform=np.zeros((4_000 + samples, 1), "<f4"))


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(bad(rate_hz=44_100), id="rate"),
        pytest.param(long(8_000 // 60 + 1), id="a frame too long"),
        pytest.param(long(-8_000 // 60 - 1), id="a frame too short"),
        pytest.param(bad(take=3), id="take"),
        pytest.param(bad(layer="spots"), id="layer"),
        pytest.param(bad(start_s=Fraction(1, 4)), id="start"),
    ],
)
def test_a_result_that_does_not_fit_is_no_result(clock: Any, engine: Any) -> None:
    delivered: list[str] = []
    rig = Rig(clock, engine=engine, deliver=lambda job_id, result: delivered.append(job_id))
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    (failed,) = rig.ends(JOB)
    assert isinstance(failed, Failed)
    assert failed.code == "malformed"
    assert "does not fit the shot" in failed.sentence
    assert failed.detail
    assert not delivered
    assert len(rig.worker.session._endings) == 0, "the worker need not keep it"


@pytest.mark.parametrize("samples", [1, -1, 8_000 // 60, -8_000 // 60 + 1])
def test_a_length_within_a_frame_is_taken(clock: Any, samples: int) -> None:
    rig = Rig(clock, engine=long(samples))
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)


def test_fewer_takes_than_asked_for_are_no_result(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(make=lambda job_id, asked: answer(job_id, request())))
    rig.submit(JOB, request(takes=2))
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Failed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5])
def test_samples_that_are_no_sound_end_the_job(clock: Any, value: float) -> None:
    def make(job_id: str, asked: Any) -> Result:
        made = answer(job_id, asked)
        waveform = made.clips[0].waveform.copy()
        waveform[7] = value
        object.__setattr__(made.clips[0], "waveform", waveform)
        return made

    rig = Rig(clock, engine=lambda: TickEngine(make=make))
    rig.submit(JOB)
    rig.submit(OTHER)
    rig.until(lambda: rig.ends(JOB))
    assert rig.ends(JOB)[0].code == "limit"
    rig.until(lambda: rig.ends(OTHER))
    assert len(rig.workers) == 1


def test_a_message_for_the_other_direction_is_ignored(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.of(Accepted, JOB))
    rig.worker.session.outbox.put(Pong(number=7, state="busy", steps_done=2**53))
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)


# What becomes of a result


def test_what_deliver_returns_travels_with_the_result(clock: Any) -> None:
    rig = Rig(clock, deliver=lambda job_id, result: {"stored": job_id})
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    (end,) = rig.ends(JOB)
    assert isinstance(end, Delivered)
    assert end.stored == {"stored": JOB}
    assert end.problem is None


@pytest.mark.parametrize("error", [SaveError("The disk is full; make room."), OSError(28, "No space left")])
def test_a_result_that_cannot_be_stored_is_not_lost(clock: Any, error: Exception) -> None:
    def deliver(job_id: str, result: Result) -> None:
        raise error

    rig = Rig(clock, deliver=deliver)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    (end,) = rig.ends(JOB)
    assert isinstance(end, Delivered)
    assert end.problem is not None
    assert end.result.clips[0].waveform.any()


def test_the_same_job_is_taken_once(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.submit(JOB)
    rig.run(2.0)
    assert [type(end) for end in rig.ends(JOB)] == [Result, Failed]
    assert rig.runs(JOB) == 1
