# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts on a clock that only moves when told: what dies, what kills, and what is tried again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from footfall.addon.wire.errors import VersionMismatch, WorkerFailedToStart, WorkerNotInstalled
from footfall.addon.wire.exits import WorkerExit
from footfall.addon.wire.messages import PROTOCOL_MAJOR, Accepted, Progress, Ready, Result
from footfall.addon.worker.reports import WorkerStatus
from footfall.tests.fakes.faulty_wire import Rig, TickEngine, answer, request

JOB, OTHER, THIRD = (f"{n:032x}" for n in (1, 2, 3))


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


def test_states_tell_the_story(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=20))
    rig.submit(JOB)
    rig.until(lambda: rig.ends(JOB))
    rig.run(1.0)
    assert rig.states() == ["starting", "busy", "ready"]
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
