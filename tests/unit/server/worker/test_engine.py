# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: order, cancel, progress, full queues, stopping."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
import pytest
from footfall.addon.wire.errors import LimitExceeded
from footfall.addon.wire.messages import Failed, Message, Progress, Result
from footfall.server.control import JobControl
from footfall.server.worker.engine import Engine
from footfall.tests.fakes.engine_bench import WAIT_S, Bench, Stepped
from footfall.tests.fakes.fake_pipeline import render
from footfall.tests.fakes.peer import new_job, request, wait_until


def test_jobs_run_in_order_one_at_a_time_on_one_thread(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped())
    jobs = [new_job() for _ in range(3)]
    for number, job_id in enumerate(jobs):
        one.engine.submit(job_id, request(f"job {number}"))
    for number, job_id in enumerate(jobs):
        assert one.pipeline.entered.get(timeout=WAIT_S).prompt == f"job {number}"
        assert one.pipeline.entered.empty()
        assert one.engine.state == "busy"
        assert all(one.engine.has(other) for other in jobs[number:])
        one.pipeline.go.release()
        assert one.ending().job_id == job_id
        assert not one.engine.has(job_id)
    assert len(one.pipeline.threads) == 1
    assert threading.get_ident() not in one.pipeline.threads


def test_the_result_is_the_rendering(bench: Callable[..., Bench]) -> None:
    wanted = request("steps on gravel", takes=2)
    one = bench()
    job_id = new_job()
    one.engine.submit(job_id, wanted)
    result = one.ending()
    assert isinstance(result, Result)
    assert result.job_id == job_id
    expected = render(wanted)
    for clip, other in zip(result.clips, expected.clips, strict=True):
        assert np.array_equal(clip.waveform, other.waveform)
    assert result.provenance == expected.provenance
    assert result.heard == expected.heard


def test_cancel_before_during_after_and_never_another(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped())
    running, queued, kept = new_job(), new_job(), new_job()
    for job_id in (running, queued, kept):
        one.engine.submit(job_id, request())
    one.pipeline.entered.get(timeout=WAIT_S)
    assert one.engine.cancel(queued)
    said = one.ending()
    assert (said.job_id, said.code) == (queued, "cancelled")  # type: ignore[union-attr]
    assert one.engine.cancel(running)
    assert one.engine.cancel(running)
    one.pipeline.go.release(2)
    said = one.ending()
    assert (said.job_id, said.code) == (running, "cancelled")  # type: ignore[union-attr]
    assert isinstance(said := one.ending(), Result)
    assert said.job_id == kept
    assert not any(one.engine.cancel(job_id) for job_id in (running, queued, kept, new_job()))


def test_a_cancel_after_the_last_look_still_holds(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped())
    job_id = new_job()
    one.pipeline.before_return = lambda control: one.engine.cancel(job_id)
    one.engine.submit(job_id, request())
    one.pipeline.go.release()
    said = one.ending()
    assert isinstance(said, Failed)
    assert said.code == "cancelled"


def test_progress_is_thinned_but_every_phase_is_told(bench: Callable[..., Bench]) -> None:
    def busy(control: JobControl) -> None:
        for phase in ("looking", "sampling", "decoding"):
            for step in range(1000):
                control.progress(phase, step / 1000)

    one = bench(Stepped(), clock=lambda: 5.0)
    one.pipeline.before_return = busy
    one.pipeline.go.release()
    job_id = new_job()
    one.engine.submit(job_id, request())
    told: list[Progress] = []
    while isinstance(message := one.said.get(timeout=WAIT_S), Progress):
        told.append(message)
    assert [progress.phase for progress in told] == ["looking", "sampling", "decoding"]
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert {progress.job_id for progress in told} == {job_id}
    assert one.engine.steps_done >= 3000


def test_steps_done_counts_looks_at_the_token_too(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped())
    one.pipeline.before_return = lambda control: [control.check() for _ in range(10)]
    one.pipeline.go.release()
    one.run()
    assert one.engine.steps_done >= 12


def test_too_many_jobs_are_refused_in_words(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped(), queue_jobs=2)
    one.engine.submit(new_job(), request())
    one.pipeline.entered.get(timeout=WAIT_S)
    for _ in range(2):
        one.engine.submit(new_job(), request())
    with pytest.raises(LimitExceeded, match="wait until one is done"):
        one.engine.submit(new_job(), request())


def test_too_large_jobs_are_refused_but_never_the_only_one(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped(), queue_bytes=1)
    one.engine.submit(new_job(), request())
    one.pipeline.entered.get(timeout=WAIT_S)
    one.engine.submit(new_job(), request())
    with pytest.raises(LimitExceeded):
        one.engine.submit(new_job(), request())


def test_loading_busy_idle(bench: Callable[..., Bench]) -> None:
    making = threading.Event()
    said: SimpleQueue[Message] = SimpleQueue()
    pipeline = Stepped()

    def make() -> Stepped:
        assert making.wait(WAIT_S)
        return pipeline

    engine = Engine(make, said.put)
    assert engine.state == "loading"
    engine.start()
    assert engine.state == "loading"
    assert engine.description is None
    engine.submit(new_job(), request())
    making.set()
    pipeline.entered.get(timeout=WAIT_S)
    assert engine.state == "busy"
    assert engine.description is not None
    assert engine.description.device == "Fake device"
    pipeline.before_return = lambda control: control.progress("loading", 0.5)
    pipeline.go.release()
    while not isinstance(message := said.get(timeout=WAIT_S), Result):
        assert message.phase == "loading"  # type: ignore[attr-defined]
    wait_until(lambda: engine.state == "idle")
    assert engine.stop(WAIT_S)


def test_stopping_cancels_what_runs_and_what_waits(bench: Callable[..., Bench]) -> None:
    one = bench()
    jobs = [new_job() for _ in range(3)]
    for job_id in jobs:
        one.engine.submit(job_id, request("wait"))
    wait_until(lambda: one.engine.steps_done > 0)
    assert one.engine.stop(WAIT_S)
    ended = {one.ending().job_id: True for _ in jobs}
    assert set(ended) == set(jobs)


def test_a_hung_model_does_not_hold_up_stopping(bench: Callable[..., Bench]) -> None:
    one = bench(Stepped())
    one.engine.submit(new_job(), request())
    one.pipeline.entered.get(timeout=WAIT_S)
    assert not one.engine.stop(0.01)
