# SPDX-License-Identifier: GPL-3.0-or-later
"""JobClient: jobs in, events out; one thread of its own talks to the worker.

The rules of this thread: it never touches Blender, it alone uses the socket and the process, and nobody waits
for it. Owners reach it through two queues; a byte on a socket pair wakes it. It starts with the first job,
and so do the worker and the import of zmq. Quitting Blender never waits long for it: it is a daemon.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import supervisor as life
from .dispatch import Deliver, Dispatcher
from .link import Link, load_zmq, release_sender
from .reports import BUSY, FAILED, LOADING, OFF, READY, RESTARTING, STARTING, Delivered, EventQueue, Report
from .reports import WorkerStatus as WorkerStatus
from .supervisor import Down, GaveUp, Patience, Supervisor
from .wire.errors import Cancelled, FootfallError, WireError, WorkerError
from .wire.handshake import WorkerAddress, WorkerSettings
from .wire.limits import SENTENCE
from .wire.liveness import KILL_AFTER_S, STEP_DEADLINE_S
from .wire.messages import Cancel, CancelReply, FoleyRequest, Message, Pong, Ready
from .wire.texts import scrub
from .worker_process import WorkerLaunch, WorkerProcess, tail

__all__ = ["Delivered", "JobClient", "Patience", "Report", "WorkerLaunch", "WorkerStatus"]

POLL_S = 0.05  # how often the process is looked at while it works; its death is told within this
IDLE_POLL_S = 0.1
GREET_POLL_S = 0.01
MESSAGES_A_TURN = 64
SOUND_WAITING = 1024 * 1024 * 1024  # bytes of results that nobody has taken; then no further job is sent
BUGS = 5  # unforeseen errors after which the thread stops trying
_log = logging.getLogger(__name__)


class JobClient:
    """Sends jobs to a worker, which it starts, watches and ends. All methods are thread-safe and never wait,
    except ``wait`` and ``close``.

    launch: how to start the worker. deliver: called on the client's thread with each result; what it returns
    travels in ``Delivered.stored``; it may raise FootfallError or OSError, and must not touch Blender.
    version: of Footfall, told to the worker.
    """

    def __init__(
        self,
        launch: WorkerLaunch,
        *,
        clock: Callable[[], float] = time.monotonic,
        deliver: Deliver | None = None,
        version: str = "",
        step_deadline_s: float = STEP_DEADLINE_S,
        kill_after_s: float = KILL_AFTER_S,
        patience: Patience | None = None,
        load: Callable[[], Any] = load_zmq,
    ) -> None:
        self._events = EventQueue()
        self._io = _IoThread(
            launch,
            self._events,
            clock=clock,
            deliver=deliver,
            version=version,
            deadlines=(step_deadline_s, kill_after_s),
            patience=patience,
            load=load,
        )
        # When nobody holds the client any more; at exit, _IoThread sees to itself.
        self._finalizer = weakref.finalize(self, self._io.close, 3.0)
        self._finalizer.atexit = False

    def submit(self, job_id: str, request: FoleyRequest) -> None:
        """Queue a job; the first one starts the worker. It ends with one Result, Delivered or Failed.

        job_id: 32 hexadecimal digits, else Malformed. The arrays of ``request`` are sent from where they lie,
        so they must not be changed afterwards. Raises WorkerError after ``close``.
        """
        Cancel(job_id=job_id)  # checks its form, here and not on the other thread
        if not isinstance(request, FoleyRequest):
            raise TypeError(f"a FoleyRequest is needed, not {type(request).__name__}")
        self._io.command("submit", job_id, request)

    def cancel(self, job_id: str) -> None:
        """Stop one job, whatever its phase. Answered by a CancelReply, and Failed(cancelled) if it ran."""
        Cancel(job_id=job_id)
        if self._io.started:
            self._io.command("cancel", job_id)
        else:
            self._events.put(CancelReply(job_id=job_id, outcome="unknown"))

    def drain(self, limit: int = 64) -> list[Report]:
        """The oldest events, at most ``limit``; empty when nothing happened."""
        return self._events.take(limit)

    def wait(self, timeout_s: float) -> list[Report]:
        """All events; waits up to ``timeout_s`` for the first. For use without a main loop."""
        return self._events.wait(timeout_s)

    @property
    def status(self) -> WorkerStatus:
        """How the worker is now."""
        return self._io.status

    def restart(self, launch: WorkerLaunch | None = None) -> None:
        """End the worker if there is one, forget past failures, and start it (as ``launch`` says, if given).

        A job that it was making is sent again and not held responsible.
        """
        self._io.command("restart", launch)

    def log_tail(self, lines: int = 40) -> list[str]:
        """The last lines of the worker's log; empty before the first start."""
        folder = self._io.log_dir
        return tail(folder / life.LOG_NAME, lines) if folder else []

    def close(self, timeout_s: float = 3.0) -> None:
        """End worker and thread; a running job is given up. Returns after ``timeout_s`` at the latest."""
        self._finalizer.detach()
        self._io.close(timeout_s)


class _IoThread:
    """The thread, and the little that other threads may touch of it: ``command``, ``status``, ``close``."""

    def __init__(
        self,
        launch: WorkerLaunch,
        events: EventQueue,
        *,
        clock: Callable[[], float],
        deliver: Deliver | None,
        version: str,
        deadlines: tuple[float, float],
        patience: Patience | None,
        load: Callable[[], Any],
    ) -> None:
        self._launch = launch
        self._events = events
        self._clock = clock
        self._load = load
        self._dispatcher = Dispatcher(
            events.put,
            deliver=deliver,
            may_send=lambda: events.bytes_waiting < SOUND_WAITING,
            step_deadline_s=deadlines[0],
            kill_after_s=deadlines[1],
        )
        self._supervisor = Supervisor(self._spawn, self._connect, version=version, patience=patience)
        self._lock = threading.Lock()
        self._commands: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._thread: threading.Thread | None = None
        self._wake: socket.socket | None = None
        self._closing_s: float | None = None  # set by close: how long it may take
        self._eager = False  # start the worker though no job waits
        self._bug: FootfallError | None = None  # why nothing works until restart
        self._bugs = 0
        self._results = 0
        self._zmq: Any = None
        self._context: Any = None
        self.status = WorkerStatus()
        self.log_dir: Path | None = None

    # For any thread ------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        return self._thread is not None

    def command(self, name: str, *arguments: Any) -> None:
        """Have ``_do_<name>`` called on the thread, which is started if need be."""
        with self._lock:
            if self._closing_s is not None:
                raise WorkerError("Footfall is shutting down; enable it again or restart Blender.")
            self._commands.append((name, arguments))
            if self._thread is None:
                ours, self._wake = socket.socketpair()
                for end in (ours, self._wake):
                    end.setblocking(False)
                self._thread = threading.Thread(
                    target=self._run, args=(ours,), name="footfall-client", daemon=True
                )
                self._thread.start()
            self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None:
            # Full: it is awake anyway. Closed: it has ended.
            with contextlib.suppress(BlockingIOError, OSError):
                self._wake.send(b"\0")

    def close(self, timeout_s: float) -> None:
        with self._lock:
            if self._closing_s is None:
                self._closing_s = timeout_s
            self._wake_up()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(timeout_s)
        process = self._supervisor.process
        if thread.is_alive() and isinstance(process, WorkerProcess):
            process.kill()  # the thread is stuck in somebody's code; the worker must not stay
        if self._wake is not None:
            self._wake.close()

    # On the thread -------------------------------------------------------------------------------------

    def _run(self, woken: socket.socket) -> None:
        try:
            try:
                self._zmq = self._load()
                self._context = self._zmq.Context()
            except FootfallError as error:
                self._bug = error
            atexit.register(self.close, 3.0)  # after zmq's own, hence before it
            while self._serve(woken):
                pass
        except Exception:  # noqa: BLE001 - root of this thread, when even putting things in order has failed
            _log.exception("The client's thread has ended")
            self._closing_s = 0.0  # no more commands
            self._dispatcher.give_up(_broken())
        finally:
            atexit.unregister(self.close)
            woken.close()
            self._tidy()

    def _serve(self, woken: socket.socket) -> bool:
        """Turn until closed (False) or until something unforeseen (True: start over with a clean slate)."""
        try:
            poller = _Waiter(self._zmq, woken)
            while self._turn(poller):
                pass
        except Exception:  # root of this thread
            self._bugs += 1
            if self._bugs > BUGS:
                raise
            _log.exception("Unforeseen error in the client's thread; the worker is ended")
            self._bug = _broken()
            self._supervisor.drop(self._clock())
            return True
        return False

    def _turn(self, poller: _Waiter) -> bool:
        poller.wait(self._supervisor, self._pause_s())
        now = self._clock()
        self._obey(now)
        if self._bug is not None:
            self._dispatcher.give_up(self._bug)
        for change in self._supervisor.tick(now):
            self._changed(change)
        for _ in range(MESSAGES_A_TURN):
            if not self._hear(now):
                break
        self._dispatcher.tick(now)
        self._want(now)
        self._flush()
        self._tell(now)
        return self._closing_s is None or not self._ended(now)

    def _pause_s(self) -> float | None:
        """Until the next turn, None: until woken."""
        state = self._supervisor.state
        if self._closing_s is not None or state == life.GREETING:
            return GREET_POLL_S
        if state in (life.OFF, life.BROKEN) and not self._eager:
            return None if not self._dispatcher.wants_worker or self._bug else 0.0
        return IDLE_POLL_S if state == life.UP and not self._dispatcher.wants_worker else POLL_S

    def _obey(self, now: float) -> None:
        while self._commands:
            name, arguments = self._commands.popleft()
            if name == "submit":
                self._dispatcher.submit(*arguments)
            elif name == "cancel":
                self._dispatcher.cancel(arguments[0], now)
            else:
                self._restart(arguments[0], now)

    def _restart(self, launch: WorkerLaunch | None, now: float) -> None:
        self._launch = launch or self._launch
        if self._zmq is not None:
            self._bug = None
            self._eager = True
            self._supervisor.retry(now)
            self._dispatcher.worker_gone("The worker was restarted.", asked=True)

    def _changed(self, change: life.Change) -> None:
        if isinstance(change, Down):
            self._dispatcher.worker_gone(change.error.sentence, change.error.detail, asked=change.asked)
        elif isinstance(change, GaveUp):
            self._eager = False

    def _hear(self, now: float) -> bool:
        try:
            message = self._supervisor.receive(now)
        except WireError as error:
            self._dispatcher.garbled(error)
            return True
        if isinstance(message, Ready):
            if self._supervisor.greeted(message, now):
                self._eager = False
                self._dispatcher.worker_up()
        elif message is not None and self._supervisor.state == life.UP:
            self._dispatcher.hear(message, now)
        return message is not None

    def _want(self, now: float) -> None:
        if self._dispatcher.results != self._results:
            self._results = self._dispatcher.results
            self._supervisor.proved()
        if self._closing_s is not None:
            return
        if self._dispatcher.kill_wanted and self._supervisor.state == life.UP:
            self._supervisor.end(now, hurry=0.0)
        if self._supervisor.state == life.BROKEN and self._supervisor.error is not None:
            self._dispatcher.give_up(self._supervisor.error)
        elif self._eager or self._dispatcher.wants_worker:
            self._supervisor.want(now)
        else:
            self._supervisor.rest(now)

    def _flush(self) -> None:
        """Send what waits, in order, as long as the socket takes it."""
        self._dispatcher.pings = self._supervisor.pings
        outbox, link = self._dispatcher.outbox, self._supervisor.link
        while outbox and link is not None and self._supervisor.state == life.UP:
            try:
                if not link.send(outbox[0]):
                    return
            except WireError as error:
                self._unsendable(outbox.popleft(), error)
            else:
                outbox.popleft()

    def _unsendable(self, message: Message, error: WireError) -> None:
        _log.error("%s could not be sent: %s", type(message).__name__, error.sentence)
        self._dispatcher.garbled(error)

    def _ended(self, now: float) -> bool:
        """Closing: climb the ladder within the time given."""
        if self._supervisor.process is None:
            return True
        self._supervisor.end(now, hurry=max(0.0, min(1.0, ((self._closing_s or 0.0) - 0.8) / 2.0)))
        return False

    def _tidy(self) -> None:
        self._dispatcher.give_up(Cancelled("Footfall was closed."))
        self._supervisor.drop(self._clock())
        if self._context is not None:
            self._context.term()
            release_sender()
            self._context = None

    # What the supervisor needs -------------------------------------------------------------------------

    def _spawn(self) -> WorkerProcess:
        process = WorkerProcess(self._launch)
        self.log_dir = Path(process.settings.log_dir)
        if process.belt_problem:
            _log.warning("The worker is held by its lifeline only: %s", process.belt_problem)
        return process

    def _connect(self, address: WorkerAddress, settings: WorkerSettings) -> Link:
        return Link(self._zmq, self._context, address, settings)

    # Status --------------------------------------------------------------------------------------------

    def _tell(self, now: float) -> None:
        """Keep ``status`` fresh; an event only when something a user sees has changed."""
        new, old = self._describe(now), self.status
        self.status = new
        seen = (new.state, new.sentence, new.device, new.bundles, new.pid)
        if seen != (old.state, old.sentence, old.device, old.bundles, old.pid):
            self._events.put(new)

    def _describe(self, now: float) -> WorkerStatus:
        worker = self._supervisor
        ready, pong = worker.ready, worker.pong
        error = self._bug or worker.error
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
        worker, pong = self._supervisor, self._supervisor.pong
        if self._bug is not None or worker.state == life.BROKEN:
            return FAILED, ""
        if worker.state == life.ENDING:
            return (OFF, "") if self._closing_s is not None else (RESTARTING, "")
        if worker.state in (life.WAITING, life.STARTING, life.GREETING):
            return (RESTARTING if worker.error else STARTING), ""
        if worker.state != life.UP:
            return OFF, ""
        if self._dispatcher.phase == "loading" or (isinstance(pong, Pong) and pong.state == "loading"):
            return LOADING, ""
        if worker.quiet:
            return BUSY, "The worker is busy and does not answer; it is left alone."
        return (BUSY if self._dispatcher.job_id else READY), ""


class _Waiter:
    """Waits for a wake-up, a message of the worker, its first line, or a time-out."""

    def __init__(self, zmq: Any, woken: socket.socket) -> None:
        self._zmq = zmq
        self._woken = woken

    def wait(self, worker: Supervisor, pause_s: float | None) -> None:
        if self._zmq is None:
            self._woken.setblocking(True)
            self._woken.settimeout(pause_s)
        else:
            self._poll(worker, pause_s)
        with contextlib.suppress(BlockingIOError, TimeoutError):
            while len(self._woken.recv(4096)) == 4096:
                pass

    def _poll(self, worker: Supervisor, pause_s: float | None) -> None:
        poller = self._zmq.Poller()
        poller.register(self._woken, self._zmq.POLLIN)
        if isinstance(worker.link, Link):
            poller.register(worker.link.socket, self._zmq.POLLIN)
        if worker.state == life.STARTING and isinstance(worker.process, WorkerProcess):
            descriptor = worker.process.greeting_descriptor
            if descriptor is not None:
                poller.register(descriptor, self._zmq.POLLIN)
        poller.poll(None if pause_s is None else max(0, round(pause_s * 1000)))


def _broken() -> FootfallError:
    return WorkerError(
        "Something in Footfall went wrong; restart the worker, and send the log if it returns."
    )
