# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine on a bench: a pipeline that waits for the test, and what the engine said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from footfall.addon.wire.messages import Failed, FoleyRequest, Made, Message, PictureRequest
from footfall.server.control import JobControl, Rendering
from footfall.server.worker.engine import Engine
from footfall.tests.fakes.fake_pipeline import FakePipeline, render
from footfall.tests.fakes.peer import new_job, request

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
