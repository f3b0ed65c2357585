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
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from ..wire.errors import FootfallError, WorkerError
from ..wire.handshake import WorkerAddress, WorkerSettings
from ..wire.liveness import KILL_AFTER_S, STEP_DEADLINE_S
from ..wire.messages import Cancel, CancelReply, Request
from .conductor import GREET_POLL_S, Conductor
from .dispatch import Deliver
from .link import Link, load_zmq, release_sender
from .process import WorkerLaunch, WorkerProcess, tail
from .reports import Delivered, EventQueue, Report, WorkerStatus
from .standstill import Standstill
from .supervisor import LOG_NAME, Patience, Process

__all__ = ["Delivered", "JobClient", "Patience", "Report", "WorkerLaunch", "WorkerStatus"]


class Launch(Protocol):
    """How to come by a worker: WorkerLaunch starts one here, RemoteLaunch reaches one elsewhere."""

    def start(self) -> Process: ...
    def secure(self, socket: Any, settings: WorkerSettings) -> None: ...


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
        launch: Launch,
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
            clock,
            load,
            deliver=deliver,
            version=version,
            step_deadline_s=step_deadline_s,
            kill_after_s=kill_after_s,
            patience=patience,
        )
        # When nobody holds the client any more; at exit, _IoThread sees to itself.
        self._finalizer = weakref.finalize(self, self._io.close, 3.0)
        self._finalizer.atexit = False

    def submit(self, job_id: str, request: Request) -> None:
        """Queue a job; the first one starts the worker. It ends with a result, Delivered or Failed.

        job_id: 32 hexadecimal digits, else Malformed. The arrays of ``request`` are sent from where they lie,
        so they must not be changed afterwards. Raises WorkerError after ``close``.
        """
        Cancel(job_id=job_id)  # checks its form, here and not on the other thread
        if not isinstance(request, Request):
            raise TypeError(f"a request is needed, not {type(request).__name__}")
        self._io.command("submit", job_id, request)

    def cancel(self, job_id: str) -> None:
        """Stop one job, whatever its phase. Answered by a CancelReply, and Failed(cancelled) if it ran."""
        Cancel(job_id=job_id)
        if self._io.started:
            self._io.command("cancel", job_id)
        else:
            self._events.put(CancelReply(job_id=job_id, outcome="unknown"))

    def call(self, work: Callable[[], None]) -> None:
        """Have ``work`` done on the client's thread, soon: what waits for a disk. It must not raise.

        Raises WorkerError after ``close``.
        """
        self._io.command("call", work)

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

    def restart(self, launch: Launch | None = None) -> None:
        """End the worker if there is one, forget past failures, and start it (as ``launch`` says, if given).

        A job that it was making is sent again and not held responsible.
        """
        self._io.command("restart", launch)

    def log_tail(self, lines: int = 40) -> list[str]:
        """The last lines of the worker's log; empty before the first start."""
        folder = self._io.log_dir
        return tail(folder / LOG_NAME, lines) if folder else []

    def held(self, patience_s: float) -> AbstractContextManager[bool]:
        """Inside, no Python runs on the client's thread; False if it was busy for ``patience_s``."""
        return self._io.held(patience_s)

    def close(self, timeout_s: float = 3.0) -> None:
        """End worker and thread; a running job is given up. Returns after ``timeout_s`` at the latest."""
        self._finalizer.detach()
        self._io.close(timeout_s)


class _IoThread:
    """The thread, and the little that other threads may touch of it: ``command``, ``status``, ``close``."""

    def __init__(
        self,
        launch: Launch,
        events: EventQueue,
        clock: Callable[[], float],
        load: Callable[[], Any],
        **options: Any,
    ) -> None:
        self._launch = launch
        self._clock = clock
        self._load = load
        self._conductor = Conductor(self._spawn, self._connect, events, **options)
        self._lock = threading.Lock()
        self._commands: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._thread: threading.Thread | None = None
        self._wake: socket.socket | None = None
        self._closing_s: float | None = None  # set by close: how long it may take
        self._bugs = 0
        self._standstill = Standstill(self._wake_up)
        self._zmq: Any = None
        self._context: Any = None
        self.log_dir: Path | None = None

    # For any thread ------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        return self._thread is not None

    @property
    def status(self) -> WorkerStatus:
        return self._conductor.status

    def command(self, name: str, *arguments: Any) -> None:
        """Have ``name`` done on the thread, which is started if need be."""
        with self._lock:
            if self._closing_s is not None:
                raise WorkerError("Footfall is shutting down; enable it again or restart Blender.")
            self._commands.append((name, arguments))
            if self._thread is None:
                woken, self._wake = socket.socketpair()
                for end in (woken, self._wake):
                    end.setblocking(False)
                self._thread = threading.Thread(
                    target=self._run, args=(woken,), name="footfall-client", daemon=True
                )
                self._thread.start()
            self._wake_up()

    def held(self, patience_s: float) -> AbstractContextManager[bool]:
        """A thread that has not started, or has ended, is still already."""
        if self._thread is None or not self._thread.is_alive():
            return contextlib.nullcontext(True)
        return self._standstill.held(patience_s)

    def _wake_up(self) -> None:
        if self._wake is not None:
            # Full: it is awake anyway. Closed: it has ended.
            with contextlib.suppress(BlockingIOError, OSError):
                self._wake.send(b"\0")

    def close(self, timeout_s: float) -> None:
        """End thread and worker within ``timeout_s``. Twice is harmless."""
        with self._lock:
            if self._closing_s is None:
                self._closing_s = timeout_s
            self._wake_up()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(timeout_s)
        process = self._conductor.worker.process
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
                self._conductor.fail(error, self._clock())
            atexit.register(self.close, 3.0)  # after zmq's own, hence before it
            while self._serve(woken):
                pass
        except Exception:  # noqa: BLE001 - root of this thread, when even putting things in order has failed
            _log.exception("The client's thread has ended")
            self._closing_s = 0.0  # no more commands
        finally:
            atexit.unregister(self.close)
            woken.close()
            self._tidy()

    def _serve(self, woken: socket.socket) -> bool:
        """Turn until closed (False), or until something unforeseen (True: once more, with a clean slate)."""
        try:
            while self._turn(woken):
                pass
        except Exception:  # root of this thread
            self._bugs += 1
            if self._bugs > BUGS:
                raise
            _log.exception("Unforeseen error in the client's thread; the worker is ended")
            self._conductor.fail(WorkerError(_WRONG), self._clock())
            return True
        return False

    def _turn(self, woken: socket.socket) -> bool:
        """One turn; False once closed and ended."""
        if not self._commands:
            self._wait(woken, self._conductor.pause_s if self._closing_s is None else GREET_POLL_S)
        self._standstill.here()
        now = self._clock()
        while self._commands:
            name, arguments = self._commands.popleft()
            self._obey(name, arguments, now)
        self._conductor.step(now)
        if self._closing_s is None:
            return True
        # Shutdown, SIGTERM and SIGKILL, and what the system needs for each, within the time given.
        return not self._conductor.close(now, hurry=max(0.0, min(1.0, (self._closing_s - 0.8) / 2.0)))

    def _obey(self, name: str, arguments: tuple[Any, ...], now: float) -> None:
        if name == "submit":
            self._conductor.jobs.submit(*arguments)
        elif name == "cancel":
            self._conductor.jobs.cancel(arguments[0], now)
        elif name == "call":
            arguments[0]()
        else:
            self._launch = arguments[0] or self._launch
            if self._zmq is not None:  # without it, only a restart of Blender helps
                self._conductor.restart(now)

    def _wait(self, woken: socket.socket, pause_s: float | None) -> None:
        """For a wake-up, a message of the worker, its first line, or the end of the pause."""
        if self._zmq is None:
            woken.settimeout(pause_s)
        else:
            poller = self._zmq.Poller()
            poller.register(woken, self._zmq.POLLIN)
            worker = self._conductor.worker
            if isinstance(worker.link, Link):
                poller.register(worker.link.socket, self._zmq.POLLIN)
            if isinstance(worker.process, WorkerProcess) and worker.process.greeting_descriptor is not None:
                poller.register(worker.process.greeting_descriptor, self._zmq.POLLIN)
            poller.poll(None if pause_s is None else max(0, round(pause_s * 1000)))
        with contextlib.suppress(BlockingIOError, TimeoutError):
            woken.recv(4096)

    def _tidy(self) -> None:
        self._conductor.drop(self._clock())
        if self._context is not None:
            self._context.term()
            release_sender()
            self._context = None

    # What the supervisor needs -------------------------------------------------------------------------

    def _spawn(self) -> Process:
        process = self._launch.start()
        self.log_dir = Path(process.settings.log_dir)
        if isinstance(process, WorkerProcess) and process.belt_problem:
            _log.warning("The worker is held by its lifeline only: %s", process.belt_problem)
        return process

    def _connect(self, address: WorkerAddress, settings: WorkerSettings) -> Link:
        return Link(self._zmq, self._context, address, settings, self._launch.secure)


_WRONG = "Something in Footfall went wrong; restart the worker, and send the log if it happens again."
