# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails in the engine is told by its code, and leaves nothing to the next job."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.errors import ModelRefused
from footfall.addon.wire.messages import Failed, Result
from footfall.server.control import JobControl
from footfall.server.worker.engine import Engine
from footfall.tests.fakes.engine_bench import WAIT_S, Bench, Stepped
from footfall.tests.fakes.fake_pipeline import FakePipeline
from footfall.tests.fakes.peer import new_job, request, wait_until


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
