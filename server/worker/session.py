# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker answers to each message: the protocol without sockets, signatures or threads.

Owned by the transport's thread. Answers go to ``outbox``; how a job ended is kept until the add-on says
Received.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Protocol

from ...addon.wire.errors import FootfallError, VersionMismatch, WireError
from ...addon.wire.messages import (
    Accepted,
    Cancel,
    CancelReply,
    Failed,
    Hello,
    Made,
    Message,
    Ping,
    Pong,
    Ready,
    Received,
    Request,
    Shutdown,
    Submit,
    SubmitPicture,
)
from ...addon.wire.version import check_version
from .engine import Description
from .outbox import Endings, Outbox
from .outcome import failure

_JOB_ID = re.compile(rb'"job_id"\s*:\s*"([0-9a-f]{32})"')
_HEAD_BYTES = 4096  # where the number of a job stands in a header; no more of an unreadable one is looked at

_log = logging.getLogger(__name__)


class Jobs(Protocol):
    """What the session needs of the engine."""

    def submit(self, job_id: str, request: Request) -> None: ...
    def has(self, job_id: str) -> bool: ...
    def cancel(self, job_id: str) -> bool: ...
    def describe(self) -> None: ...
    @property
    def description(self) -> Description | None: ...
    @property
    def state(self) -> str: ...
    @property
    def steps_done(self) -> int: ...
    @property
    def device_bytes(self) -> int: ...


class Session:
    """One add-on's conversation with one worker; it survives a reconnect of the socket.

    posts: takes what the engine has said since the last call. memory_bytes: of this process. stays: a
    Shutdown is a good-bye, because others may come.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        version: str,
        memory_bytes: Callable[[], int],
        posts: Callable[[], list[Message]],
        stays: bool = False,
    ) -> None:
        self._jobs = jobs
        self._version = version
        self._memory_bytes = memory_bytes
        self._posts = posts
        self._stays = stays
        self._left: frozenset[str] = frozenset()
        self._asked: set[str] = set()  # jobs of whoever is served now
        self._endings = Endings()
        self._greeted = False
        self._owes_ready = False
        self._mismatch: FootfallError = VersionMismatch(
            "The add-on and the worker have not greeted each other; restart the worker."
        )
        self.outbox = Outbox()
        self.ended = False  # Shutdown was asked for

    def handle(self, message: Message) -> None:
        """Answer one authentic message of the add-on."""
        match message:
            case Hello():
                self._hello(message)
            case Submit() | SubmitPicture():
                self._submit(message)
            case Cancel():
                self.outbox.put(CancelReply(job_id=message.job_id, outcome=self._cancel(message.job_id)))
            case Received():
                self._endings.received(message.job_id)
                self._asked.discard(message.job_id)
            case Ping():
                self.outbox.put(self._pong(message.number))
            case Shutdown():
                self.ended = not self._stays
                if self._stays:
                    self.hand_over()
            case _:
                _log.error("Refused a %s: that is for the worker to say", type(message).__name__)

    def refuse(self, header: bytes | memoryview, error: WireError) -> None:
        """An authentic message that could not be read: the job that it seems to be about has failed."""
        _log.error("Refused a message: %s (%s)", error.sentence, error.detail)
        found = _JOB_ID.search(bytes(memoryview(header)[:_HEAD_BYTES]))
        if found is None:
            return
        job_id = found[1].decode()
        if not self._jobs.has(job_id):
            self.outbox.put(failure(job_id, error))

    def catch_up(self) -> None:
        """Pass on what the engine has said since."""
        for message in self._posts():
            if getattr(message, "job_id", "") not in self._asked:
                continue  # of somebody who has left
            if isinstance(message, Made | Failed):
                self._endings.keep(message)
            self.outbox.put(message)

    def hand_over(self) -> None:
        """Somebody else comes: what the one before asked for ends, and nobody else is told of it."""
        for job_id in self._asked:
            self._jobs.cancel(job_id)
        # Also what somebody before had left: a good-bye and the next one's coming are two hand-overs.
        self._left = frozenset(job_id for job_id in self._left | self._asked if self._jobs.has(job_id))
        self._asked.clear()
        self._endings, self.outbox = Endings(), Outbox()
        self._greeted = self._owes_ready = False

    @property
    def left_behind(self) -> bool:
        """Whether a job of somebody who has left still runs."""
        return any(self._jobs.has(job_id) for job_id in self._left)

    def reconnected(self) -> None:
        """What was on its way to the add-on may be lost: send again what must not be."""
        for ending in self._endings.all():
            self.outbox.put(ending)

    def tick(self) -> None:
        """Send the Ready that is owed, as soon as the engine knows what it has."""
        description = self._jobs.description
        if self._owes_ready and description is not None:
            self._owes_ready = False
            self.outbox.put(
                Ready(version=self._version, device=description.device, bundles=description.bundles)
            )

    def _hello(self, hello: Hello) -> None:
        try:
            check_version(hello.major, hello.version)
        except VersionMismatch as error:
            _log.error("%s", error.sentence)
            self._greeted, self._owes_ready, self._mismatch = False, False, error
            # Names our protocol, which is all that the other side can understand of us.
            self.outbox.put(Ready(version=self._version, device=""))
            return
        self._greeted = self._owes_ready = True
        self._jobs.describe()
        self.reconnected()

    def _submit(self, submit: Submit | SubmitPicture) -> None:
        job_id = submit.job_id
        running = self._jobs.has(job_id)
        self.catch_up()  # it may have ended since
        ending = self._endings.get(job_id)
        try:
            if not self._greeted:
                raise self._mismatch
            if self._endings.was_received(job_id):
                raise WireError("This job was delivered before; ask for it again as a new one.")
            self._asked.add(job_id)
            if not running and ending is None:
                self._jobs.submit(job_id, submit.request)
        except FootfallError as error:
            # Not kept as the job's ending: the same job may be welcome later.
            self.outbox.put(failure(job_id, error))
            return
        self.outbox.put(Accepted(job_id=job_id))
        if ending is not None:
            self.outbox.put(ending)

    def _cancel(self, job_id: str) -> str:
        if self._jobs.cancel(job_id):
            return "cancelled"
        self.catch_up()
        over = self._endings.get(job_id) is not None or self._endings.was_received(job_id)
        return "not_running" if over else "unknown"

    def _pong(self, number: int) -> Pong:
        return Pong(
            number=number,
            state=self._jobs.state,
            steps_done=self._jobs.steps_done,
            memory_bytes=self._memory_bytes(),
            device_memory_bytes=self._jobs.device_bytes,
        )
