# SPDX-License-Identifier: GPL-3.0-or-later
"""The job table: which moves are legal, what each event does, what is forgotten."""

from __future__ import annotations

import ast
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from footfall.addon import jobs
from footfall.addon.jobs import (
    ACTIVE,
    CANCELLED,
    CANCELLING,
    CAPTURING,
    DONE,
    FAILED,
    MOVES,
    NOT_PLACED,
    PLACED,
    QUEUED,
    RUNNING,
    SENT,
    STATES,
    IllegalMove,
    JobTable,
    RetryBudget,
    TimeLeft,
)
from footfall.addon.wire.errors import Malformed, SaveError
from footfall.addon.wire.messages import Accepted, CancelReply, Failed, Progress
from footfall.addon.worker.reports import Delivered, EventQueue, WorkerStatus
from footfall.tests.fakes.faulty_wire import answer, request
from hypothesis import given
from hypothesis import strategies as st

JOB, OTHER = "a" * 32, "b" * 32
# The way to each state, from nothing.
WAYS = {
    QUEUED: [],
    CAPTURING: [CAPTURING],
    SENT: [CAPTURING, SENT],
    RUNNING: [SENT, RUNNING],
    CANCELLING: [SENT, CANCELLING],
    DONE: [SENT, RUNNING, DONE],
    FAILED: [CAPTURING, FAILED],
    CANCELLED: [CANCELLED],
    PLACED: [SENT, RUNNING, DONE, PLACED],
    NOT_PLACED: [SENT, RUNNING, DONE, NOT_PLACED],
}


def table_with(state: str) -> JobTable:
    table = JobTable()
    table.add(JOB, "shot", {"scene": "Scene"})
    for step in WAYS[state]:
        table.move(JOB, step, 1.0)
    return table


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, STATES)))
def test_every_move(before: str, after: str) -> None:
    table = table_with(before)
    if after == before or after in MOVES[before]:
        assert table.move(JOB, after, 2.0).state == after
    else:
        with pytest.raises(IllegalMove):
            table.move(JOB, after, 2.0)
        assert table.get(JOB) is not None
        assert table.get(JOB).state == before  # type: ignore[union-attr]


def test_every_state_can_be_reached_and_every_active_one_left() -> None:
    assert {after for moves in MOVES.values() for after in moves} | {QUEUED} == set(STATES)
    for state in ACTIVE:
        assert MOVES[state] & {FAILED}
        assert MOVES[state] & {CANCELLED}


def test_one_entry_per_job() -> None:
    table = JobTable()
    first = table.add(JOB, "first")
    assert table.add(JOB, "second") is first
    assert len(table) == 1
    assert JOB in table


@pytest.mark.parametrize("job_id", ["", "A" * 32, "a" * 31, "../" + "a" * 29, "g" * 32])
def test_an_id_is_hexadecimal(job_id: str) -> None:
    with pytest.raises(Malformed):
        JobTable().add(job_id)


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, (1, object()), b"x"])
def test_facts_are_plain_data(value: Any) -> None:
    with pytest.raises(TypeError, match="plain data"):
        JobTable().add(JOB, facts={"strip": value})


def test_facts_cannot_be_changed_behind_our_back() -> None:
    given_facts = {"scene": "Scene", "start": Fraction(3, 2), "channels": (1, 2)}
    job = JobTable().add(JOB, facts=given_facts)
    given_facts["scene"] = "Other"
    assert job.facts["scene"] == "Scene"
    with pytest.raises(TypeError):
        job.facts["scene"] = "Other"  # type: ignore[index]


def test_the_module_holds_nothing_of_blender() -> None:
    tree = ast.parse(Path(jobs.__file__).read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "bpy" not in names | imports


# Events


def test_the_usual_way() -> None:
    table = table_with(SENT)
    assert table.apply(Accepted(job_id=JOB), 1.0) is table.get(JOB)
    table.apply(Progress(job_id=JOB, phase="sampling", fraction=0.5, left_s=10.0), 2.0)
    job = table.get(JOB)
    assert job is not None
    assert (job.state, job.phase, job.fraction, job.left_s(2.0)) == (RUNNING, "sampling", 0.5, 10.0)
    table.apply(Progress(job_id=JOB, phase="decoding", fraction=0.4), 3.0)
    assert (job.phase, job.fraction) == ("decoding", 0.5), "never backwards"
    result = answer(JOB, request())
    table.apply(Delivered(job_id=JOB, result=result, stored="file"), 4.0)
    assert (job.state, job.fraction, job.stored, job.ended) == (DONE, 1.0, "file", 4.0)
    assert job.left_s(5.0) is None


def test_a_result_that_could_not_be_stored_is_kept_with_its_reason() -> None:
    table = table_with(RUNNING)
    result = answer(JOB, request())
    table.apply(Delivered(job_id=JOB, result=result, problem=SaveError("Full.", "ENOSPC")), 4.0)
    job = table.get(JOB)
    assert job is not None
    assert (job.state, job.code, job.sentence, job.detail) == (DONE, "save", "Full.", "ENOSPC")
    assert job.result is result


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_a_failure_ends_every_active_job(state: str) -> None:
    table = table_with(state)
    table.apply(Failed(job_id=JOB, code="timeout", sentence="It hung.", detail="more"), 3.0)
    job = table.get(JOB)
    assert job is not None
    assert (job.state, job.code, job.sentence, job.detail, job.ended) == (
        FAILED,
        "timeout",
        "It hung.",
        "more",
        3.0,
    )


@pytest.mark.parametrize("state", sorted(set(STATES) - ACTIVE))
def test_ended_jobs_ignore_what_is_late(state: str) -> None:
    table = table_with(state)
    for event in (
        Accepted(job_id=JOB),
        Progress(job_id=JOB, phase="sampling", fraction=0.9),
        Failed(job_id=JOB, code="cancelled", sentence="Cancelled."),
        CancelReply(job_id=JOB, outcome="cancelled"),
        answer(JOB, request()),
    ):
        assert table.apply(event, 9.0) is None
    assert table.get(JOB).state == state  # type: ignore[union-attr]


def test_unknown_jobs_and_worker_events_change_nothing() -> None:
    table = table_with(RUNNING)
    assert table.apply(Accepted(job_id=OTHER), 1.0) is None
    assert table.apply(WorkerStatus(state="failed"), 1.0) is None
    assert len(table) == 1


@pytest.mark.parametrize(
    ("outcome", "state"), [("cancelled", CANCELLING), ("not_running", RUNNING), ("unknown", RUNNING)]
)
def test_cancelling(outcome: str, state: str) -> None:
    table = table_with(RUNNING)
    table.apply(CancelReply(job_id=JOB, outcome=outcome), 2.0)
    assert table.get(JOB).state == state  # type: ignore[union-attr]
    table.apply(Progress(job_id=JOB, phase="sampling", fraction=0.9), 2.5)
    assert table.get(JOB).state == state  # type: ignore[union-attr]
    table.apply(Failed(job_id=JOB, code="cancelled", sentence="Cancelled."), 3.0)
    assert table.get(JOB).state == CANCELLED  # type: ignore[union-attr]


def test_a_result_may_be_faster_than_the_wish_to_cancel() -> None:
    table = table_with(CANCELLING)
    table.apply(answer(JOB, request()), 3.0)
    assert table.get(JOB).state == DONE  # type: ignore[union-attr]


def test_trying_again_starts_clean() -> None:
    table = table_with(RUNNING)
    table.apply(Progress(job_id=JOB, phase="sampling", fraction=0.7, left_s=3.0), 1.0)
    table.fail(JOB, 2.0, "worker_died", "It died.")
    job = table.move(JOB, SENT, 3.0)
    assert (job.code, job.sentence, job.fraction, job.phase, job.ended) == ("", "", 0.0, "", None)
    assert job.left_s(3.0) is None


def test_a_removed_strip_can_be_placed_again() -> None:
    table = table_with(PLACED)
    table.move(JOB, NOT_PLACED, 2.0)
    assert table.move(JOB, PLACED, 3.0).state == PLACED


def test_active_jobs_cannot_be_removed() -> None:
    table = table_with(RUNNING)
    with pytest.raises(IllegalMove):
        table.remove(JOB)
    table.fail(JOB, 1.0, "cancelled", "Cancelled.")
    table.remove(JOB)
    table.remove(JOB)
    assert len(table) == 0


def test_history_is_bounded_and_sound_is_forgotten_last() -> None:
    table = JobTable(history=10)
    for number in range(40):
        job_id = f"{number:032x}"
        table.add(job_id)
        table.move(job_id, SENT, float(number))
        if number % 4 == 0:
            table.move(job_id, DONE, float(number))
            table.move(job_id, NOT_PLACED, float(number))
        else:
            table.fail(job_id, float(number), "timeout", "It hung.")
    assert len(table) == 10
    assert {job.state for job in table.all()} == {NOT_PLACED}
    table.add(JOB)
    assert len(table) == 11, "what is active does not count"


# Time left


def test_time_left_is_smooth_and_counts_down() -> None:
    left = TimeLeft()
    assert left.value(0.0) is None
    left.update(0.0, 0.1, 10.0)
    assert left.value(0.0) == 10.0
    assert left.value(4.0) == 6.0
    left.update(4.0, 0.2, 30.0)  # one odd estimate moves it only part of the way
    assert left.value(4.0) == pytest.approx(6.0 + 0.3 * 24.0)


def test_time_left_is_judged_from_the_fraction_when_the_worker_does_not_know() -> None:
    left = TimeLeft()
    left.update(0.0, 0.0, -1.0)
    left.update(0.5, 0.5, -1.0)
    assert left.value(0.5) is None, "too early to tell"
    left.update(10.0, 0.25, -1.0)
    assert left.value(10.0) == pytest.approx(30.0)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(0, 1), st.one_of(st.just(-1.0), st.floats(0, 1e7))),
        max_size=30,
    )
)
def test_time_left_is_never_negative(steps: list[tuple[float, float, float]]) -> None:
    left, now = TimeLeft(), 0.0
    for wait, fraction, told in steps:
        now += wait
        left.update(now, fraction, told)
        value = left.value(now)
        assert value is None or value >= 0.0


# Who is to blame


def test_the_budget_knows_a_request_by_what_it_asks() -> None:
    budget = RetryBudget()
    assert not budget.spent(request(seed=1))
    assert budget.blame(request(seed=1)) == 1
    assert not budget.spent(request(seed=1))
    assert budget.blame(request(seed=1)) == 2
    assert budget.spent(request(seed=1))
    assert not budget.spent(request(seed=2))
    budget.reset()
    assert not budget.spent(request(seed=1))


def test_the_budget_is_bounded() -> None:
    budget = RetryBudget(remembered=5)
    for seed in range(50):
        budget.blame(request(seed=seed))
    assert len(budget._kills) == 5


# The queue of events


def test_progress_is_merged_in_its_place() -> None:
    queue = EventQueue()
    queue.put(Accepted(job_id=JOB))
    for number in range(1000):
        queue.put(Progress(job_id=JOB, phase="sampling", fraction=number / 1000))
        queue.put(Progress(job_id=OTHER, phase="sampling", fraction=number / 1000))
    queue.put(answer(JOB, request()))
    assert len(queue) == 4
    events = queue.take()
    assert [type(event).__name__ for event in events] == ["Accepted", "Progress", "Progress", "Result"]
    assert events[1].fraction == 0.999  # type: ignore[union-attr]
    assert len(queue) == 0


def test_what_follows_an_end_is_not_merged_over_it() -> None:
    queue = EventQueue()
    for attempt in range(2):
        queue.put(Progress(job_id=JOB, phase="sampling", fraction=attempt / 2))
        queue.put(Failed(job_id=JOB, code="timeout", sentence=f"{attempt}"))
    assert [type(event).__name__ for event in queue.take()] == ["Progress", "Failed"] * 2


def test_statuses_are_bounded_and_merged() -> None:
    queue = EventQueue()
    for number in range(500):
        queue.put(WorkerStatus(state="busy", silent_s=float(number)))
    assert len(queue) == 1
    for number in range(500):
        queue.put(WorkerStatus(state=("ready", "busy")[number % 2]))
    assert len(queue) <= 64
    assert queue.take()[-1] == WorkerStatus(state="busy")


def test_taking_in_parts_keeps_order_and_count_of_bytes() -> None:
    queue = EventQueue()
    results = [answer(f"{number:032x}", request()) for number in range(5)]
    for result in results:
        queue.put(result)
    one = results[0].clips[0].waveform.nbytes
    assert queue.bytes_waiting == 5 * one
    assert queue.take(2) == results[:2]
    assert queue.bytes_waiting == 3 * one
    assert queue.wait(0.0) == results[2:]
    assert queue.wait(0.0) == []
    assert queue.bytes_waiting == 0
