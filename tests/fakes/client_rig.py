# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's real client with a real worker process around the fake pipeline. Tests only."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import Accepted, CancelReply, Failed, Made, Progress, Request, Result
from footfall.addon.worker.client import JobClient, WorkerLaunch
from footfall.addon.worker.reports import Delivered, WorkerStatus
from footfall.tests.fakes.peer import FAKE_WORKER, new_job, request

DEADLINE_S = 30.0  # generous: reached only when something is broken


def make_launch(
    log_dir: Path, *, python: Path | None = None, script: Path = FAKE_WORKER, **extra: str
) -> WorkerLaunch:
    """``extra``: environment variables of the worker."""

    def settings(key: str) -> WorkerSettings:
        return WorkerSettings(
            key=key, parent_pid=os.getpid(), models_dir=str(log_dir), log_dir=str(log_dir), idle_s=0.0
        )

    return WorkerLaunch(
        python=python or Path(sys.executable),
        script=script,
        settings=settings,
        extra_env={"OMP_NUM_THREADS": "1", **extra},
    )


class ClientRig:
    """A client, everything it has said (``events``, with ``times``), and waits with a deadline."""

    def __init__(self, log_dir: Path, *, launch: WorkerLaunch | None = None, **options: Any) -> None:
        environment = options.pop("environment", {})
        self.client = JobClient(launch or make_launch(log_dir, **environment), version="1", **options)
        self.events: list[Any] = []
        self.times: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def submit(self, wanted: Request | str = "", job_id: str | None = None) -> str:
        job_id = job_id or new_job()
        self.client.submit(job_id, request(wanted) if isinstance(wanted, str) else wanted)
        return job_id

    def until(self, enough: Callable[[], Any], timeout_s: float = DEADLINE_S) -> Any:
        """Take events until ``enough()`` is true; that value."""
        end = time.monotonic() + timeout_s
        while not (value := enough()):
            left = end - time.monotonic()
            assert left > 0, f"not within {timeout_s} s: {self.tell()}"
            for event in self.client.wait(min(left, 0.5)):
                self.events.append(event)
                self.times.append(time.monotonic())
        return value

    def tell(self) -> str:
        log = "\n".join(self.client.log_tail(15))
        return f"{self.client.status}\n{self.events[-12:]}\n{log}"

    def of(self, kind: Any, job_id: str | None = None) -> list[Any]:
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if job_id is None or event.job_id == job_id]

    def when(self, kind: Any, job_id: str | None = None) -> float:
        """When the first event of a kind was taken."""
        for event, taken in zip(self.events, self.times, strict=True):
            if isinstance(event, kind) and (job_id is None or event.job_id == job_id):
                return taken
        raise AssertionError(f"no {kind}")

    def ending(self, job_id: str, timeout_s: float = DEADLINE_S) -> Any:
        """How that job ended."""
        ends = (*Made.__args__, Delivered, Failed)
        return self.until(lambda: self.of(ends, job_id) and self.of(ends, job_id)[0], timeout_s)

    def run(self, wanted: Request | str = "", timeout_s: float = DEADLINE_S) -> Any:
        return self.ending(self.submit(wanted), timeout_s)

    def accepted(self, job_id: str) -> None:
        self.until(lambda: self.of(Accepted, job_id))

    def in_phase(self, job_id: str, phase: str) -> None:
        """Until the job has reached that phase."""
        self.until(lambda: any(e.phase == phase for e in self.of(Progress, job_id)))

    def reply(self, job_id: str) -> str:
        """The answer to a cancel."""
        outcome: str = self.until(
            lambda: self.of(CancelReply, job_id) and self.of(CancelReply, job_id)[-1].outcome
        )
        return outcome

    @property
    def pid(self) -> int:
        """Of the running worker."""
        return self.client.status.pid

    def kill(self, number: int = signal.SIGKILL) -> float:
        """Send the worker a signal; when."""
        os.kill(self.pid, number)
        return time.monotonic()

    def states(self) -> list[str]:
        return [event.state for event in self.of(WorkerStatus)]


def sound(result: Result | Delivered) -> bytes:
    """All samples of a result."""
    made = result.result if isinstance(result, Delivered) else result
    return b"".join(clip.waveform.tobytes() for clip in made.clips)
