# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines for one test each, stopped at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from footfall.addon.wire.messages import Message
from footfall.server.worker.engine import Engine
from footfall.tests.fakes.engine_bench import WAIT_S, Bench, Stepped
from footfall.tests.fakes.fake_pipeline import FakePipeline


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
