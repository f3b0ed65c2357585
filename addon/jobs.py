# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of one Blender session: what state each is in, and which moves are legal.

Pure: no clock (``now`` is passed in), no thread, and nothing of Blender's. A job knows its scene and strips
by name and UUID only, because undo and file loads free the objects behind any reference that we might keep.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from .wire.errors import Malformed
from .wire.fields import pack_fields
from .wire.messages import Accepted, CancelReply, Failed, Made, Progress, Request
from .worker.reports import Delivered, Report, WorkerStatus

QUEUED, CAPTURING, SENT, RUNNING, CANCELLING = "queued", "capturing", "sent", "running", "cancelling"
DONE, FAILED, CANCELLED, PLACED, NOT_PLACED = "done", "failed", "cancelled", "placed", "not_placed"

_ENDS = {DONE, FAILED, CANCELLED}
MOVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        QUEUED: frozenset({CAPTURING, SENT, FAILED, CANCELLED}),
        CAPTURING: frozenset({SENT, FAILED, CANCELLED}),
        SENT: frozenset({RUNNING, CANCELLING, *_ENDS}),
        RUNNING: frozenset({SENT, CANCELLING, *_ENDS}),  # SENT: waits for a fresh worker
        CANCELLING: frozenset(_ENDS),  # DONE: the result was faster than the wish
        DONE: frozenset({PLACED, NOT_PLACED}),
        NOT_PLACED: frozenset({PLACED}),
        PLACED: frozenset({NOT_PLACED}),  # its strip was deleted or undone; the sound is kept
        FAILED: frozenset({QUEUED, SENT}),  # the user tries again
        CANCELLED: frozenset({QUEUED, SENT}),
    }
)
STATES = tuple(MOVES)
ACTIVE = frozenset({QUEUED, CAPTURING, SENT, RUNNING, CANCELLING})
HISTORY = 200  # ended jobs that are remembered

Fact = str | int | float | bool | None | Fraction | tuple["Fact", ...]


class IllegalMove(ValueError):
    """A state that does not follow from the present one: a mistake in the caller."""


@dataclass(slots=True)
class TimeLeft:
    """Seconds to go, steady enough to read: the predicted end is smoothed, then counted down."""

    weight: float = 0.3
    _began: float | None = None
    _end: float | None = None

    def update(self, now: float, fraction: float, left_s: float) -> None:
        """``left_s`` as the worker says; -1: judged from ``fraction`` and the time since the first call."""
        if self._began is None:
            self._began = now
        if left_s < 0:
            spent = now - self._began
            if fraction < 0.05 or spent < 1.0:
                return  # too early to tell
            left_s = spent * (1 - fraction) / fraction
        end = now + left_s
        self._end = end if self._end is None else self._end + self.weight * (end - self._end)

    def value(self, now: float) -> float | None:
        """Seconds left, never negative; None while not known."""
        return None if self._end is None else max(0.0, self._end - now)


@dataclass(slots=True)
class Job:
    """One entry. ``facts``: names, UUIDs and numbers that its owner needs to place the sound later."""

    job_id: str
    label: str
    facts: Mapping[str, Fact]
    state: str = QUEUED
    phase: str = ""
    fraction: float = 0.0
    code: str = ""
    sentence: str = ""
    detail: str = ""
    stored: object | None = None
    result: Made | None = None
    ended: float | None = None
    left: TimeLeft = field(default_factory=TimeLeft)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def left_s(self, now: float) -> float | None:
        """Seconds to go, or None while not known or not running."""
        return self.left.value(now) if self.state == RUNNING else None


class JobTable:
    """One entry per job id, in the order in which they were added."""

    def __init__(self, history: int = HISTORY) -> None:
        self._jobs: dict[str, Job] = {}
        self._history = history

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        return list(self._jobs.values())

    def active(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.active]

    def add(self, job_id: str, label: str = "", facts: Mapping[str, Fact] | None = None) -> Job:
        """The entry of ``job_id``, made if there is none. Raises TypeError when a fact is not plain data."""
        known = self._jobs.get(job_id)
        if known is not None:
            return known
        if len(job_id) != 32 or not set(job_id) <= set("0123456789abcdef"):
            raise Malformed("A job's id has 32 hexadecimal digits.")
        plain = dict(facts or {})
        for name, value in plain.items():
            _plain(name, value)
        job = Job(job_id, label, MappingProxyType(plain))
        self._jobs[job_id] = job
        return job

    def remove(self, job_id: str) -> None:
        """Forget an ended job. Raises IllegalMove while it is active."""
        job = self._jobs.get(job_id)
        if job is not None and job.active:
            raise IllegalMove(f"{job.state} jobs cannot be removed")
        self._jobs.pop(job_id, None)

    def move(self, job_id: str, state: str, now: float) -> Job:
        """Set the state. Raises KeyError for an unknown job, IllegalMove for a state that does not follow."""
        job = self._jobs[job_id]
        if state == job.state:
            return job
        if state not in MOVES[job.state]:
            raise IllegalMove(f"{job.state} -> {state}")
        if state in (QUEUED, SENT) and not job.active:
            job.code = job.sentence = job.detail = job.phase = ""
            job.fraction, job.ended, job.left = 0.0, None, TimeLeft()
        elif state == SENT:
            job.phase, job.fraction, job.left = "", 0.0, TimeLeft()
        if job.active and state not in ACTIVE:
            job.ended = now
        job.state = state
        if not job.active:
            self._forget_old()
        return job

    def fail(self, job_id: str, now: float, code: str, sentence: str, detail: str = "") -> Job:
        """End an active job without a result; ``code`` "cancelled" counts as the user's wish."""
        job = self.move(job_id, CANCELLED if code == "cancelled" else FAILED, now)
        job.code, job.sentence, job.detail = code, sentence, detail
        return job

    def apply(self, event: Report, now: float) -> Job | None:
        """Take in what the client reports. The job that changed, or None when the event changes nothing.

        Events of unknown or ended jobs are late and harmless.
        """
        if isinstance(event, WorkerStatus):
            return None
        job = self._jobs.get(event.job_id)
        if job is None or not job.active:
            return None
        if isinstance(event, Failed):
            return self.fail(event.job_id, now, event.code, event.sentence, event.detail)
        if isinstance(event, Made | Delivered):
            return self._finish(job, event, now)
        if isinstance(event, CancelReply):
            return self._cancel_reply(job, event, now)
        return self._advance(job, event, now)

    def _finish(self, job: Job, event: Made | Delivered, now: float) -> Job:
        if job.state in (QUEUED, CAPTURING):
            self.move(job.job_id, SENT, now)
        self.move(job.job_id, DONE, now)
        job.fraction = 1.0
        if isinstance(event, Delivered):
            job.stored, job.result = event.stored, event.result
            if event.problem is not None:
                job.code, job.sentence = event.problem.code, event.problem.sentence
                job.detail = event.problem.detail
        else:
            job.result = event
        return job

    def _cancel_reply(self, job: Job, event: CancelReply, now: float) -> Job | None:
        if event.outcome == "cancelled" and job.state in (SENT, RUNNING):
            return self.move(job.job_id, CANCELLING, now)
        return None

    def _advance(self, job: Job, event: Accepted | Progress, now: float) -> Job | None:
        if job.state in (QUEUED, CAPTURING, CANCELLING):
            return None
        self.move(job.job_id, RUNNING, now)
        if isinstance(event, Progress):
            job.phase = event.phase
            job.fraction = max(job.fraction, event.fraction)
            job.left.update(now, event.fraction, event.left_s)
        return job

    def _forget_old(self) -> None:
        """Drop the oldest ended jobs beyond the history; sound that waits for its place is dropped last."""
        ended = [job for job in self._jobs.values() if not job.active]
        ended.sort(key=lambda job: (job.state in (DONE, NOT_PLACED), job.ended or 0.0))
        for job in ended[: max(0, len(ended) - self._history)]:
            del self._jobs[job.job_id]


@dataclass(slots=True)
class RetryBudget:
    """How often each job has ended a worker. Only the job that ran is blamed; at ``most`` it is not sent.

    A job is known by what it asks for, not by its id, so that trying again under a new id does not help.
    """

    most: int = 2
    remembered: int = 1_000
    _kills: dict[bytes, int] = field(default_factory=dict)

    def blame(self, request: Request) -> int:
        """Count one more ended worker against ``request``; the new count."""
        name = _digest(request)
        kills = self._kills.pop(name, 0) + 1
        self._kills[name] = kills
        while len(self._kills) > self.remembered:
            del self._kills[next(iter(self._kills))]
        return kills

    def spent(self, request: Request) -> bool:
        """True once it must not be sent again. Costs nothing as long as nobody is to blame."""
        return bool(self._kills) and self._kills.get(_digest(request), 0) >= self.most

    def reset(self) -> None:
        """The user has changed something (restarted the worker): everybody gets a new chance."""
        self._kills.clear()


def _digest(request: Request) -> bytes:
    buffers: list[memoryview] = []
    plain = pack_fields(request, buffers)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for buffer in buffers:
        digest.update(buffer)
    return digest.digest()


def _plain(name: str, value: object) -> None:
    if isinstance(value, tuple):
        for entry in value:
            _plain(name, entry)
    elif not (value is None or type(value) in (str, int, float, bool, Fraction)):
        raise TypeError(f"{name} must be plain data, not {type(value).__name__}")
