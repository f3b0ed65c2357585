# SPDX-License-Identifier: GPL-3.0-or-later
"""The ROUTER socket: one thread makes, uses and closes it; verifies, reads, answers, sends.

Whoever does not hold the key gets nothing back, and nothing of theirs is parsed. With curve.py and door.py
the only module of the worker that imports zmq. Other threads reach this one through the mailbox, never
through a zmq socket. With keys (``--remote``) the worker serves listed people of other computers, one at a
time.
"""

from __future__ import annotations

import functools
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from ...addon.wire import auth, codec, limits
from ...addon.wire.errors import BadInput, Forged, WireError, WorkerDied, WorkerFailedToStart
from ...addon.wire.fields import Buffer
from .curve import Doors, visitor
from .door import Door
from .mailbox import Mailbox
from .session import Session

ANY_PORT = "tcp://127.0.0.1:*"
ZMQ_FLOOR = (4, 3, 3)  # below it a raw TCP connection can deny service (CVE-2020-15166)
RECEIVE_MESSAGES = 64  # high-water mark: beyond it libzmq stops reading from the peer, nothing is lost
SEND_MESSAGES = 256
BACKLOG = 1024  # connections not yet accepted: a crowd of strangers must not keep the add-on out
HANDSHAKE_MS = 3_000  # a connection that says nothing is closed after that
RETRY_MS = 20  # the add-on reads nothing: look again this often
FAREWELL_S = 1.0
LEFT_S = 20.0  # with keys: a job whose owner has left may take so long to stop
LOOK_MS = 1_000
HOLD_S = 10.0  # with keys: whoever was heard within this is served, and others wait
LAST_WORDS_MS = 200
_COPY_BELOW = 64 * 1024  # bytes; larger frames are handed to libzmq as they are
_BATCH = 64  # messages read before answers are sent
_LOOPBACK = re.compile(r"tcp://127\.0\.0\.1:(\*|[1-9][0-9]{0,4})")

_log = logging.getLogger(__name__)


def require_loopback(endpoint: str) -> None:
    """Raises BadInput unless ``endpoint`` is reachable from this computer only."""
    found = _LOOPBACK.fullmatch(endpoint)
    if found is None or (found[1] != "*" and int(found[1]) > 65535):
        raise BadInput(
            "The worker only listens to this computer: use tcp://127.0.0.1:* or a port of 127.0.0.1, "
            "or --remote with keys.",
            f"refused {endpoint[:200]!r}",
        )


def require_zmq(version: tuple[int, int, int]) -> None:
    """Raises WorkerFailedToStart for a libzmq with known holes."""
    if version < ZMQ_FLOOR:
        raise WorkerFailedToStart(
            f"The worker's ZeroMQ is {'.'.join(map(str, version))}; {'.'.join(map(str, ZMQ_FLOOR))} or newer "
            "is needed. Run Set Up Worker again."
        )


class OwnedSocket:
    """A zmq socket that only the thread which made it may use; any other gets a RuntimeError.

    zmq sockets are not thread-safe, and use from two threads goes wrong rarely and far from its cause.
    """

    def __init__(self, context: zmq.Context[Any], kind: int) -> None:
        self._owner = threading.get_ident()
        self._socket: zmq.Socket[bytes] = context.socket(kind)

    def __call__(self) -> zmq.Socket[bytes]:
        """The socket itself, for the owner. Raises RuntimeError."""
        if threading.get_ident() != self._owner:
            raise RuntimeError("a zmq socket was used by a thread that does not own it")
        return self._socket


class Transport:
    """The worker's end of the wire. ``bind``, ``run`` and ``close`` belong to one thread."""

    def __init__(
        self,
        key: bytes,
        session: Session,
        mailbox: Mailbox,
        *,
        clock: Callable[[], float] = time.monotonic,
        keys: Path | None = None,
    ) -> None:
        run = auth.run_nonce(key)
        self._key = key
        self._new_verifier = functools.partial(auth.Verifier, key, run, "to_worker")
        self._verifier = self._new_verifier()
        self._keys = keys
        self._doors: Doors | None = None
        self._door: Door | None = None  # without keys
        self._served = ""  # the public key of whoever is served, with keys
        self._heard_at = self._left_at = -math.inf
        self._seal = auth.Seal(key, run, "to_addon")
        self._session = session
        self._mailbox = mailbox
        self._clock = clock
        self._peer: bytes | None = None  # who last spoke with the key
        self._met = False
        self._unsent: list[Buffer] | None = None  # signed, in order, but the peer's queue was full
        self._forged = 0

    def bind(self, endpoint: str) -> str:
        """Listen; returns the endpoint with its port. Raises BadInput or WorkerFailedToStart."""
        if self._keys is None:
            require_loopback(endpoint)
        require_zmq(zmq.zmq_version_info())
        self._context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self._socket = OwnedSocket(self._context, zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.MAXMSGSIZE, limits.FRAME_BYTES),
            (zmq.RCVHWM, RECEIVE_MESSAGES),
            (zmq.SNDHWM, SEND_MESSAGES),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.BACKLOG, BACKLOG),
        ):
            self._socket().setsockopt(option, value)
        if self._keys is not None:
            self._doors = Doors(self._context, self._socket(), self._keys)
        else:
            self._door = Door(self._context, self._socket(), self._key)
        try:
            self._socket().bind(endpoint)
        except zmq.ZMQError as error:
            raise WorkerFailedToStart(
                "The worker could not open its local connection; is the port taken?", f"{endpoint}: {error}"
            ) from error
        return self._socket().getsockopt_string(zmq.LAST_ENDPOINT)

    def run(self, stop: Callable[[], bool]) -> None:
        """Serve until Shutdown, or until ``stop()`` after a ``wake``.

        With keys nobody outside can end a worker that hangs: raises WorkerDied LEFT_S after its owner left.
        """
        poller = zmq.Poller()
        poller.register(self._socket(), zmq.POLLIN)
        poller.register(self._mailbox.receiver, zmq.POLLIN)
        if self._door is not None:
            poller.register(self._door.asked, zmq.POLLIN)
        while not self._session.ended and not stop():
            blocked = not self._send_waiting()
            self._check_left()
            for ready, _ in poller.poll(RETRY_MS if blocked else LOOK_MS if self._keys else None):
                if ready is self._socket():
                    self._receive_waiting()
                elif self._door is not None and ready is self._door.asked:
                    self._door.answer()
                else:
                    self._mailbox.sleep_again()
            self._session.catch_up()
            self._session.tick()

    def _check_left(self) -> None:
        now = self._clock()
        if not self._session.left_behind:
            self._left_at = now
        elif now - self._left_at > LEFT_S:
            raise WorkerDied("A job hangs and its owner has left; the worker ends and is started again.")

    def farewell(self, over: Callable[[], bool]) -> None:
        """Send what the engine still has to say, until ``over()``, for FAREWELL_S at most."""
        until = self._clock() + FAREWELL_S
        poller = zmq.Poller()
        poller.register(self._mailbox.receiver, zmq.POLLIN)
        while self._clock() < until:
            ended = over()
            self._mailbox.sleep_again()
            self._session.catch_up()
            if self._send_waiting() and ended:
                return
            poller.poll(RETRY_MS)

    def close(self) -> None:
        """Close the socket and the context; last words get LAST_WORDS_MS to leave the process."""
        self._socket().close(linger=LAST_WORDS_MS)
        if self._doors is not None:
            self._doors.close()
        if self._door is not None:
            self._door.close()
        self._context.term()
        self._mailbox.close()

    def _receive_waiting(self) -> None:
        for _ in range(_BATCH):
            try:
                parts = self._socket().recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            identity, *frames = [part.buffer.toreadonly() for part in parts]
            if self._keys is None or self._admits(visitor(parts[-1]), bytes(identity)):
                self._receive(bytes(identity), frames)

    def _admits(self, who: str, identity: bytes) -> bool:
        """With keys: whether it is ``who``'s turn. CURVE lets no message be replayed, so that each connection
        counts its messages anew.
        """
        now = self._clock()
        if who != self._served:
            if now - self._heard_at < HOLD_S:
                _log.info("Somebody else is served; %s has to wait", who[:8])
                return False
            _log.info("Serving %s", who[:8])
            self._session.hand_over()
            self._served, self._unsent = who, None
        if identity != self._peer:
            self._verifier = self._new_verifier()
        self._heard_at = now
        return True

    def _receive(self, identity: bytes, frames: Sequence[Buffer]) -> None:
        try:
            opened = self._verifier.open(frames)
        except Forged as error:
            self._forged += 1
            if self._forged & (self._forged - 1) == 0:  # 1, 2, 4, 8, ...: a flood must not fill the log
                _log.warning("%s (%d so far)", error.sentence, self._forged)
            return
        if identity != self._peer:
            if self._met:
                self._session.reconnected()
            self._peer, self._met = identity, True
        try:
            message = codec.decode(opened)
        except WireError as error:
            self._session.refuse(memoryview(opened[0]), error)
            return
        self._session.handle(message)

    def _send_waiting(self) -> bool:
        """False: the peer takes nothing more for now; what waits is merged meanwhile."""
        while self._peer is not None and (self._unsent is not None or len(self._session.outbox)):
            if self._unsent is None:
                self._unsent = self._seal.sign(codec.encode(self._session.outbox.take()))
            if not self._send(self._peer, self._unsent):
                return False
            self._unsent = None
        return True

    def _send(self, peer: bytes, frames: Sequence[Buffer]) -> bool:
        """One whole message or nothing."""
        last = len(frames) - 1
        try:
            self._socket().send(peer, zmq.SNDMORE | zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            _log.info("The add-on is not connected; what there is to say waits until it speaks again")
            self._peer = None
            return False
        for number, frame in enumerate(frames):
            more = zmq.SNDMORE if number < last else 0
            self._socket().send(frame, more, copy=memoryview(frame).nbytes < _COPY_BELOW)
        return True
