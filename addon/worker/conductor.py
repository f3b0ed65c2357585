# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings worker and jobs together: one ``step`` after the other, no thread, no socket, no clock.

The client's thread calls it with the time and with what the owner asks; tests do the same with a clock and a
wire of their own.
"""

from __future__ import annotations

import logging

from ..wire.errors import Cancelled, FootfallError, WireError
from ..wire.limits import SENTENCE
from ..wire.liveness import KILL_AFTER_S, STEP_DEADLINE_S
from ..wire.messages import Message, Ready
from ..wire.texts import scrub
from . import supervisor as life
from .dispatch import Deliver, Dispatcher
from .reports import BUSY, FAILED, LOADING, OFF, READY, RESTARTING, STARTING, EventQueue, WorkerStatus
from .supervisor import Change, Connect, Down, GaveUp, Patience, Spawn, Supervisor

POLL_S = 0.05  # how often the process is looked at while it works; its death is told within this
IDLE_POLL_S = 0.1
GREET_POLL_S = 0.01
MESSAGES_A_STEP = 64
SOUND_WAITING = 1024 * 1024 * 1024  # bytes of results that nobody has taken; then no further job is sent
_log = logging.getLogger(__name__)


class Conductor:
    """One worker, the jobs for it, and the events for their owner. Used by one thread."""

    def __init__(
        self,
        spawn: Spawn,
        connect: Connect,
        events: EventQueue,
        *,
        deliver: Deliver | None = None,
        version: str = "",
        step_deadline_s: float = STEP_DEADLINE_S,
        kill_after_s: float = KILL_AFTER_S,
        patience: Patience | None = None,
    ) -> None:
        self._events = events
        self.jobs = Dispatcher(
            events.put,
            deliver=deliver,
            may_send=lambda: events.bytes_waiting < SOUND_WAITING,
            step_deadline_s=step_deadline_s,
            kill_after_s=kill_after_s,
        )
        self.worker = Supervisor(spawn, connect, version=version, patience=patience)
        self.status = WorkerStatus()
        self._problem: FootfallError | None = None  # why nothing works until ``restart``
        self._eager = False  # start the worker though no job waits
        self._closing = False
        self._results = 0

    # What is asked -------------------------------------------------------------------------------------

    def restart(self, now: float) -> None:
        """Begin anew, as if nothing had ever gone wrong; the job with the worker is sent again."""
        self._problem = None
        self._eager = True
        self.jobs.forgive()
        self.worker.retry(now)
        self.jobs.worker_gone("The worker was restarted.", asked=True)

    def fail(self, problem: FootfallError, now: float) -> None:
        """Nothing works until ``restart``: the worker and every job end, and jobs that come end at once."""
        self._problem = problem
        self._eager = False
        self.jobs.give_up(problem)
        self.worker.drop(now)
        self._tell(now)

    def close(self, now: float, hurry: float) -> bool:
        """End the worker, in steps; True once it is gone. ``hurry`` scales the ladder's waits."""
        self._closing = True
        self.worker.end(now, hurry=hurry)
        return self.worker.process is None

    def drop(self, now: float) -> None:
        """Let go of everything at once."""
        self.jobs.give_up(Cancelled("Footfall was closed."))
        self.worker.drop(now)
        self._tell(now)

    # Time ----------------------------------------------------------------------------------------------

    @property
    def pause_s(self) -> float | None:
        """Until the next step is due, None: only when something is asked."""
        state = self.worker.state
        if self._closing or state == life.GREETING:
            return GREET_POLL_S
        if state in (life.OFF, life.BROKEN):
            return POLL_S if self._eager else None
        return IDLE_POLL_S if state == life.UP and not self.jobs.wants_worker else POLL_S

    def step(self, now: float) -> None:
        """Everything that is due."""
        for change in self.worker.tick(now):
            self._changed(change)
        for _ in range(MESSAGES_A_STEP):
            if not self._hear(now):
                break
        self.jobs.tick(now)
        self._want(now)
        self._flush()
        self._tell(now)

    def _changed(self, change: Change) -> None:
        if isinstance(change, Down):
            self.jobs.worker_gone(change.error.sentence, change.error.detail, asked=change.asked)
        elif isinstance(change, GaveUp):
            self._eager = False

    def _hear(self, now: float) -> bool:
        try:
            message = self.worker.receive(now)
        except WireError as error:
            self.jobs.garbled(error)
            return True
        if isinstance(message, Ready):
            if self.worker.greeted(message, now):
                self._eager = False
                self.jobs.worker_up()
        elif message is not None and self.worker.state == life.UP:
            self.jobs.hear(message, now)
        return message is not None

    def _want(self, now: float) -> None:
        if self.jobs.results != self._results:
            self._results = self.jobs.results
            self.worker.proved()
        if self._closing:
            return
        if self.jobs.kill_wanted and self.worker.state == life.UP:
            self.worker.end(now, hurry=0.0)
        problem = self._problem or (self.worker.error if self.worker.state == life.BROKEN else None)
        if problem is not None:
            self.jobs.give_up(problem)
        elif self._eager or self.jobs.wants_worker:
            self.worker.want(now)
        else:
            self.worker.rest(now)

    def _flush(self) -> None:
        """Send what waits, in order, as long as the socket takes it."""
        self.jobs.pings = self.worker.pings
        outbox = self.jobs.outbox
        while outbox and self.worker.link is not None and self.worker.state == life.UP:
            try:
                if not self.worker.link.send(outbox[0]):
                    return
            except WireError as error:
                self._unsendable(outbox.popleft(), error)
            else:
                outbox.popleft()

    def _unsendable(self, message: Message, error: WireError) -> None:
        _log.error("%s could not be sent: %s", type(message).__name__, error.sentence)
        self.jobs.garbled(error)

    # Status --------------------------------------------------------------------------------------------

    def _tell(self, now: float) -> None:
        """Keep ``status`` fresh; an event only when something that a user sees has changed."""
        new, old = self._describe(now), self.status
        self.status = new
        seen = (new.state, new.sentence, new.device, new.bundles, new.pid)
        if seen != (old.state, old.sentence, old.device, old.bundles, old.pid):
            self._events.put(new)

    def _describe(self, now: float) -> WorkerStatus:
        worker = self.worker
        ready, pong = worker.ready, worker.pong
        error = self._problem or worker.error
        state, sentence = self._state()
        if error is not None and not sentence:
            sentence = error.sentence
        return WorkerStatus(
            state=state,
            sentence=scrub(sentence, SENTENCE),
            detail=error.detail if error else "",
            device=ready.device if ready else "",
            bundles=ready.bundles if ready else (),
            version=ready.version if ready else "",
            pid=worker.process.pid if worker.process else 0,
            starts=worker.starts,
            memory_bytes=pong.memory_bytes if pong else 0,
            device_memory_bytes=pong.device_memory_bytes if pong else 0,
            silent_s=worker.silent_s(now),
        )

    def _state(self) -> tuple[str, str]:
        worker, pong = self.worker, self.worker.pong
        if self._problem is not None or worker.state == life.BROKEN:
            return FAILED, ""
        if worker.state == life.ENDING:
            return (OFF if self._closing else RESTARTING), ""
        if worker.state in (life.WAITING, life.STARTING, life.GREETING):
            return (RESTARTING if worker.error else STARTING), ""
        if worker.state != life.UP:
            return OFF, ""
        phase = self.jobs.phase
        # A pong may be seconds old; what is said of the job, or that it is done, is newer.
        loads = pong is not None and pong.state == "loading" and bool(self.jobs.job_id) and not phase
        if phase == "loading" or loads:
            return LOADING, ""
        if worker.quiet:
            return BUSY, "The worker is busy and does not answer; it is left alone."
        return (BUSY if self.jobs.job_id else READY), ""
