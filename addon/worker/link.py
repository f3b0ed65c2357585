# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket to one worker, and how ZeroMQ is loaded. A Link belongs to the thread that makes it.

Sending never waits and never copies the pictures: large frames go out by reference. For that pyzmq starts a
thread of its own at the first large frame; ``release_sender`` ends it again when nobody uses it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ..wire import codec, limits
from ..wire.auth import Seal, Verifier, key_bytes, run_nonce
from ..wire.errors import Forged, WorkerFailedToStart
from ..wire.handshake import WorkerAddress, WorkerSettings
from ..wire.messages import Message

ZMQ_FLOOR = (4, 3, 4)  # older ones: a raw connection could deny service, and worse
QUEUED_MESSAGES = 256  # high-water marks, messages each way
_log = logging.getLogger(__name__)
_sending = threading.Lock()  # no thread of ours hands out a large frame while the sender thread is ended


def load_zmq() -> Any:
    """The zmq module. Raises WorkerFailedToStart when it is missing or too old."""
    try:
        import zmq

        check_zmq(zmq)
        _sender()  # loaded now, it is ended at exit after the client, not before
    except (ImportError, AttributeError) as error:  # AttributeError: half of it, after a broken update
        raise WorkerFailedToStart(
            "Footfall's messaging library (pyzmq) could not be loaded; install the extension again "
            "and restart Blender.",
            str(error),
        ) from error
    return zmq


def check_zmq(zmq: Any) -> None:
    """Raises WorkerFailedToStart when the library behind ``zmq`` is older than ZMQ_FLOOR.

    All extensions share one site-packages, so the pyzmq that answers may be another extension's.
    """
    found = tuple(zmq.zmq_version_info())[:3]
    if found < ZMQ_FLOOR:
        raise WorkerFailedToStart(
            f"Another extension brought an old ZeroMQ ({'.'.join(map(str, found))}; "
            f"{'.'.join(map(str, ZMQ_FLOOR))} is needed). Update or remove it, then restart Blender.",
            f"pyzmq {getattr(zmq, '__version__', '?')} from {getattr(zmq, '__file__', '?')}",
        )


class Link:
    """One DEALER socket, connected to one run of a worker; all traffic is signed with that run's key.

    secure: puts keys on the socket before it connects.
    """

    def __init__(
        self,
        zmq: Any,
        context: Any,
        address: WorkerAddress,
        settings: WorkerSettings,
        secure: Callable[[Any, WorkerSettings], None] | None = None,
    ) -> None:
        self._zmq = zmq
        self._owner = threading.get_ident()
        key = key_bytes(settings.key)
        run = run_nonce(key)
        self._seal = Seal(key, run, "to_worker")
        self._verifier = Verifier(key, run, "to_addon")
        self.dropped = 0
        self._socket = context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.IMMEDIATE, 1),
            (zmq.SNDHWM, QUEUED_MESSAGES),
            (zmq.RCVHWM, QUEUED_MESSAGES),
            (zmq.MAXMSGSIZE, limits.FRAME_BYTES),
        ):
            self._socket.setsockopt(option, value)
        if secure is not None:
            secure(self._socket, settings)
        self._socket.connect(address.endpoint)

    @property
    def socket(self) -> Any:
        """For a poller of the owning thread."""
        self._guard()
        return self._socket

    def _guard(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError("a socket was used from a thread that does not own it")

    def send(self, message: Message) -> bool:
        """True when the socket took ``message``; False: not now. Raises LimitExceeded for one too large.

        The arrays of the message are sent from where they lie: nobody may change them afterwards.
        """
        self._guard()
        frames = self._seal.sign(codec.encode(message))
        try:
            with _sending:
                self._socket.send_multipart(frames, flags=self._zmq.NOBLOCK, copy=False)
        except self._zmq.Again:
            return False
        return True

    def receive(self) -> Message | None:
        """The next authentic message, or None when there is none. Raises WireError when it makes no sense."""
        self._guard()
        while True:
            try:
                parts = self._socket.recv_multipart(flags=self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return None
            try:
                frames = self._verifier.open([part.buffer for part in parts])
            except Forged as error:
                self.dropped += 1
                if self.dropped == 1:
                    _log.warning("%s", error.sentence)
                continue
            return codec.decode(frames)

    def close(self) -> None:
        self._guard()
        self._socket.close(linger=0)


def release_sender(patience_s: float = 0.3) -> None:
    """End pyzmq's thread behind frames sent by reference, unless somebody's frames are still on their way.

    It starts again by itself when it is needed. Call once all sockets and the context are closed.
    """
    gc = _sender()
    if gc is None:
        return
    until = time.monotonic() + patience_s
    pause = threading.Event()
    while gc.refs and time.monotonic() < until:
        pause.wait(0.002)  # libzmq hands the frames back through that thread
    with _sending:
        if not gc.refs:
            gc.stop()


def _sender() -> Any:
    """What pyzmq keeps frames alive with that are sent by reference; None should it ever do without."""
    try:
        from zmq.utils.garbage import gc
    except ImportError:
        return None
    return gc
