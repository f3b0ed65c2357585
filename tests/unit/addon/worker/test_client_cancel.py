# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancel at any moment: answered at once, harmless to others, and never a failure."""

from __future__ import annotations

from typing import Any

import pytest
from footfall.addon.wire.messages import CancelReply, Progress, Result
from footfall.tests.fakes.faulty_wire import Rig, TickEngine, request

JOB, OTHER = (f"{n:032x}" for n in (1, 2))


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
