# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts, deadlines, stalls and clocks that jump, on a clock that only moves when told."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
from footfall.addon.wire.errors import SaveError, VersionMismatch, WorkerFailedToStart, WorkerNotInstalled
from footfall.addon.wire.exits import WorkerExit
from footfall.addon.wire.messages import (
    PROTOCOL_MAJOR,
    Accepted,
    CancelReply,
    Failed,
    Pong,
    Progress,
    Ready,
    Result,
)
from footfall.addon.worker.conductor import SOUND_WAITING
from footfall.addon.worker.reports import Delivered, WorkerStatus
from footfall.tests.fakes.faulty_wire import Rig, TickEngine, answer, request

JOB, OTHER, THIRD = (f"{n:032x}" for n in (1, 2, 3))


def states(rig: Rig) -> list[str]:
    found = [event.state for event in rig.of(WorkerStatus)]
    return [state for index, state in enumerate(found) if index == 0 or state != found[index - 1]]


# R6: a crash loop


def dies(rig: Rig) -> None:
    def code(worker: Any) -> None:
        worker.code = 1

    rig.before_spawn = code


def test_a_worker_that_dies_at_start_is_started_three_times(clock: Any) -> None:
    rig = Rig(clock)
    starts: list[float] = []

    def note(worker: Any) -> None:
        starts.append(clock())
        worker.code = 1

    rig.before_spawn = note
    rig.submit(JOB)
    rig.run(60.0)
    assert len(starts) == 3
    waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert waits == pytest.approx([1.0, 2.0], abs=0.2)
    (failed,) = rig.ends(JOB)
    assert failed.code == "worker_start"
    assert "The worker ended with 1." in failed.sentence
    assert [event.state for event in rig.of(WorkerStatus)].count("failed") == 1, "one clear error"
    assert all(worker.closed for worker in rig.workers)


def test_while_it_is_given_up_each_job_is_told_at_once_and_a_retry_begins_anew(clock: Any) -> None:
    rig = Rig(clock)
    dies(rig)
    rig.submit(JOB)
    rig.run(30.0)
    rig.submit(OTHER)
    rig.run(0.2)
    assert rig.ends(OTHER)[0].code == "worker_start"
    assert len(rig.workers) == 3, "nothing is started behind the user's back"
    rig.conductor.restart(clock())
    rig.run(30.0)
    assert len(rig.workers) == 6, "a manual retry resets the count"
    rig.before_spawn = lambda worker: None
    rig.conductor.restart(clock())
    rig.submit(THIRD)
    rig.until(lambda: rig.ends(THIRD))
    assert isinstance(rig.ends(THIRD)[0], Result)
    assert rig.conductor.status.state == "ready"
    assert rig.conductor.status.sentence == ""


def test_a_finished_job_clears_the_count(clock: Any) -> None:
    rig = Rig(clock)
    for number in range(6):
        job_id = f"{number + 10:032x}"
        rig.submit(job_id, request(seed=number))
        rig.until(lambda job_id=job_id: rig.ends(job_id))
        assert isinstance(rig.ends(job_id)[0], Result)
        rig.worker.code = -11
        rig.run(0.2)
    assert len(rig.workers) == 6


@pytest.mark.parametrize("code", [WorkerExit.NOT_INSTALLED, WorkerExit.WRONG_PYTHON])
def test_what_cannot_get_better_is_not_tried_again(clock: Any, code: int) -> None:
    rig = Rig(clock)

    def ends(worker: Any) -> None:
        worker.code = int(code)

    rig.before_spawn = ends
    rig.submit(JOB)
    rig.run(10.0)
    assert len(rig.workers) == 1
    assert rig.ends(JOB)[0].code == "worker_not_installed"


@pytest.mark.parametrize(
    ("error", "starts"),
    [
        (WorkerNotInstalled("It is not set up; click Set Up Worker."), 1),
        (WorkerFailedToStart("No."), 3),
    ],
)
def test_a_worker_that_cannot_be_spawned(clock: Any, error: Exception, starts: int) -> None:
    tried = []

    def spawn() -> Any:
        tried.append(clock())
        raise error

    rig = Rig(clock)
    rig.conductor.worker._spawn = spawn
    rig.submit(JOB)
    rig.run(30.0)
    assert len(tried) == starts
    assert rig.ends(JOB)[0].sentence == str(error)


def test_a_worker_that_says_no_address_is_ended(clock: Any) -> None:
    rig = Rig(clock)

    def mute(worker: Any) -> None:
        worker.shown = False

    rig.before_spawn = mute
    rig.submit(JOB)
    rig.run(59.0)
    assert len(rig.workers) == 1
    assert not rig.worker.rungs
    rig.run(2.0)
    assert rig.workers[0].code == -9
    rig.run(300.0)
    assert len(rig.workers) == 3
    assert "did not start in time" in rig.ends(JOB)[0].sentence


def test_a_worker_that_never_gets_ready_is_ended(clock: Any) -> None:
    rig = Rig(clock, fault=lambda way, count, kind: () if kind == "Ready" else (0.0,))
    rig.submit(JOB)
    rig.run(299.0)
    assert not rig.worker.rungs
    rig.run(1000.0)
    assert "did not become ready" in rig.ends(JOB)[0].sentence


@pytest.mark.parametrize("where", ["address", "ready"])
def test_another_protocol_is_refused_in_a_sentence(clock: Any, where: str) -> None:
    rig = Rig(clock)

    def foreign(worker: Any) -> None:
        if where == "address":
            own = worker.read_address()
            worker.read_address = lambda: type(own)(
                endpoint=own.endpoint, pid=own.pid, major=9, minor=0, version="9.9"
            )
        else:
            real = worker.session.tick

            def tick() -> None:
                real()
                waiting = [worker.session.outbox.take() for _ in range(len(worker.session.outbox))]
                for message in waiting:
                    other = Ready(major=9, version="9.9", device="")
                    worker.session.outbox.put(other if isinstance(message, Ready) else message)

            worker.session.tick = tick

    rig.before_spawn = foreign
    rig.submit(JOB)
    rig.run(10.0)
    (failed,) = rig.ends(JOB)
    assert failed.code == VersionMismatch.code
    assert "protocol 9" in failed.sentence
    assert f"protocol {PROTOCOL_MAJOR}" in failed.sentence
    assert len(rig.workers) == 1, "starting it again would not help"


# R3, R7: a worker that dies, a job that kills


def test_a_job_that_kills_the_worker_twice_is_never_sent_again(clock: Any) -> None:
    rig = Rig(clock)
    poison = request(seed=66)
    for attempt in range(2):
        job_id = f"{attempt + 50:032x}"
        rig.submit(job_id, poison)
        rig.submit(f"{attempt + 60:032x}", request(seed=attempt))
        rig.until(lambda job_id=job_id: rig.of(Accepted, job_id))
        rig.worker.code = -9
        rig.until(lambda job_id=job_id: rig.ends(job_id), 2.0)
        assert rig.ends(job_id)[0].code == "worker_died"
        bystander = f"{attempt + 60:032x}"
        rig.until(lambda bystander=bystander: rig.ends(bystander))
        assert isinstance(rig.ends(bystander)[0], Result), "unblamed"
    for again in (f"{50:032x}", f"{99:032x}"):  # under the old id and under a new one
        rig.submit(again, poison)
        rig.run(1.0)
        assert "ended the worker twice" in rig.ends(again)[-1].sentence
    assert sum(rig.runs(f"{n:032x}") for n in (50, 51, 99)) == 2
    rig.conductor.restart(clock())
    rig.submit(f"{98:032x}", poison)
    rig.until(lambda: rig.ends(f"{98:032x}"))
    assert isinstance(rig.ends(f"{98:032x}")[0], Result), "after a manual restart it gets a new chance"


def test_nothing_of_the_old_run_is_believed(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.of(Progress, JOB))
    old = rig.worker
    stale = answer(OTHER, request())
    rig.worker.code = -9
    rig.until(lambda: rig.ends(JOB))
    rig.submit(OTHER, request(seed=5))
    rig.until(lambda: len(rig.workers) == 2 and rig.of(Accepted, OTHER))
    # Whatever the dead run had sealed arrives now, on the new run's wire.
    from footfall.addon.wire import codec

    rig.wire.send("to_addon", rig.worker, old.seal.sign(codec.encode(stale)), "Result")
    before = rig.forged
    rig.until(lambda: rig.ends(OTHER))
    assert rig.forged == before + 1
    (end,) = rig.ends(OTHER)
    assert end.clips[0].waveform.tobytes() == answer(OTHER, request(seed=5)).clips[0].waveform.tobytes()


def test_a_worker_that_ends_while_idle_is_started_with_the_next_job_only(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.worker.code = 0
    rig.run(30.0)
    assert len(rig.workers) == 1
    assert rig.conductor.status.state == "off"
    rig.submit(OTHER)
    rig.until(lambda: rig.ends(OTHER))
    assert len(rig.workers) == 2


def test_a_restart_sends_the_running_job_again_unblamed(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=100))
    rig.submit(JOB)
    for _ in range(3):
        rig.run(3.0)
        assert rig.worker.engine.has(JOB)
        rig.conductor.restart(clock())
    rig.until(lambda: rig.ends(JOB))
    assert [type(end) for end in rig.ends(JOB)] == [Result]
    assert rig.workers[0].code == 0, "it was asked to shut down, and did"


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


# R9, R10: cancel


def test_cancel_before_the_worker_is_there(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.cancel(JOB)
    rig.step()
    assert rig.of(CancelReply, JOB)[0].outcome == "cancelled"
    assert rig.ends(JOB)[0].code == "cancelled"
    rig.run(5.0)
    assert not rig.workers, "nothing is left to start a worker for"


def test_cancel_what_waits_is_immediate_and_touches_nothing_else(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=40))
    rig.submit(JOB)
    rig.submit(OTHER, request(seed=2))
    rig.until(lambda: rig.of(Progress, JOB))
    rig.cancel(OTHER)
    rig.step()
    assert rig.ends(OTHER)[0].code == "cancelled"
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)
    assert rig.runs(OTHER) == 0


def test_cancel_of_ended_and_unknown_jobs(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.cancel(JOB)
    rig.cancel(OTHER)
    rig.step()
    assert [reply.outcome for reply in rig.of(CancelReply)] == ["not_running", "unknown"]


def test_cancel_is_acknowledged_even_if_the_worker_is_deaf(clock: Any) -> None:
    """Within 250 ms; 5 s later the worker is ended, and the next job is fine."""
    rig = Rig(clock)
    rig.before_spawn = lambda worker: setattr(worker.engine, "deaf", len(rig.workers) == 1)
    rig.submit(JOB)
    rig.submit(OTHER, request(seed=2))
    rig.until(lambda: rig.of(Progress, JOB))
    rig.worker.session.handle = lambda message: None  # type: ignore[method-assign]
    asked = clock()
    rig.cancel(JOB)
    rig.until(lambda: rig.of(CancelReply, JOB))
    assert clock() - asked <= 0.25
    assert rig.of(CancelReply, JOB)[0].outcome == "cancelled"
    rig.cancel(JOB)
    rig.until(lambda: rig.ends(JOB))
    assert clock() - asked == pytest.approx(5.0, abs=0.3)
    assert rig.ends(JOB)[0].code == "cancelled"
    rig.until(lambda: rig.ends(OTHER))
    assert isinstance(rig.ends(OTHER)[0], Result)
    assert len(rig.workers) == 2


def test_a_result_that_is_faster_than_the_wish_is_kept(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.worker.session._endings.get(JOB) if rig.workers else None)
    rig.cancel(JOB)
    rig.until(lambda: rig.ends(JOB))
    assert isinstance(rig.ends(JOB)[0], Result)
    assert [reply.outcome for reply in rig.of(CancelReply)] == ["not_running"]


def test_a_worker_that_dies_while_a_job_is_cancelled_is_no_failure(clock: Any) -> None:
    rig = Rig(clock)
    rig.submit(JOB)
    rig.until(lambda: rig.of(Progress, JOB))
    rig.cancel(JOB)
    rig.worker.code = -9
    rig.until(lambda: rig.ends(JOB))
    assert rig.ends(JOB)[0].code == "cancelled"
    assert rig.of(CancelReply, JOB)[0].outcome == "cancelled"


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
    assert "failed" not in states(rig)
    assert "restarting" not in states(rig)


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


def test_states_tell_the_story(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=20))
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.run(1.0)
    assert states(rig) == ["starting", "busy", "ready"]
    assert rig.conductor.status.device == "CPU"


def test_closing_asks_first(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=1000))
    rig.submit(JOB)
    rig.until(lambda: rig.of(Progress, JOB))
    while not rig.conductor.close(clock(), 1.0):
        rig.step()
    assert rig.worker.code == 0
    assert "Shutdown" in [kind for _, kind in rig.wire.sent]
    rig.conductor.drop(clock())
    rig.events += rig.queue.take()
    assert rig.ends(JOB)[0].code == "cancelled"
