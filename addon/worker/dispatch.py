# SPDX-License-Identifier: GPL-3.0-or-later
"""Which job goes to the worker, and what becomes of it. No socket, no process, no thread, no clock.

One job is with the worker at a time; the others wait here, where they survive its death unblamed and can be
cancelled at once. Messages may get lost when a connection breaks: whatever is not acknowledged by the time a
later ping is answered is sent again, and the worker runs a job once however often it arrives. A job ends with
exactly one of Result, PictureResult, Delivered and Failed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..jobs import RetryBudget
from ..wire.errors import FootfallError, WireError, WorkerTimeout
from ..wire.limits import DETAIL, SENTENCE
from ..wire.liveness import KILL_AFTER_S, STEP_DEADLINE_S, Action, StepDeadline
from ..wire.messages import (
    Accepted,
    Cancel,
    CancelReply,
    Failed,
    Made,
    Message,
    PictureRequest,
    Pong,
    Progress,
    Received,
    Request,
    Submit,
    SubmitPicture,
)
from ..wire.texts import scrub
from .reports import Delivered, Report
from .result_check import check_result

CANCEL_REPLY_S = 0.15  # then a wish to cancel is acknowledged here, so that a busy worker delays nobody
WAITING_JOBS = 256
REMEMBERED = 1_000  # ended job ids
IDLE_PONGS = 2  # an idle worker that says so twice has lost the job, or we its result

Deliver = Callable[[str, Made], object | None]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flight:
    """The job that the worker has."""

    job_id: str
    request: Request
    watch: StepDeadline
    sent_at_ping: int
    accepted: bool = False
    seen: tuple[str, float] = ("", 0.0)
    idle_pongs: int = 0
    cancel_at: float | None = None  # when the user asked
    cancel_at_ping: int = 0
    cancel_answered: bool = False  # by the worker
    cancel_told: bool = False  # to the user


class Dispatcher:
    """``report`` takes events for the owner; messages for the worker wait in ``outbox``, oldest first."""

    def __init__(
        self,
        report: Callable[[Report], None],
        *,
        deliver: Deliver | None = None,
        may_send: Callable[[], bool] = lambda: True,
        step_deadline_s: float = STEP_DEADLINE_S,
        kill_after_s: float = KILL_AFTER_S,
    ) -> None:
        self._report = report
        self._deliver = deliver
        self._may_send = may_send
        self._deadlines = {"deadline_s": step_deadline_s, "kill_after_s": kill_after_s}
        self._waiting: dict[str, Request] = {}
        self._flight: _Flight | None = None
        self._ended: dict[str, str] = {}  # job id -> "done" or the code of its failure
        self._told: set[str] = set()  # jobs of which this run of the worker knows; it answers each id once
        self._budget = RetryBudget()
        self._up = False
        self.pings = 0  # number of the last ping in the outbox or sent
        self.outbox: deque[Message] = deque()
        self.kill_wanted = ""  # why the worker must be ended, or empty
        self.results = 0  # delivered so far

    # What the owner asks -------------------------------------------------------------------------------

    def submit(self, job_id: str, request: Request) -> None:
        """Take the job in, or report why not. A job that is here already is taken once."""
        if job_id in self._waiting or (self._flight and self._flight.job_id == job_id):
            return
        if self._ended.get(job_id) == "done":
            self._fail(job_id, "bad_input", "This job is done already; start a new one.")
        elif job_id in self._told:
            self._fail(job_id, "bad_input", "This job has ended already; start a new one.")
        elif self._budget.spent(request):
            self._fail(job_id, "worker_died", _POISON)
        elif len(self._waiting) >= WAITING_JOBS:
            self._fail(job_id, "limit", f"{WAITING_JOBS} jobs wait already; try again when some are done.")
        else:
            self._waiting[job_id] = request

    def cancel(self, job_id: str, now: float) -> None:
        """Stop one job; the answer is a CancelReply, at once or within CANCEL_REPLY_S."""
        flight = self._flight
        if job_id in self._waiting:
            del self._waiting[job_id]
            self._reply(job_id, "cancelled")
            self._fail(job_id, "cancelled", "Cancelled.")
        elif flight and flight.job_id == job_id:
            if flight.cancel_told:
                self._reply(job_id, "cancelled")
            elif flight.cancel_at is None:
                flight.cancel_at = now
                flight.watch.cancelled(now)
                self._send_cancel(flight)
        else:
            self._reply(job_id, "not_running" if job_id in self._ended else "unknown")

    def forgive(self) -> None:
        """The user restarts the worker: what ended it before may be tried again."""
        self._budget.reset()

    @property
    def wants_worker(self) -> bool:
        return bool(self._waiting) or self._flight is not None

    @property
    def job_id(self) -> str:
        """The job that the worker has, or empty."""
        return self._flight.job_id if self._flight else ""

    @property
    def phase(self) -> str:
        """What the worker last said about that job."""
        return self._flight.seen[0] if self._flight else ""

    # What happens to the worker ------------------------------------------------------------------------

    def worker_up(self) -> None:
        """A fresh worker is ready."""
        self._up = True
        self._told.clear()
        self.outbox.clear()
        self.pings = 0

    def worker_gone(self, reason: str, detail: str = "", *, asked: bool = False) -> None:
        """The worker has exited, or is about to because we asked (``asked``: its job is not to blame)."""
        self._up = False
        self.kill_wanted = ""
        self._told.clear()
        self.outbox.clear()
        flight, self._flight = self._flight, None
        if flight is None:
            return
        if flight.cancel_at is not None:
            self._end_cancelled(flight)
            return
        if asked:
            self._waiting = {flight.job_id: flight.request, **self._waiting}
            return
        self._budget.blame(flight.request)
        sentence = _POISON if self._budget.spent(flight.request) else _DIED.format(reason=reason)
        self._end(flight, "worker_died", sentence, f"{reason}\n{detail}".strip())

    def give_up(self, error: FootfallError) -> None:
        """There will be no worker: every job ends."""
        self._up = False
        self.outbox.clear()
        flight, self._flight = self._flight, None
        waiting, self._waiting = list(self._waiting), {}
        if flight and flight.cancel_at is not None:
            self._end_cancelled(flight)
        elif flight:
            waiting.insert(0, flight.job_id)
        for job_id in waiting:
            self._fail(job_id, error.code, error.sentence, error.detail)

    # What the worker says ------------------------------------------------------------------------------

    def hear(self, message: Message, now: float) -> None:
        """Take in one message of the running worker."""
        if isinstance(message, Pong):
            self._pong(message, now)
        elif isinstance(message, Made):
            self._result(message)
        elif isinstance(message, Accepted | Progress | Failed | CancelReply):
            flight = self._flight
            if flight is not None and flight.job_id == message.job_id:
                self._about(flight, message, now)
            elif isinstance(message, Failed):
                self.outbox.append(Received(job_id=message.job_id))

    def _about(
        self, flight: _Flight, message: Accepted | Progress | Failed | CancelReply, now: float
    ) -> None:
        if isinstance(message, Failed):
            self._failed(flight, message)
        elif isinstance(message, CancelReply):
            self._cancel_reply(flight, message)
        else:
            if not flight.accepted:
                flight.accepted = True
                self._report(Accepted(job_id=message.job_id))
            if isinstance(message, Progress):
                self._progress(flight, message, now)

    def garbled(self, error: WireError) -> None:
        """An authentic message could not be read: the job with the worker cannot be trusted to end well."""
        _log.error("unreadable message from the worker: %s %s", error.sentence, error.detail)
        if self._flight is not None:
            flight, self._flight = self._flight, None
            self.outbox.append(Cancel(job_id=flight.job_id))
            self.outbox.append(Received(job_id=flight.job_id))
            self._end(flight, error.code, f"The worker's answer was not used: {error.sentence}", error.detail)

    def _progress(self, flight: _Flight, message: Progress, now: float) -> None:
        seen = (message.phase, message.fraction)
        if seen != flight.seen:
            flight.watch.progress(now)
        if message.fraction >= flight.seen[1]:
            flight.seen = seen
            if flight.cancel_at is None:
                self._report(message)

    def _result(self, message: Made) -> None:
        flight = self._flight
        if flight is None or flight.job_id != message.job_id:
            self.outbox.append(Received(job_id=message.job_id))  # we have it, or nobody wants it
            return
        self._flight = None
        if flight.cancel_told:
            self._end(flight, "cancelled", "Cancelled.")
        else:
            try:
                check_result(flight.request, message)
            except WireError as error:
                self._end(flight, error.code, error.sentence, error.detail)
            else:
                self._hand_over(flight, message)
        self.outbox.append(Received(job_id=message.job_id))

    def _hand_over(self, flight: _Flight, message: Made) -> None:
        if flight.cancel_at is not None:  # the result was faster than the wish
            self._reply(flight.job_id, "not_running")
        if not flight.accepted:
            self._report(Accepted(job_id=flight.job_id))
        self._remember(flight.job_id, "done")
        self.results += 1
        if self._deliver is None:
            self._report(message)
            return
        stored, problem = None, None
        try:
            stored = self._deliver(message.job_id, message)
        except FootfallError as error:
            problem = error
        except OSError as error:
            problem = FootfallError(
                "The result could not be saved; choose another output folder.", str(error)
            )
        self._report(Delivered(job_id=message.job_id, result=message, stored=stored, problem=problem))

    def _failed(self, flight: _Flight, message: Failed) -> None:
        self._flight = None
        self.outbox.append(Received(job_id=message.job_id))
        self._end(flight, message.code, message.sentence, message.detail)

    def _cancel_reply(self, flight: _Flight, message: CancelReply) -> None:
        if flight.cancel_at is None:
            return  # the answer to a cancel of ours, for a job that hangs
        flight.cancel_answered = True
        if message.outcome == "unknown":  # the job never arrived, so nothing has to be stopped
            self._flight = None
            self._end_cancelled(flight)
        elif message.outcome == "cancelled":
            self._tell_cancel(flight)
        # not_running: its end is on the way, and is sent again if it was lost

    def _pong(self, message: Pong, now: float) -> None:
        flight = self._flight
        if flight is None:
            return
        flight.watch.pong(now, message.steps_done)
        if flight.cancel_at is not None:
            if message.number > flight.cancel_at_ping:
                self._still_there(flight, message)
            return
        if message.number <= flight.sent_at_ping:
            return
        flight.idle_pongs = flight.idle_pongs + 1 if message.state == "idle" else 0
        if not flight.accepted or flight.idle_pongs >= IDLE_PONGS:
            self._send(flight)

    def _still_there(self, flight: _Flight, message: Pong) -> None:
        """A ping sent after the wish to cancel was answered, and the job has not ended here."""
        if message.state == "idle":  # but there: its end was lost
            self._flight = None
            self.outbox.append(Received(job_id=flight.job_id))
            self._end_cancelled(flight)
        elif not flight.cancel_answered:
            self._send_cancel(flight)

    # What time brings ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """To be called often while a worker is there."""
        flight = self._flight
        if flight is not None:
            if flight.cancel_at is not None and now - flight.cancel_at >= CANCEL_REPLY_S:
                self._tell_cancel(flight)
            self._judge(flight, now)
        elif self._up and self._waiting and not self.kill_wanted and self._may_send():
            job_id = next(iter(self._waiting))
            watch = StepDeadline(now, **self._deadlines)
            self._flight = _Flight(job_id, self._waiting.pop(job_id), watch, self.pings)
            self._send(self._flight)

    def _judge(self, flight: _Flight, now: float) -> None:
        action = flight.watch.look(now)
        if action is Action.SOFT_CANCEL:
            _log.warning("job %s makes no progress; asking it to stop", flight.job_id)
            self.outbox.append(Cancel(job_id=flight.job_id))
        elif action is Action.KILL:
            self._flight = None
            self.kill_wanted = "The worker did not stop when asked and was ended."
            if flight.watch.hung:
                self._budget.blame(flight.request)
            self._end(flight, "cancelled", "Cancelled.")

    # Small steps ---------------------------------------------------------------------------------------

    def _send(self, flight: _Flight) -> None:
        flight.sent_at_ping, flight.idle_pongs = self.pings, 0
        self._told.add(flight.job_id)
        request = flight.request
        if isinstance(request, PictureRequest):
            self.outbox.append(SubmitPicture(job_id=flight.job_id, request=request))
        else:
            self.outbox.append(Submit(job_id=flight.job_id, request=request))

    def _send_cancel(self, flight: _Flight) -> None:
        flight.cancel_at_ping = self.pings
        self.outbox.append(Cancel(job_id=flight.job_id))

    def _tell_cancel(self, flight: _Flight) -> None:
        if not flight.cancel_told:
            flight.cancel_told = True
            self._reply(flight.job_id, "cancelled")

    def _end_cancelled(self, flight: _Flight) -> None:
        self._tell_cancel(flight)
        self._end(flight, "cancelled", "Cancelled.")

    def _end(self, flight: _Flight, code: str, sentence: str, detail: str = "") -> None:
        """The job has no result. What the user wished, and what the deadline found, outweigh what is said."""
        if flight.watch.hung:
            code, sentence = WorkerTimeout.code, _HUNG
        elif flight.cancel_at is not None:
            self._tell_cancel(flight)
            code, sentence = "cancelled", "Cancelled."
        self._fail(flight.job_id, code, sentence, detail)

    def _fail(self, job_id: str, code: str, sentence: str, detail: str = "") -> None:
        if self._ended.get(job_id) != "done":
            self._remember(job_id, code)
        self._report(
            Failed(job_id=job_id, code=code, sentence=scrub(sentence, SENTENCE), detail=scrub(detail, DETAIL))
        )

    def _reply(self, job_id: str, outcome: str) -> None:
        self._report(CancelReply(job_id=job_id, outcome=outcome))

    def _remember(self, job_id: str, how: str) -> None:
        self._ended.pop(job_id, None)
        self._ended[job_id] = how
        while len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]


_DIED = "{reason} If generating again ends the same way, use a shorter range, draft quality or the CPU."
_POISON = (
    "This job has ended the worker twice and is not sent again. Use a shorter range or draft quality, or "
    "choose another device and restart the worker."
)
_HUNG = (
    "The worker made no progress for a long time and was stopped. Generate again; if it happens again, use a "
    "shorter range, draft quality or the CPU."
)
