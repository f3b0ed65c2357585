# SPDX-License-Identifier: GPL-3.0-or-later
"""The one live object of the add-on: the worker's client, the jobs, and what is needed to finish each of
them.

Made on first use by live.py, ended when the add-on is disabled. It holds names, numbers and arrays,
never a reference to anything of Blender's: undo and file loads would free it. Main thread only, apart from
``_deliver``.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..jobs import CANCELLING, CAPTURING, DONE, NOT_PLACED, PLACED, QUEUED, SENT, Fact, Job, JobTable
from ..wire.errors import FootfallError
from ..worker.reports import FAILED, OFF, Delivered, Report, WorkerStatus
from . import settings, texts
from .worker import bundles
from .worker import setup as setup_worker
from .worker.launch import make_launch
from .writing import Delivery, picture_writer, sound_writer

if TYPE_CHECKING:
    from ..worker.client import JobClient
    from .orders import Order
    from .pictures.orders import PictureOrder
    from .worker.launch import Launch

log = logging.getLogger(__name__)

SOUND = "sound"  # source of an order for pictures of a sound, see pictures/orders.py
KEPT_REQUESTS = 4  # pictures of failed jobs that are kept for another try


class Follower(Protocol):
    """Who else wants to know of a job: a batch, a farm. ``drawn`` is called on the main thread and says
    whether the request is to be sent; ``delivered`` is called on the client's thread.
    """

    @property
    def job_id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def shot_key(self) -> str: ...
    def drawn(self, request: Any) -> bool: ...
    def delivered(self, stored: Any) -> None: ...


@dataclass(slots=True)
class Work:
    """What one job needs beside its entry in the table. ``order``: orders.Order, or of pictures a
    pictures.orders.PictureOrder; ``notes``: what the user should know when it is done; ``watch``: who else
    wants to know.
    """

    order: Any
    request: Any = None  # FoleyRequest, until the sound is there
    heard: tuple[Any, ...] = ()
    notes: list[str] = field(default_factory=list)
    started: float = 0.0
    took_s: float = 0.0
    watch: Follower | None = None


class Session:
    """Jobs of this Blender, their worker, and which file they belong to.

    clock: monotonic seconds, passed in for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.table = JobTable()
        self.works: dict[str, Work] = {}
        self.status = WorkerStatus()
        self.capture: Any = None  # the running capture, see capture/jobs.py
        self.batch: Any = None  # shots.batch.Running, the last one
        self.placing: Any = None  # of the job whose strips are being added a Placing, or a Keeping of hits
        self.preview: Any = None  # live_preview.Preview while it is switched on
        self.status_text: str | None = None  # what the status bar says on our behalf
        self.file_id = uuid.uuid4().hex
        self.paths: dict[str, str] = {}  # file_id -> where that file lies now; "" while unsaved
        self.look_for_strips = False  # undo may have taken some away
        self.did = ""  # what this tick was about, for the record of slow ones
        self.touched = ""  # the job that the pump is busy with, to blame if something breaks
        self.last_event = clock()
        self.models_folder: Path | None = None  # instead of the preferences'
        self._starting = False  # asked for, but the client has not said so yet
        self._client: JobClient | None = None
        self._launch: Launch | None = None
        self._settings: settings.Settings = settings.current()
        self._deliveries: dict[str, Delivery] = {}

    # The worker ----------------------------------------------------------------------------------------

    @property
    def client(self) -> JobClient | None:
        """The client, if a job has needed one yet."""
        return self._client

    def need_client(self) -> JobClient:
        """The client, ready to take jobs with the present preferences. Raises WorkerNotInstalled."""
        self._settings = self._current()
        launch = make_launch(self._settings, lambda: self._settings)
        moved = self._launch is None or launch.where != self._launch.where
        if self._client is not None and moved and not self.table.active():
            self._client.close(timeout_s=0.2)
            self._client = None
        if self._client is None:
            from ..worker.client import JobClient

            self._launch = launch
            self._client = JobClient(launch, deliver=self._deliver, version=_version())
        return self._client

    def warm_up(self) -> None:
        """Start the worker while the first pictures are taken. Raises WorkerNotInstalled.

        One that has given up is tried again: the user has just asked for it.
        """
        client = self.need_client()
        if client.status.state == FAILED or (client.status.state == OFF and not self._starting):
            self._starting = True
            client.restart(self._launch)

    def restart_worker(self) -> None:
        """End the worker if there is one and start it with the present preferences. Raises
        WorkerNotInstalled.
        """
        self._settings = self._current()
        launch = make_launch(self._settings, lambda: self._settings)
        self.need_client().restart(launch)
        self._launch = launch

    @property
    def output_folder(self) -> Path | None:
        """The folder for sound that the user has chosen, if any."""
        return settings.current().output_folder

    def _current(self) -> settings.Settings:
        now = settings.current()
        return dataclasses.replace(now, models_folder=self.models_folder or now.models_folder)

    # What the user asks --------------------------------------------------------------------------------

    def add(self, order: Order | PictureOrder, request: Any = None, watch: Follower | None = None) -> str:
        """Queue a job; the pump does the rest. ``request``: from an earlier try, so that nothing is drawn
        again; ``watch``: see Work.
        """
        self.warm_up()
        job_id = uuid.uuid4().hex if watch is None else watch.job_id
        label = order.label if watch is None else watch.label
        facts: dict[str, Fact] = {
            "scene": order.scene_name,
            "file_id": order.file_id,
            "pictures": order.source == SOUND,
        }
        self.table.add(job_id, label, facts)
        self.works[job_id] = Work(order=order, request=request, started=self.clock(), watch=watch)
        self._forget()
        return job_id

    def adopt(self, order: Order, stored: Any) -> str:
        """A job that was finished before, in this session or another: only its strips are to be placed."""
        job_id = uuid.uuid4().hex
        job = self.table.add(job_id, order.label, {"scene": order.scene_name})
        self.works[job_id] = Work(order=order, started=self.clock())
        for state in (SENT, DONE):
            self.table.move(job_id, state, self.clock())
        job.stored = stored
        self._forget()
        return job_id

    def cancel(self, job_id: str) -> None:
        """Stop a job in whatever state it is; one that has ended stays as it is."""
        job = self.table.get(job_id)
        if job is None or not job.active:
            return
        if job.state in (QUEUED, CAPTURING):
            self.drop_capture(job_id)
            self.table.fail(job_id, self.clock(), "cancelled", "Cancelled.")
        elif job.state != CANCELLING and self._client is not None:
            self._client.cancel(job_id)
            self.table.move(job_id, CANCELLING, self.clock())

    def retry(self, job_id: str) -> str:
        """The same order again, as a new job; the ended one leaves the list. Raises KeyError."""
        work = self.works[job_id]
        new = self.add(work.order, work.request)
        self.remove(job_id)
        return new

    def remove(self, job_id: str) -> None:
        """Take an ended job off the list; its files stay."""
        self.table.remove(job_id)
        self.works.pop(job_id, None)
        self._deliveries.pop(job_id, None)

    def fail(self, job_id: str, error: FootfallError) -> None:
        """End a job, or keep its finished sound for later, with the error's own words."""
        job = self.table.get(job_id)
        if job is None:
            return
        if job.active:
            self.drop_capture(job_id)
            self.table.fail(job_id, self.clock(), error.code, error.sentence, error.detail)
        elif job.state in (DONE, NOT_PLACED, PLACED):
            self.table.move(job_id, NOT_PLACED, self.clock())
            job.code, job.sentence, job.detail = error.code, error.sentence, error.detail

    def drop_capture(self, job_id: str) -> None:
        """End the running capture if it is this job's; the scene gets back what was changed."""
        if self.capture is not None and self.capture.job_id == job_id:
            running, self.capture = self.capture, None
            running.abort()

    # What happens --------------------------------------------------------------------------------------

    def send(self, job_id: str, request: Any, blend_path: str) -> None:
        """Hand a captured job to the worker. Raises WorkerError."""
        work = self.works[job_id]
        if work.watch is not None and not work.watch.drawn(request):
            self.table.fail(job_id, self.clock(), "unchanged", "Nothing has changed.")
            return
        order = work.order
        if order.look is not None:
            self.table.fail(job_id, self.clock(), "cancelled", "Looked at.")
            self.remove(job_id)
            order.look(request)
            return
        work.request = request
        client = self.need_client()
        folder = self._settings.output_folder
        job = self.table.get(job_id)
        pictures = job is not None and makes_pictures(job)
        self._deliveries[job_id] = Delivery(
            write=picture_writer(order, request) if pictures else sound_writer(work, request),
            what="picture" if pictures else "sound",
            blend_path=blend_path,
            preference=str(folder) if folder else "",
            watch=work.watch,
        )
        client.submit(job_id, request)
        self.table.move(job_id, SENT, self.clock())

    def take(self, event: Report) -> None:
        """Take in one event of the client."""
        self.last_event = self.clock()
        if isinstance(event, WorkerStatus):
            self.status, self._starting = event, False
            if event.bundles:
                bundles.report(event.bundles)
            return
        if self.preview is not None and self.preview.take(self, event):
            return
        job = self.table.apply(event, self.clock())
        if job is not None and isinstance(event, Delivered):
            work = self.works[job.job_id]
            work.heard, work.request = getattr(event.result, "heard", ()), None  # pictures hear nothing
            work.took_s = self.clock() - work.started
            work.notes += [texts.clean(note) for note in event.result.warnings]

    def store_again(self, job_id: str) -> None:
        """Write a sound that could not be saved before, with the present preferences. Raises SaveError."""
        job = self.table.get(job_id)
        if job is None or job.result is None:
            return
        now = settings.current()
        old = self._deliveries[job_id]
        self._deliveries[job_id] = dataclasses.replace(
            old,
            blend_path=self.paths.get(self.works[job_id].order.file_id, old.blend_path),
            preference=str(now.output_folder) if now.output_folder else "",
        )
        job.stored = self._deliver(job_id, job.result)
        job.result = None

    def _deliver(self, job_id: str, result: Any) -> object:
        """Write a result to disk; on the client's thread. Raises SaveError or BadInput.

        A draft of the live preview stays in memory.
        """
        wanted = self._deliveries.get(job_id)
        return None if wanted is None else wanted.store(result)

    def belongs_here(self, job: Job) -> bool:
        """Whether the file that is open now is the one that the job was started in."""
        theirs = self.works[job.job_id].order.file_id
        here = self.paths.get(self.file_id, "")
        return theirs == self.file_id or (bool(here) and self.paths.get(theirs) == here)

    def file_saved(self, path: str) -> None:
        """The open file lies at ``path`` now; its jobs follow it there."""
        self.paths[self.file_id] = path

    def file_loaded(self, path: str) -> None:
        """Another file is open; the jobs of the last one finish, but not into this one."""
        self.placing, self.status_text = None, None
        self.file_id = uuid.uuid4().hex
        self.paths[self.file_id] = path

    def file_closing(self) -> None:
        """What has not been drawn yet cannot be drawn any more."""
        self._end_preview()
        for job in self.table.active():
            if job.state in (QUEUED, CAPTURING) and self.works[job.job_id].request is None:
                self.fail(
                    job.job_id, FootfallError("Another file was opened before all pictures were taken.")
                )

    def waiting(self) -> Job | None:
        """The next job whose turn it is to be drawn."""
        return next((job for job in self.table.all() if job.state == QUEUED), None)

    def close(self) -> None:
        """End capture, setup, worker and thread; a running job is given up."""
        self._end_preview()
        setup_worker.close()
        if self.capture is not None:
            running, self.capture = self.capture, None
            running.abort()
        if self._client is not None:
            self._client.close(timeout_s=2.5)
            self._client = None
        if self.batch is not None:
            self.batch.book.close()

    def _end_preview(self) -> None:
        if self.preview is not None:
            from .sounds import live_preview

            live_preview.close(self)

    def _forget(self) -> None:
        """Drop what belongs to jobs that the table has forgotten, and all but the last pictures of failed
        ones.
        """
        for job_id in [known for known in self.works if known not in self.table]:
            self.works.pop(job_id, None)
            self._deliveries.pop(job_id, None)
        idle = [
            job for job in self.table.all() if not job.active and self.works[job.job_id].request is not None
        ]
        for job in idle[:-KEPT_REQUESTS]:
            self.works[job.job_id].request = None


def makes_pictures(job: Job) -> bool:
    """Whether a job is for pictures of a sound, rather than for a sound."""
    return job.facts.get("pictures") is True


def _version() -> str:
    from ... import __version__

    return __version__
