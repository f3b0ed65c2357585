# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: order, cancel, progress, failures, idle release; no job leaves anything to the next."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.errors import LimitExceeded, ModelRefused
from footfall.addon.wire.messages import (
    Failed,
    FoleyRequest,
    Made,
    Message,
    PictureRequest,
    PictureResult,
    Progress,
    Result,
)
from footfall.server.control import JobControl, Rendering
from footfall.server.worker.engine import Engine
from footfall.tests.fakes.fake_pipeline import DEVICE_BYTES, FakePipeline, render
from footfall.tests.fakes.peer import new_job, picture_request, request, wait_until

WAIT_S = 30.0


class Stepped(FakePipeline):
    """A pipeline that stands still in ``run`` until the test lets it go on; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: SimpleQueue[FoleyRequest] = SimpleQueue()
        self.go = threading.Semaphore(0)
        self.before_return: Callable[[JobControl], None] = lambda control: None
        self.threads: set[int] = set()

    def run(self, request: FoleyRequest, control: JobControl) -> Rendering:
        self.threads.add(threading.get_ident())
        self.entered.put(request)
        assert self.go.acquire(timeout=WAIT_S)
        control.check()
        self.before_return(control)
        return render(request)


@dataclass
class Bench:
    """An engine and what it said."""

    engine: Engine
    pipeline: Any
    said: SimpleQueue[Message] = field(default_factory=SimpleQueue)

    def ending(self) -> Made | Failed:
        while True:
            message = self.said.get(timeout=WAIT_S)
            if isinstance(message, Made | Failed):
                return message

    def paint(self, wanted: PictureRequest) -> Made | Failed:
        self.engine.submit(new_job(), wanted)
        return self.ending()

    def run(self, prompt: str = "", **fields: Any) -> Made | Failed:
        self.engine.submit(new_job(), request(prompt, **fields))
        return self.ending()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(pipeline: Any = None, **options: Any) -> Bench:
        pipeline = pipeline or FakePipeline()
        said: SimpleQueue[Message] = SimpleQueue()
        engine = Engine(lambda: pipeline, said.put, **options)
        made.append(Bench(engine, pipeline, said))
        engine.start()
        return made[-1]

    yield make
    for one in made:
        if isinstance(one.pipeline, Stepped):
            one.pipeline.go.release(100)
        assert one.engine.stop(WAIT_S)


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


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("fail", "error"),
        ("quit", "error"),
        ("memory", "out_of_memory"),
        ("oom", "out_of_memory"),
        ("bad-input", "bad_input"),
        ("missing in loading", "model_missing"),
        ("bad nan", "model"),
    ],
)
def test_every_failure_has_its_code_and_harms_nobody(
    bench: Callable[..., Bench], prompt: str, code: str
) -> None:
    alone = bench().run("the next job")
    one = bench()
    said = one.run(prompt)
    assert isinstance(said, Failed)
    assert said.code == code
    after = one.run("the next job")
    assert isinstance(after, Result)
    assert isinstance(alone, Result)
    assert np.array_equal(after.clips[0].waveform, alone.clips[0].waveform)


def test_out_of_memory_empties_the_cache_and_a_smaller_job_succeeds(bench: Callable[..., Bench]) -> None:
    one = bench()
    assert isinstance(one.run("oom 2", seconds=2), Result)
    assert one.pipeline.releases == 0
    said = one.run("oom 2", seconds=3)
    assert said.code == "out_of_memory"  # type: ignore[union-attr]
    assert "shorten" in said.sentence  # type: ignore[union-attr]
    wait_until(lambda: one.pipeline.releases == 1)
    assert isinstance(one.run("oom 2", seconds=1), Result)


def test_a_failed_job_keeps_nothing_alive(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(
        logging.CRITICAL + 1, logger="footfall.server.worker.engine"
    )  # pytest keeps each traceback

    class Tensor:
        """Stands for what a model's frames hold when it raises."""

    alive: list[weakref.ref[Tensor]] = []

    def fail(control: JobControl) -> None:
        tensor = Tensor()
        alive.append(weakref.ref(tensor))
        raise RuntimeError(f"with {tensor}")

    one = bench(Stepped())
    one.pipeline.before_return = fail
    one.pipeline.go.release()
    wanted = request()
    frames = weakref.ref(wanted.frames)
    one.engine.submit(new_job(), wanted)
    del wanted
    one.pipeline.entered.get(timeout=WAIT_S)
    assert one.ending().code == "error"  # type: ignore[union-attr]
    wait_until(lambda: one.engine.state == "idle")

    def forgotten() -> bool:
        gc.collect()
        return alive[0]() is None and frames() is None

    wait_until(forgotten)


def test_memory_is_given_back_after_idling_and_only_once(bench: Callable[..., Bench]) -> None:
    now = [0.0]
    one = bench(idle_s=300.0, clock=lambda: now[0])
    assert isinstance(one.run(), Result)
    wait_until(lambda: one.engine.device_bytes == DEVICE_BYTES)
    assert one.pipeline.releases == 0
    now[0] = 299.0
    one.engine.describe()  # wakes the thread, which is to find that it is not time yet
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 0
    now[0] = 300.0
    one.engine.describe()
    wait_until(lambda: one.pipeline.releases == 1)
    wait_until(lambda: one.engine.device_bytes == 0)
    now[0] = 10_000.0
    one.engine.describe()
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 1
    assert isinstance(one.run(), Result)


def test_idle_time_runs_by_itself(bench: Callable[..., Bench]) -> None:
    one = bench(idle_s=0.01)
    assert isinstance(one.run(), Result)
    wait_until(lambda: one.pipeline.releases == 1)


def test_without_an_idle_time_memory_is_kept(bench: Callable[..., Bench]) -> None:
    now = [0.0]
    one = bench(idle_s=0.0, clock=lambda: now[0])
    assert isinstance(one.run(), Result)
    now[0] = 1e9
    one.engine.describe()
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 0


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


def test_a_pipeline_that_cannot_be_made_is_fatal_and_told() -> None:
    told = threading.Event()

    def make() -> FakePipeline:
        raise ImportError("No module named 'torch'")

    engine = Engine(make, lambda message: None, notify=told.set)
    engine.start()
    assert told.wait(WAIT_S)
    assert isinstance(engine.fatal, ImportError)
    assert engine.stop(WAIT_S)


@pytest.mark.parametrize("error", [ModelRefused("bundle.toml is damaged."), PermissionError("models")])
def test_models_that_cannot_be_listed_do_not_cost_the_worker(
    bench: Callable[..., Bench], error: Exception
) -> None:
    class Damaged(FakePipeline):
        def bundles(self) -> Any:
            raise error

    one = bench(Damaged())
    wait_until(lambda: one.engine.description)
    assert one.engine.description.bundles == ()  # type: ignore[union-attr]
    assert isinstance(one.run(), Result)


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


# Pictures of sounds: the same queue, the same ends


def test_pictures_and_sounds_share_the_queue(bench: Callable[..., Bench]) -> None:
    table = bench()
    sound, pictures = new_job(), new_job()
    table.engine.submit(sound, request("slow 2 1"))
    table.engine.submit(pictures, picture_request(parts=3, takes=2))
    first, second = table.ending(), table.ending()
    assert isinstance(first, Result)
    assert first.job_id == sound
    assert isinstance(second, PictureResult)
    assert second.job_id == pictures
    assert [(one.span, one.take) for one in second.pictures] == [(n, t) for n in range(3) for t in range(2)]
    assert second.warnings == ("These pictures are flat.",)


@pytest.mark.parametrize(
    ("words", "code"), [("fail", "error"), ("oom", "out_of_memory"), ("bad none", "model")]
)
def test_pictures_that_fail_are_told_and_the_next_are_painted(
    bench: Callable[..., Bench], words: str, code: str
) -> None:
    table = bench()
    ending = table.paint(picture_request(words))
    assert isinstance(ending, Failed)
    assert ending.code == code
    assert isinstance(table.paint(picture_request()), PictureResult)


def test_pictures_can_be_cancelled(bench: Callable[..., Bench]) -> None:
    table, job_id = bench(), new_job()
    table.engine.submit(job_id, picture_request("wait"))
    wait_until(lambda: table.engine.steps_done > 0 or None)
    assert table.engine.cancel(job_id)
    ending = table.ending()
    assert isinstance(ending, Failed)
    assert ending.code == "cancelled"


def test_a_waiting_sound_counts_its_bytes(bench: Callable[..., Bench]) -> None:
    table = bench(Stepped(), queue_bytes=picture_request().waveform.nbytes)
    table.engine.submit(new_job(), request())
    table.pipeline.entered.get(timeout=WAIT_S)
    table.engine.submit(new_job(), picture_request())
    with pytest.raises(LimitExceeded):
        table.engine.submit(new_job(), picture_request())
