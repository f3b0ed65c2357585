# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the worker, seen from the add-on: start, greeting, pings, restart with patience, end.

No thread and no clock: ``tick`` is called often with the time, and returns what changed. Silence alone never
ends a worker; its process is started again only when the operating system says that it has exited, or when it
was ended on purpose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..wire.errors import FootfallError, WireError, WorkerDied, WorkerFailedToStart, WorkerNotInstalled
from ..wire.exits import WorkerExit
from ..wire.handshake import WorkerAddress, WorkerSettings
from ..wire.liveness import STABLE_AFTER_S, Liveness, RestartBreaker, Verdict
from ..wire.messages import Hello, Message, Ping, Pong, Ready, Shutdown
from ..wire.version import check_version
from .process import tail

OFF, WAITING, STARTING, GREETING, UP, ENDING, BROKEN = (
    "off",
    "waiting",
    "starting",
    "greeting",
    "up",
    "ending",
    "broken",
)
LOG_NAME = "worker.log"
_log = logging.getLogger(__name__)


class Process(Protocol):
    """What we need of a WorkerProcess."""

    settings: WorkerSettings

    @property
    def pid(self) -> int: ...
    @property
    def hint(self) -> str: ...
    @property
    def ready_s(self) -> float: ...
    @property
    def ending(self) -> bool: ...
    def read_address(self) -> WorkerAddress | None: ...
    def poll(self, now: float) -> int | None: ...
    def exit_reason(self) -> str: ...
    def said(self) -> str: ...
    def ask_to_end(self, now: float) -> None: ...
    def step_ladder(self, now: float, *, patience: float = 1.0) -> None: ...
    def close(self) -> None: ...


class Wire(Protocol):
    """What we need of a Link."""

    def send(self, message: Message) -> bool: ...
    def receive(self) -> Message | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the worker may take to say its address, and then to be ready (it imports its libraries)."""

    address_s: float = 60.0
    ready_s: float = 300.0
    hello_every_s: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """The worker is ready."""

    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """The worker has exited. ``asked``: because we wanted it to."""

    error: FootfallError
    asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """It will not be started again until ``retry``."""

    error: FootfallError


Change = Up | Down | GaveUp
Spawn = Callable[[], Process]
Connect = Callable[[WorkerAddress, WorkerSettings], Wire]


class Supervisor:
    """One worker at a time. ``spawn`` and ``connect`` may raise WorkerError."""

    def __init__(
        self,
        spawn: Spawn,
        connect: Connect,
        *,
        version: str,
        patience: Patience | None = None,
    ) -> None:
        self._spawn = spawn
        self._connect = connect
        self._version = version
        self._patience = patience or Patience()
        self._breaker = RestartBreaker()
        self._process: Process | None = None
        self._link: Wire | None = None
        self._liveness: Liveness | None = None
        self._since = 0.0  # when the state began
        self._hello_at = 0.0
        self._started_at = 0.0
        self._was_up = False  # else however long it took to fail, it was no stable worker
        self._hurry = 1.0  # scales the ladder's waits
        self._failure: FootfallError | None = (
            None  # why the worker could not be used, when we ended it for that
        )
        self._heard_at = 0.0
        self.state = OFF
        self.starts = 0
        self.pings = 0
        self.ready: Ready | None = None
        self.pong: Pong | None = None
        self.error: FootfallError | None = None  # the last that went wrong

    @property
    def process(self) -> Process | None:
        return self._process

    @property
    def link(self) -> Wire | None:
        return self._link

    @property
    def quiet(self) -> bool:
        """The worker is up and leaves a ping unanswered: busy with something that holds it up."""
        return self._liveness is not None and self._liveness.verdict in (Verdict.BUSY, Verdict.SILENT)

    def silent_s(self, now: float) -> float:
        """Seconds since the worker was heard; 0 while there is none."""
        return max(0.0, now - self._heard_at) if self._liveness else 0.0

    # Wishes --------------------------------------------------------------------------------------------

    def want(self, now: float) -> None:
        """There is something to do for a worker. Nothing happens while there is one, or after giving up."""
        if self.state == OFF:
            self._become(WAITING, now)

    def rest(self, now: float) -> None:
        """Nothing to do any more: do not start again. A running worker is left alone."""
        if self.state == WAITING:
            self._become(OFF, now)

    def retry(self, now: float) -> None:
        """The user asks again: forget past failures, and start afresh."""
        self._breaker.reset()
        self.error = None
        if self._process is not None:
            self.end(now)
        elif self.state in (OFF, BROKEN):
            self._become(WAITING, now)

    def proved(self) -> None:
        """The worker has finished a job: what went wrong before counts no more."""
        self._breaker.reset()

    def end(self, now: float, *, hurry: float = 1.0) -> None:
        """Ask the worker to end, then make it: Shutdown, SIGTERM, SIGKILL. ``hurry`` scales the waits."""
        self._hurry = min(self._hurry, hurry)
        if self._process is not None and self.state != ENDING:
            if self._link is not None:
                self._link.send(Shutdown())
            self._process.ask_to_end(now)
            self._become(ENDING, now)
        elif self._process is None and self.state == WAITING:
            self._become(OFF, now)

    # Time ----------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Change]:
        """To be called often. What changed, oldest first."""
        if self._process is None:
            return self._start_if_due(now) if self.state == WAITING else []
        code = self._process.poll(now)
        if code is not None:
            return self._exited(code, now)
        try:
            if self.state == STARTING:
                self._look_for_address(now)
            elif self.state == GREETING:
                self._greet(now)
            elif self.state == UP:
                self._watch(now)
            elif self.state == ENDING:
                self._process.step_ladder(now, patience=self._hurry)
        except FootfallError as error:
            self._fail(error, now)
        return []

    def receive(self, now: float) -> Message | None:
        """The next message of the worker, or None. Raises WireError for one that cannot be read."""
        if self._link is None:
            return None
        try:
            message = self._link.receive()
        except WireError as error:
            self._heard(now)
            if self.state != GREETING:
                raise
            self._fail(_unfit(error), now)
            return None
        if message is not None:
            self._heard(now)
            if isinstance(message, Pong):
                self.pong = message
        return message

    def greeted(self, ready: Ready, now: float) -> list[Change]:
        """The worker says that it is ready; again, after a second Hello, changes nothing."""
        if self.state != GREETING:
            return []
        try:
            check_version(ready.major, ready.version)
        except FootfallError as error:
            self._fail(error, now)
            return []
        self.ready = ready
        self.error = None
        self.pings = 0
        self._liveness = Liveness(now)
        self._was_up = True
        self._become(UP, now)
        return [Up(ready=ready)]

    # Small steps ---------------------------------------------------------------------------------------

    def _become(self, state: str, now: float) -> None:
        self.state, self._since = state, now

    def _start_if_due(self, now: float) -> list[Change]:
        if self._breaker.open:
            return self._give_up(self.error or WorkerFailedToStart(_STUCK), now)
        if self._breaker.wait_s(now) > 0:
            return []
        self._breaker.started(now)
        self.starts += 1
        self._hurry, self._failure, self._was_up = 1.0, None, False
        self._started_at = now
        try:
            self._process = self._spawn()
        except WorkerNotInstalled as error:
            return self._give_up(error, now)
        except FootfallError as error:
            self._breaker.died(now)
            self.error = error
            return []
        self._become(STARTING, now)
        return []

    def _give_up(self, error: FootfallError, now: float) -> list[Change]:
        self.error = error
        self._become(BROKEN, now)
        return [GaveUp(error=error)]

    def _look_for_address(self, now: float) -> None:
        assert self._process is not None
        address = self._process.read_address()
        if address is not None:
            check_version(address.major, address.version)
            self._link = self._connect(address, self._process.settings)
            self._hello_at = now
            self._become(GREETING, now)
            self._greet(now)
        elif now - self._since > self._patience.address_s:
            raise WorkerFailedToStart(
                "The worker did not start in time; try again, or set it up again in the preferences.",
                f"no address after {self._patience.address_s:g} s",
            )

    def _greet(self, now: float) -> None:
        assert self._link is not None
        assert self._process is not None
        if now - self._since > min(self._patience.ready_s, self._process.ready_s):
            raise WorkerFailedToStart(
                f"The worker did not become ready in time; {self._process.hint}.",
                f"not ready after {self._patience.ready_s:g} s",
            )
        if now >= self._hello_at:
            sent = self._link.send(Hello(version=self._version))
            self._hello_at = now + (self._patience.hello_every_s if sent else 0.0)

    def _watch(self, now: float) -> None:
        assert self._link is not None
        assert self._liveness is not None
        if self._liveness.look(now) is Verdict.PING:
            self.pings += 1
            self._link.send(Ping(number=self.pings))

    def _heard(self, now: float) -> None:
        self._heard_at = now
        if self._liveness is not None:
            self._liveness.beat(now)

    def _fail(self, error: FootfallError, now: float) -> None:
        """This worker cannot be used: end it, and remember why."""
        assert self._process is not None
        _log.error("%s %s", error.sentence, error.detail)
        self._failure = error
        self.end(now, hurry=0.0)

    def _exited(self, code: int, now: float) -> list[Change]:
        process, self._process = self._process, None
        assert process is not None
        asked = process.ending and self._failure is None
        error = self._failure or self._why(process, code)
        self._drop_link()
        process.close()
        self.ready = self.pong = None
        if asked:
            self._breaker.ended()
        else:
            _log.error("%s %s", error.sentence, error.detail)
            self._breaker.died(now if self._was_up else min(now, self._started_at + STABLE_AFTER_S / 2))
            self.error = error
        self._become(OFF, now)
        changes: list[Change] = [Down(error=error, asked=asked)]
        if not asked and error.code in ("version", "worker_not_installed"):
            changes += self._give_up(error, now)  # starting it again would not help
        return changes

    def _why(self, process: Process, code: int) -> FootfallError:
        detail = "\n".join([*tail(Path(process.settings.log_dir) / LOG_NAME, 40), process.said()]).strip()
        reason = process.exit_reason()
        if code in _HOPELESS:
            return WorkerNotInstalled(reason, detail)
        if self.state == UP or process.ending:
            return WorkerDied(reason, detail)
        return WorkerFailedToStart(reason, detail)

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._liveness = None

    def drop(self, now: float) -> None:
        """Let go of everything at once; for the very end."""
        process, self._process = self._process, None
        self._drop_link()
        if process is not None:
            process.ask_to_end(now)
            process.step_ladder(now, patience=0.0)
            process.step_ladder(now, patience=0.0)
            process.close()
        self._become(OFF, now)


_HOPELESS = (WorkerExit.REFUSED, WorkerExit.NOT_INSTALLED, WorkerExit.WRONG_PYTHON)
_STUCK = "The worker does not start; look at its log, or set it up again in the preferences."


def _unfit(error: WireError) -> FootfallError:
    return WorkerFailedToStart(
        "The worker and the add-on do not understand each other; set it up again from this extension.",
        f"{error.sentence} {error.detail}",
    )
