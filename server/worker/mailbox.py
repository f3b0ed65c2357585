# SPDX-License-Identifier: GPL-3.0-or-later
"""How other threads reach the one that polls: a queue, and a socket pair that wakes it; neither blocks."""

from __future__ import annotations

import socket
from queue import Empty, SimpleQueue

from ...addon.wire.messages import Message


class Mailbox:
    """Messages for the transport's thread. ``post`` and ``wake`` are for any thread, the rest is its own.

    A plain socket pair, not a zmq socket, so that no zmq socket is ever touched by two threads.
    """

    def __init__(self) -> None:
        self._posts: SimpleQueue[Message] = SimpleQueue()
        self.receiver, self._sender = socket.socketpair()  # receiver: to poll on
        self.receiver.setblocking(False)
        self._sender.setblocking(False)

    def post(self, message: Message) -> None:
        """Have ``message`` sent to the add-on."""
        self._posts.put(message)
        self.wake()

    def wake(self) -> None:
        """Have the thread look around; harmless when it is awake already."""
        try:
            self._sender.send(b"\0")
        except BlockingIOError:  # full: plenty of wake-ups are waiting
            return

    def sleep_again(self) -> None:
        """To be called by the woken thread before it looks at what woke it, so that nothing is missed."""
        try:
            while self.receiver.recv(4096):
                continue
        except BlockingIOError:
            return

    def take_all(self) -> list[Message]:
        """What was posted since, oldest first."""
        taken: list[Message] = []
        while True:
            try:
                taken.append(self._posts.get_nowait())
            except Empty:
                return taken

    def close(self) -> None:
        """Only once nobody posts any more."""
        self.receiver.close()
        self._sender.close()
