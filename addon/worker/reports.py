# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client tells its owner: worker status, delivered results, and the queue in which events wait.

The queue is filled by the IO thread and emptied by whoever asks. It is bounded by construction: per job at
most one event of each kind waits (progress is merged), and statuses of one state are merged, so an owner that
does not ask for minutes loses nothing and costs nothing but the results themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..wire.errors import FootfallError
from ..wire.messages import Accepted, BundleInfo, CancelReply, Failed, Made, PictureResult, Progress, Result

OFF, STARTING, READY, LOADING, BUSY, RESTARTING, FAILED = (
    "off",
    "starting",
    "ready",
    "loading",
    "busy",
    "restarting",
    "failed",
)
WORKER_STATES = (OFF, STARTING, READY, LOADING, BUSY, RESTARTING, FAILED)
STATUSES = 64  # status events that wait at most; older ones are told by the newer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """How the worker is. ``sentence``: for the panel, with what to do next when something is wrong.

    ``silent_s``: seconds since the worker was last heard; a busy worker may be silent for long and live.
    """

    state: str = OFF
    sentence: str = ""
    detail: str = ""
    device: str = ""
    bundles: tuple[BundleInfo, ...] = ()
    version: str = ""
    pid: int = 0
    starts: int = 0
    memory_bytes: int = 0
    device_memory_bytes: int = 0
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivered:
    """A result that ``deliver`` has dealt with. ``stored``: what it returned; ``problem``: why it could not.

    With a problem the result is still here by value, so nothing is lost.
    """

    job_id: str
    result: Made
    stored: object | None = None
    problem: FootfallError | None = None


Report = Accepted | Progress | Made | Delivered | Failed | CancelReply | WorkerStatus
_ENDS = (Result, PictureResult, Delivered, Failed)


def result_bytes(result: Made) -> int:
    """Memory that the waveforms or pixels of ``result`` hold."""
    if isinstance(result, PictureResult):
        return sum(picture.pixels.nbytes for picture in result.pictures)
    return sum(clip.waveform.nbytes for clip in result.clips)


@dataclass(slots=True)
class EventQueue:
    """Events in the order in which they happened; thread-safe."""

    _events: list[Report] = field(default_factory=list)
    _bytes: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, event: Report) -> None:
        """Add ``event``, or let it replace the one of its kind that still waits for the same job."""
        with self._changed:
            if isinstance(event, WorkerStatus):
                self._put_status(event)
            elif isinstance(event, _ENDS):
                self._events.append(event)
                self._bytes += _weight(event)
            else:
                self._put_merged(event)
            self._changed.notify_all()

    def _put_merged(self, event: Accepted | Progress | CancelReply) -> None:
        for index in range(len(self._events) - 1, -1, -1):
            waiting = self._events[index]
            if isinstance(waiting, WorkerStatus) or waiting.job_id != event.job_id:
                continue
            if type(waiting) is type(event):
                self._events[index] = event
                return
            if isinstance(waiting, _ENDS):
                break  # what follows an end belongs to another try
        self._events.append(event)

    def _put_status(self, event: WorkerStatus) -> None:
        if self._events and _same_state(self._events[-1], event):
            self._events[-1] = event
            return
        waiting = [i for i, e in enumerate(self._events) if isinstance(e, WorkerStatus)]
        if len(waiting) >= STATUSES:
            del self._events[waiting[0]]
        self._events.append(event)

    def take(self, limit: int | None = None) -> list[Report]:
        """At most ``limit`` of the oldest events, removed from the queue."""
        with self._changed:
            return self._take(limit)

    def wait(self, timeout_s: float, limit: int | None = None) -> list[Report]:
        """As ``take``, but waits up to ``timeout_s`` seconds for the first event."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._events), timeout_s)
            return self._take(limit)

    def _take(self, limit: int | None) -> list[Report]:
        taken = self._events[:limit]
        del self._events[: len(taken)]
        self._bytes -= sum(_weight(event) for event in taken)
        return taken

    def __len__(self) -> int:
        with self._changed:
            return len(self._events)

    @property
    def bytes_waiting(self) -> int:
        """Memory held by results that nobody has taken yet."""
        with self._changed:
            return self._bytes


def _weight(event: Report) -> int:
    if isinstance(event, Delivered):
        return result_bytes(event.result)
    return result_bytes(event) if isinstance(event, Made) else 0


def _same_state(waiting: Report, event: WorkerStatus) -> bool:
    return isinstance(waiting, WorkerStatus) and (waiting.state, waiting.sentence) == (
        event.state,
        event.sentence,
    )


def last(events: Sequence[Report], kind: type) -> Report | None:
    """The newest event of ``kind`` among ``events``."""
    return next((event for event in reversed(events) if isinstance(event, kind)), None)
