# SPDX-License-Identifier: GPL-3.0-or-later
"""The door of a worker that serves this computer alone: who does not know its word says not one frame.

The signature of a message is only looked at when the message is whole, and ZeroMQ keeps the frames of one
that never ends. So strangers must be turned away before: by ZeroMQ's own handshake (PLAIN, RFC 24), whose
questions (ZAP, RFC 27) are answered here, on the thread that owns the socket.
"""

from __future__ import annotations

import hmac
from typing import Any

import zmq

from ...addon.wire.auth import DOOR_NAME, door_word

_ZAP = "inproc://zeromq.zap.01"
_FRAMES = 8  # version, request, domain, address, identity, mechanism, name, word


class Door:
    """Keeps strangers out of one ROUTER socket; ``close`` before the context is terminated."""

    def __init__(self, context: zmq.Context[Any], socket: zmq.Socket[bytes], key: bytes) -> None:
        """To be made before ``socket`` is bound, on the thread that owns it."""
        self._word = door_word(key).encode()
        self.asked: zmq.Socket[bytes] = context.socket(zmq.REP)
        self.asked.setsockopt(zmq.LINGER, 0)
        self.asked.bind(_ZAP)
        socket.setsockopt(zmq.PLAIN_SERVER, 1)

    def answer(self) -> None:
        """Let in or turn away whoever waits."""
        while True:
            try:
                frames = self.asked.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            code = b"200" if self._knows(frames) else b"400"
            self.asked.send_multipart([b"1.0", frames[1], code, b"", b"", b""])

    def _knows(self, frames: list[bytes]) -> bool:
        if len(frames) != _FRAMES or frames[5] != b"PLAIN" or frames[6] != DOOR_NAME.encode():
            return False
        return hmac.compare_digest(frames[7], self._word)

    def close(self) -> None:
        self.asked.close(0)
