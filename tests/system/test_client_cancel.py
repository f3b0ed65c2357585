# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancel in every phase with a real worker: acknowledged at once, only that job, and no trace in the next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from footfall.addon.wire.messages import CancelReply, Failed, FoleyRequest, Progress, Result
from footfall.server.worker.progress import WEIGHTS
from footfall.tests.fakes.client_rig import ClientRig, sound
from footfall.tests.fakes.misbehaviour import PLACES
from footfall.tests.fakes.peer import new_job, request

slow = pytest.mark.slow
ACKNOWLEDGED_S = 0.25
STOPPED_S = 1.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientRig]:
    """One worker for the tests that do not end it: that one worker stands them all is part of the test."""
    rig = ClientRig(tmp_path_factory.mktemp("logs"))
    rig.run()
    yield rig
    rig.client.close()


@pytest.fixture
def no_leftovers(shared: ClientRig) -> None:
    """Instead of the guard of the whole suite: the worker of this module outlives its tests."""


def wanted(prompt: str = "") -> FoleyRequest:
    return request(prompt, seed=77, frames=6)


def acknowledged(rig: ClientRig, job_id: str) -> tuple[str, float]:
    """Cancel; the answer, and after how long."""
    asked = time.monotonic()
    rig.client.cancel(job_id)
    outcome = rig.reply(job_id)
    return outcome, rig.when(CancelReply, job_id) - asked


def reach(rig: ClientRig, place: str) -> str:
    """A job that waits, well-behaved, in that phase."""
    job_id = rig.submit(f"wait 30 in {place}")
    rig.in_phase(job_id, place.partition("-")[0])
    return job_id


@pytest.mark.parametrize("place", PLACES)
def test_cancel_in_every_phase(shared: ClientRig, place: str) -> None:
    pid = shared.pid
    alone = sound(shared.run(wanted()))
    if place == "loading":  # the fake loads once; running out of memory makes it load again
        assert shared.run("oom").code == "out_of_memory"
    job_id, waiting = reach(shared, place), new_job()
    shared.client.submit(waiting, wanted())
    outcome, took = acknowledged(shared, job_id)
    assert outcome == "cancelled"
    assert took <= ACKNOWLEDGED_S
    asked = time.monotonic()
    end = shared.ending(job_id)
    assert isinstance(end, Failed)
    assert end.code == "cancelled"
    assert time.monotonic() - asked < STOPPED_S
    assert sound(shared.ending(waiting)) == alone, "only that job, and the next one's samples are the same"
    assert shared.pid == pid, "the worker lives on"


def test_cancel_at_each_step_leaves_no_trace(shared: ClientRig) -> None:
    """R11: job B alone == job B after A was cancelled at each step == job B after A failed."""
    alone = sound(shared.run(wanted()))
    for step in range(8):
        job_id = shared.submit("slow 8 80")
        shared.until(lambda job_id=job_id, step=step: _reached(shared, job_id, step / 8))
        shared.client.cancel(job_id)
        assert shared.reply(job_id) == "cancelled"
        assert shared.ending(job_id).code == "cancelled"
        assert sound(shared.run(wanted())) == alone
    for failing in ("fail", "oom", "memory", "quit", "bad nan"):
        assert isinstance(shared.run(failing), Failed)
        assert sound(shared.run(wanted())) == alone


def _reached(rig: ClientRig, job_id: str, fraction: float) -> bool:
    """Whether sampling has come so far; it begins and ends at these parts of a job."""
    begins = sum(WEIGHTS[phase] for phase in ("queued", "loading", "looking", "mapping"))
    wanted = begins + WEIGHTS["sampling"] * fraction - 1e-9
    return any(e.phase == "sampling" and e.fraction >= wanted for e in rig.of(Progress, job_id))


def test_cancel_what_waits(shared: ClientRig) -> None:
    running, waiting = reach(shared, "sampling"), shared.submit(wanted())
    outcome, took = acknowledged(shared, waiting)
    assert (outcome, shared.ending(waiting).code) == ("cancelled", "cancelled")
    assert took <= ACKNOWLEDGED_S
    assert not shared.of(Failed, running), "only that job is touched"
    shared.client.cancel(running)
    shared.ending(running)


def test_cancel_what_has_ended_or_never_was(shared: ClientRig) -> None:
    ended = shared.submit(wanted())
    assert isinstance(shared.ending(ended), Result)
    running = reach(shared, "sampling")
    for job_id, expected in ((ended, "not_running"), (new_job(), "unknown")):
        outcome, took = acknowledged(shared, job_id)
        assert outcome == expected
        assert took <= ACKNOWLEDGED_S
    shared.client.cancel(running)
    assert shared.ending(running).code == "cancelled"


def test_somebody_elses_job_is_not_touched(shared: ClientRig, tmp_path: Path) -> None:
    theirs = reach(shared, "sampling")
    with ClientRig(tmp_path) as mine:
        mine.run()
        assert acknowledged(mine, theirs)[0] == "unknown"
    assert not shared.of(CancelReply, theirs)
    shared.client.cancel(theirs)
    assert shared.ending(theirs).code == "cancelled"


def test_cancel_before_the_worker_is_ready(tmp_path: Path) -> None:
    with ClientRig(tmp_path, environment={"FOOTFALL_FAKE_START_S": "3"}) as rig:
        job_id = rig.submit()
        rig.until(lambda: rig.client.status.pid)
        outcome, took = acknowledged(rig, job_id)
        assert outcome == "cancelled"
        assert took <= ACKNOWLEDGED_S
        assert isinstance(rig.run(), Result)
        assert rig.client.status.starts == 1


@pytest.mark.parametrize(
    "how", [pytest.param("sleep", marks=slow), pytest.param("spin", marks=slow), "hang-gil"]
)
def test_a_call_that_cannot_be_stopped_is_ended_after_five_seconds(tmp_path: Path, how: str) -> None:
    """R10. Acknowledged at once all the same, even if the worker holds its lock and answers nothing."""
    with ClientRig(tmp_path) as rig:
        alone = sound(rig.run(wanted()))
        pid = rig.pid
        job_id = rig.submit(how)
        rig.in_phase(job_id, "sampling")
        asked = time.monotonic()
        outcome, took = acknowledged(rig, job_id)
        assert outcome == "cancelled"
        assert took <= ACKNOWLEDGED_S
        assert rig.ending(job_id).code == "cancelled"
        assert 4.5 < rig.when(Failed, job_id) - asked < 6.5
        assert sound(rig.run(wanted())) == alone
        assert rig.pid != pid
