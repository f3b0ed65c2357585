# SPDX-License-Identifier: GPL-3.0-or-later
"""Effectively once: whatever the wire does to single messages, each job has one end and is run once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from footfall.addon.wire.messages import Accepted, CancelReply, Failed, Progress, Result
from footfall.addon.worker.reports import Delivered
from footfall.tests.fakes.faulty_wire import Fault, Rig, TickEngine, request

JOBS = [f"{n:032x}" for n in range(1, 4)]
WITHIN_S = 60.0  # of the made-up clock
LATE_S = 1.3  # a delayed message arrives after later ones, and at both ends of a ping


def play(clock: Any, fault: Fault, *, cancel: bool) -> Rig:
    """Three jobs, the second one cancelled half-way if asked; until all have ended and the wire is quiet."""
    stored: list[str] = []

    def deliver(job_id: str, result: Result) -> str:
        stored.append(job_id)
        return job_id

    # A worker that does not say in time that it has stopped would be ended, and rightly so.
    rig = Rig(clock, fault=fault, deliver=deliver, kill_after_s=WITHIN_S)
    for number, job_id in enumerate(JOBS):
        rig.submit(job_id, request(seed=number))
    if cancel:
        rig.until(lambda: rig.of(Progress, JOBS[1]) or rig.ends(JOBS[1]), WITHIN_S)
        rig.cancel(JOBS[1])
    rig.until(lambda: all(rig.ends(job_id) for job_id in JOBS), WITHIN_S)
    rig.run(6.0)  # what was delayed or is sent again changes nothing
    assert stored == [event.job_id for event in rig.of(Delivered)], "written once each"
    return rig


def check(rig: Rig, *, cancel: bool) -> None:
    for job_id in JOBS:
        assert len(rig.ends(job_id)) == 1, rig.ends(job_id)
        assert rig.runs(job_id) == 1, "one run of the engine"
        assert len(rig.of(Accepted, job_id)) == 1
        fractions = [event.fraction for event in rig.of(Progress, job_id)]
        assert fractions == sorted(fractions)
    for job_id in JOBS[::2]:
        assert isinstance(rig.ends(job_id)[0], Delivered)
    if cancel:
        replies = [event.outcome for event in rig.of(CancelReply, JOBS[1])]
        end = rig.ends(JOBS[1])[0]
        assert (replies, type(end)) in ((["cancelled"], Failed), (["not_running"], Delivered))
    assert len(rig.workers) == 1, "no worker was ended"


def one_fault(direction: str, number: int, what: str) -> Fault:
    def fault(way: str, count: int, kind: str) -> Sequence[float]:
        if (way, count) != (direction, number):
            return (0.0,)
        return {"drop": (), "double": (0.0, 0.0), "late double": (0.0, LATE_S), "delay": (LATE_S,)}[what]

    return fault


@pytest.mark.parametrize("cancel", [False, True])
def test_without_faults(clock: Any, cancel: bool) -> None:
    rig = play(clock, lambda *_: (0.0,), cancel=cancel)
    check(rig, cancel=cancel)
    kinds = [kind for way, kind in rig.wire.sent if way == "to_worker"]
    assert kinds.count("Submit") == 3, "nothing is sent twice without need"
    assert kinds.count("Received") == 3


@pytest.mark.parametrize("what", ["drop", "double", "late double", "delay"])
@pytest.mark.parametrize("direction", ["to_worker", "to_addon"])
def test_every_single_fault(clock: Any, direction: str, what: str) -> None:
    messages = sum(way == direction for way, _ in play(clock, lambda *_: (0.0,), cancel=True).wire.sent)
    for number in range(min(messages, 40)):
        for cancel in (False, True):
            check(play(clock, one_fault(direction, number, what), cancel=cancel), cancel=cancel)


def schedule(seed: int) -> Fault:
    """A tenth of all messages lost, a tenth doubled, a fifth delayed; the same for the same seed."""
    rng = random.Random(seed)

    def fault(way: str, count: int, kind: str) -> Sequence[float]:
        fate = rng.random()
        if fate < 0.1:
            return ()
        if fate < 0.2:
            return (0.0, rng.random() * 2)
        return (rng.random() * 2,) if fate < 0.4 else (0.0,)

    return fault


@pytest.mark.parametrize("block", [range(60), pytest.param(range(60, 500), marks=pytest.mark.slow)])
def test_random_schedules(clock: Any, block: range) -> None:
    for seed in block:
        cancel = bool(seed % 2)
        check(play(clock, schedule(seed), cancel=cancel), cancel=cancel)


def test_a_wire_that_is_dead_for_a_while(clock: Any) -> None:
    """Everything is lost for eight seconds in the middle of a job; then all goes on."""
    lost = [clock() + 0.5, clock() + 8.5]
    rig = play(clock, lambda *_: () if lost[0] <= clock() < lost[1] else (0.0,), cancel=False)
    check(rig, cancel=False)


def test_the_worker_dies_and_only_the_job_it_ran_is_run_again(clock: Any) -> None:
    rig = Rig(clock, engine=lambda: TickEngine(ticks=20))
    for number, job_id in enumerate(JOBS):
        rig.submit(job_id, request(seed=number))
    rig.until(lambda: rig.of(Progress, JOBS[0]))
    rig.worker.code = -11
    rig.until(lambda: all(rig.ends(job_id) for job_id in JOBS))
    first = rig.ends(JOBS[0])[0]
    assert isinstance(first, Failed)
    assert first.code == "worker_died"
    assert [rig.runs(job_id) for job_id in JOBS] == [1, 1, 1]
    rig.submit(JOBS[0], request(seed=0))
    rig.until(lambda: len(rig.ends(JOBS[0])) == 2)
    assert isinstance(rig.ends(JOBS[0])[1], Result)
