# SPDX-License-Identifier: GPL-3.0-or-later
"""One job at a time on the model's own thread: a bounded queue, a cancel token, progress, failures in words.

The thread makes the pipeline, calls it, and nobody else does. What it has to say goes out through ``post``,
which must not block. Every job gets a control of its own and leaves nothing behind for the next.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ...addon.wire.errors import Cancelled, FootfallError, LimitExceeded
from ...addon.wire.messages import (
    BundleInfo,
    Failed,
    FoleyRequest,
    Made,
    Message,
    PictureRequest,
    PictureResult,
    Progress,
    Request,
    Result,
)
from ..control import Pipeline
from . import threads
from .outcome import check_painting, check_rendering, failure
from .progress import Overall

QUEUE_JOBS = 32
QUEUE_BYTES = 2 * 1024 * 1024 * 1024
PROGRESS_EVERY_S = 0.05
MEMORY_EVERY_S = 1.0
THREAD_NAME = "footfall-engine"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the add-on shows of the worker."""

    device: str
    bundles: tuple[BundleInfo, ...]


class Control:
    """The JobControl of one job. All but ``cancel`` and ``cancelled`` belongs to the engine's thread."""

    def __init__(
        self,
        job_id: str,
        *,
        post: Callable[[Message], None],
        alive: Callable[[], None],
        clock: Callable[[], float],
        only_looks: bool = False,
    ) -> None:
        self._job_id = job_id
        self._post = post
        self._alive = alive
        self._clock = clock
        self._overall = Overall(only_looks)
        self._cancelled = threading.Event()
        self._posted_at = float("-inf")
        self.phase = "queued"

    def cancel(self) -> None:
        """From any thread: the job is to stop at its next ``check``."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises Cancelled once the job is to stop."""
        self._alive()
        if self.cancelled:
            raise Cancelled

    def progress(self, phase: str, fraction: float) -> None:
        """A sign of life, told to the add-on at most twenty times a second and at each new phase."""
        self._alive()
        now = self._clock()
        self._overall.report(phase, fraction, now)
        if phase == self.phase and now - self._posted_at < PROGRESS_EVERY_S:
            return
        self.phase = phase
        self._posted_at = now
        left_s = min(self._overall.left_s(now), 1e7)
        self._post(Progress(job_id=self._job_id, phase=phase, fraction=self._overall.fraction, left_s=left_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    job_id: str
    request: Request
    control: Control


class Engine:
    """Runs jobs in the order they came. Public methods are for any thread and never wait for the model.

    post: takes Progress, results and Failed; called on the engine's thread, or on the caller's for a queued
    job that is cancelled. notify: called whenever ``description`` or ``fatal`` changes. idle_s: the
    pipeline's memory is released after that long without a job, 0: never.
    """

    def __init__(
        self,
        make_pipeline: Callable[[], Pipeline],
        post: Callable[[Message], None],
        *,
        notify: Callable[[], None] = lambda: None,
        idle_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        queue_jobs: int = QUEUE_JOBS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._make_pipeline = make_pipeline
        self._post = post
        self._notify = notify
        self._idle_s = idle_s
        self._clock = clock
        self._queue_jobs = queue_jobs
        self._queue_bytes = queue_bytes
        self._work = threading.Condition()
        # Guarded by _work:
        self._queue: deque[_Job] = deque()
        self._running: _Job | None = None
        self._description: Description | None = None
        self._stopping = False
        self._release_at: float | None = None
        # Written by the engine's thread only, read by any:
        self._fatal: Exception | None = None
        self._pipeline: Pipeline | None = None
        self._steps = 0
        self._device_bytes = 0
        self._measured_at = float("-inf")
        self._thread = threads.daemon(THREAD_NAME, self._main)

    def start(self) -> None:
        """Start the thread, which makes the pipeline first; jobs may be submitted at once."""
        self._thread.start()

    def submit(self, job_id: str, request: Request) -> None:
        """Queue a job. Raises LimitExceeded when too many, or too large ones, are waiting."""
        job = _Job(
            job_id=job_id,
            request=request,
            control=Control(
                job_id,
                post=self._post,
                alive=self._alive,
                clock=self._clock,
                only_looks=isinstance(request, FoleyRequest) and request.only_looks,
            ),
        )
        with self._work:
            waiting = sum(_bytes(queued.request) for queued in self._queue)
            full = len(self._queue) >= self._queue_jobs
            if full or (self._queue and waiting + _bytes(request) > self._queue_bytes):
                raise LimitExceeded(
                    "Too many jobs are waiting for the worker; wait until one is done, then try again.",
                    f"{len(self._queue)} jobs, {waiting} bytes of pictures and sounds",
                )
            self._queue.append(job)
            self._work.notify_all()

    def has(self, job_id: str) -> bool:
        """Whether the job is queued or running."""
        with self._work:
            running = self._running is not None and self._running.job_id == job_id
            return running or any(job.job_id == job_id for job in self._queue)

    def cancel(self, job_id: str) -> bool:
        """True: that job was queued or running, and ends as Failed(cancelled). False: it is neither."""
        with self._work:
            if self._running is not None and self._running.job_id == job_id:
                self._running.control.cancel()
                return True
            for job in self._queue:
                if job.job_id == job_id:
                    self._queue.remove(job)
                    self._post(failure(job_id, Cancelled()))
                    return True
            return False

    def describe(self) -> None:
        """Have ``description`` read anew, unless a job runs: then the last one has to do."""
        with self._work:
            if self._description is not None and self._running is None and not self._queue:
                self._description = None
                self._work.notify_all()

    @property
    def description(self) -> Description | None:
        """None while it is being found out."""
        with self._work:
            return self._description

    @property
    def state(self) -> str:
        """One of messages.WORKER_STATES."""
        with self._work:
            if self._pipeline is None or (
                self._running is not None and self._running.control.phase == "loading"
            ):
                return "loading"
            return "busy" if self._running is not None or self._queue else "idle"

    @property
    def steps_done(self) -> int:
        """Rises with every sign of life of any job."""
        return self._steps

    @property
    def device_bytes(self) -> int:
        """Device memory in use when last looked at."""
        return self._device_bytes

    @property
    def fatal(self) -> Exception | None:
        """Why the engine's thread ended without being told to."""
        return self._fatal

    def stop(self, timeout_s: float) -> bool:
        """Cancel everything and end the thread; False if it does not end in time."""
        with self._work:
            self._stopping = True
            for job_id in [job.job_id for job in self._queue]:
                self.cancel(job_id)
            if self._running is not None:
                self._running.control.cancel()
            self._work.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # The engine's thread

    def _main(self) -> None:
        try:
            self._pipeline = self._make_pipeline()
            while self._turn(self._pipeline):
                pass
        except Exception as error:  # noqa: BLE001 - root of this thread
            _log.exception("The engine has ended")
            self._fatal = error
            self._notify()

    def _turn(self, pipeline: Pipeline) -> bool:
        """Wait for the next thing to do and do it; False: stop. Its locals, frames included, die with it."""
        with self._work:
            while not self._due():
                self._work.wait(self._wait_s())
            if self._stopping:
                return False
            undescribed = self._description is None
            if self._queue and not undescribed:
                self._running = self._queue.popleft()
            job = self._running
        if undescribed:
            self._find_description(pipeline)
        elif job is not None:
            self._finish(job, self._run(pipeline, job))
        else:
            self._release(pipeline, "idle")
        return True

    def _due(self) -> bool:
        idle = self._release_at is not None and self._clock() >= self._release_at
        return self._stopping or self._description is None or bool(self._queue) or idle

    def _wait_s(self) -> float | None:
        return None if self._release_at is None else max(self._release_at - self._clock(), 0.0)

    def _find_description(self, pipeline: Pipeline) -> None:
        try:
            bundles = pipeline.bundles()
        except (FootfallError, OSError):  # a folder of models that cannot be read must not cost the worker
            _log.exception("Cannot list the bundles")
            bundles = ()
        found = Description(device=pipeline.device(), bundles=bundles)
        with self._work:
            self._description = found
        self._notify()

    def _run(self, pipeline: Pipeline, job: _Job) -> Made | Failed:
        try:
            job.control.check()
            if isinstance(job.request, PictureRequest):
                return self._paint(pipeline, job, job.request)
            return self._sound(pipeline, job, job.request)
        except Cancelled as error:
            return failure(job.job_id, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # The second root: whatever a model raises ends its job, never the worker.
            _log.exception("Job %s failed", job.job_id)
            return failure(job.job_id, error)

    def _sound(self, pipeline: Pipeline, job: _Job, request: FoleyRequest) -> Result:
        _log.info("Job %s: %d frames, %.3f s", job.job_id, len(request.frames), request.duration_s)
        rendering = check_rendering(pipeline.run(request, job.control), request)
        return Result(
            job_id=job.job_id,
            clips=rendering.clips,
            provenance=rendering.provenance,
            heard=rendering.heard,
            warnings=rendering.warnings,
            events=rendering.events,
            cuts=rendering.cuts,
        )

    def _paint(self, pipeline: Pipeline, job: _Job, request: PictureRequest) -> PictureResult:
        _log.info("Job %s: %d pictures", job.job_id, len(request.starts_s) * request.takes)
        painting = check_painting(pipeline.paint(request, job.control), request)
        return PictureResult(
            job_id=job.job_id,
            pictures=painting.pictures,
            provenance=painting.provenance,
            warnings=painting.warnings,
        )

    def _finish(self, job: _Job, ending: Made | Failed) -> None:
        # Out here the exception and its frames are gone, and with them the tensors that they held.
        pipeline = self._pipeline
        with self._work:
            if job.control.cancelled:  # "cancelled" was promised, even if the last step was already done
                ending = failure(job.job_id, Cancelled())
            self._running = None
            self._release_at = self._clock() + self._idle_s if self._idle_s > 0 else None
            self._post(ending)
        _log.info("Job %s: %s", job.job_id, ending.code if isinstance(ending, Failed) else "done")
        if pipeline is not None and isinstance(ending, Failed) and ending.code == "out_of_memory":
            self._release(pipeline, "out of memory")
        self._measure()

    def _release(self, pipeline: Pipeline, why: str) -> None:
        _log.info("Giving memory back: %s", why)
        with self._work:
            self._release_at = None
        pipeline.release()
        self._measure()

    def _alive(self) -> None:
        self._steps += 1
        if self._clock() - self._measured_at >= MEMORY_EVERY_S:
            self._measure()

    def _measure(self) -> None:
        if self._pipeline is not None:
            self._device_bytes = self._pipeline.memory().device_bytes
            self._measured_at = self._clock()


def _bytes(request: Request) -> int:
    """What a waiting request holds in memory, its pictures or its sound."""
    if isinstance(request, PictureRequest):
        return request.waveform.nbytes
    return request.frames.nbytes + (0 if request.motion is None else request.motion.nbytes)
