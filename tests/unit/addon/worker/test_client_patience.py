# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that hang or are busy, owners that stall, and clocks that jump."""

from __future__ import annotations

from typing import Any

import pytest
from footfall.addon.wire.messages import Accepted, CancelReply, Progress, Result
from footfall.addon.worker.conductor import SOUND_WAITING
from footfall.addon.worker.reports import WorkerStatus
from footfall.tests.fakes.faulty_wire import Rig, TickEngine, request

JOB, OTHER = (f"{n:032x}" for n in (1, 2))


# R4: a worker that hangs, R5: one that is busy


def test_a_hung_worker_is_ended_at_the_deadline(clock: Any) -> None:
    rig = Rig(clock, step_deadline_s=20.0)
    rig.before_spawn = lambda worker: setattr(worker.engine, "stuck", len(rig.workers) == 1)
    rig.submit(JOB)
    rig.submit(OTHER, request(seed=2))
    began = clock()
    rig.until(lambda: rig.ends(JOB))
    assert clock() - began == pytest.approx(25.0, abs=1.0), "the deadline, then five seconds"
    assert rig.ends(JOB)[0].code == "timeout"
    assert not rig.of(CancelReply), "the user did not cancel"
    rig.until(lambda: rig.ends(OTHER))
    assert isinstance(rig.ends(OTHER)[0], Result)
    assert rig.workers[0].code is not None
    assert len(rig.workers) == 2


def test_a_hung_job_that_can_be_stopped_costs_no_worker(clock: Any) -> None:
    rig = Rig(clock, step_deadline_s=20.0)
    rig.before_spawn = lambda worker: setattr(worker.engine, "stuck", True)
    rig.submit(JOB)
    rig.run(20.5)
    rig.worker.engine.stuck = False
    rig.until(lambda: rig.ends(JOB))
    assert rig.ends(JOB)[0].code == "timeout"
    assert len(rig.workers) == 1


def test_slow_progress_is_no_hang(clock: Any) -> None:
    rig = Rig(clock, step_deadline_s=20.0)
    rig.submit(JOB)
    engine = rig.until(lambda: rig.of(Accepted, JOB) and rig.worker.engine)
    for _ in range(3):  # one step in nineteen seconds
        engine.stuck = True
        rig.run(19.0)
        engine.stuck = False
        rig.step()
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)


def test_a_busy_worker_is_left_alone(clock: Any) -> None:
    """It answers nothing for 100 s, as when a library holds Python's lock: no restart, and it says busy."""
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.of(Progress, JOB))
    turn, rig.worker.turn = rig.worker.turn, lambda: None  # type: ignore[method-assign]
    rig.run(100.0)
    assert rig.conductor.status.state == "busy"
    assert "left alone" in rig.conductor.status.sentence
    assert rig.conductor.status.silent_s > 90
    rig.worker.turn = turn  # type: ignore[method-assign]
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)
    assert len(rig.workers) == 1
    assert not rig.worker.rungs


# R12: an owner that does not ask


def test_an_owner_that_is_stalled_loses_nothing(clock: Any) -> None:
    """Nothing is drained for 300 s while twenty jobs run: all results arrive in order, the queue is small."""
    rig = Rig(clock, engine=lambda: TickEngine(ticks=100))
    jobs = [f"{number + 1:032x}" for number in range(20)]
    for number, job_id in enumerate(jobs):
        rig.submit(job_id, request(seed=number))
    rig.run(300.0, drain=False)
    assert len(rig.queue) <= 20 * 3 + 64
    assert len(rig.workers) == 1
    events = rig.queue.take()
    assert [event.job_id for event in events if isinstance(event, Result)] == jobs
    for job_id in jobs:
        kinds = [type(e) for e in events if not isinstance(e, WorkerStatus) and e.job_id == job_id]
        assert kinds == [Accepted, Progress, Result], "progress is merged, and comes before the result"
    assert rig.queue.bytes_waiting == 0


def test_no_job_is_sent_while_too_much_sound_waits(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("footfall.addon.worker.conductor.SOUND_WAITING", 10_000)
    assert SOUND_WAITING > 2**29
    rig = Rig(clock)
    for number, job_id in enumerate((JOB, OTHER)):
        rig.submit(job_id, request(seed=number))
    rig.run(30.0, drain=False)
    assert rig.runs(OTHER) == 0
    rig.until(lambda: rig.ends(OTHER))


# R14: suspend, and clocks that jump


@pytest.mark.parametrize("jump", [3600.0, 86_400.0])
def test_a_jump_of_the_clock_is_no_death(clock: Any, jump: float) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=100))
    rig.submit(JOB)
    rig.until(lambda: rig.of(Progress, JOB))
    for _ in range(3):
        clock.advance(jump)
        rig.run(1.0)
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)
    assert len(rig.workers) == 1
    assert "failed" not in rig.states()
    assert "restarting" not in rig.states()


def test_a_jump_while_idle_asks_once_before_judging(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.run(1.0)
    pings = [kind for way, kind in rig.wire.sent if kind == "Ping"]
    clock.advance(3600.0)
    rig.step()
    assert rig.conductor.status.state == "ready"
    rig.run(0.2)
    assert len([kind for way, kind in rig.wire.sent if kind == "Ping"]) > len(pings)
    assert len(rig.workers) == 1


def test_the_wall_clock_is_never_asked(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wall() -> float:
        raise AssertionError("time.time was asked")

    monkeypatch.setattr("time.time", wall)
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
