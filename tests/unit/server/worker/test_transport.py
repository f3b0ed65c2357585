# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket and its borders: loopback only (S5), a floor under libzmq (S13), one thread (R18), waking."""

from __future__ import annotations

import selectors
import threading

import pytest
import zmq
from footfall.addon.wire.errors import BadInput, WorkerFailedToStart
from footfall.addon.wire.messages import Accepted
from footfall.server.worker.mailbox import Mailbox
from footfall.server.worker.session import Session
from footfall.server.worker.transport import OwnedSocket, Transport, require_loopback, require_zmq
from footfall.tests.fakes.peer import new_job
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:*", "tcp://127.0.0.1:1", "tcp://127.0.0.1:65535"])
def test_this_computer_is_allowed(endpoint: str) -> None:
    require_loopback(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:*",
        "tcp://*:5555",
        "tcp://192.168.1.10:5555",
        "tcp://localhost:5555",  # a name can be made to mean anything
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:5555;0.0.0.0:5555",
        "tcp://127.0.0.1:5555\n",
        "tcp://127.0.0.1.example.org:5555",
        "tcp://[::]:5555",
        "ipc:///tmp/socket",
        "inproc://worker",
        "",
    ],
)
def test_everything_else_is_refused(endpoint: str) -> None:
    with pytest.raises(BadInput, match="only listens to this computer"):
        require_loopback(endpoint)


@given(st.text(max_size=60))
def test_no_text_slips_through(text: str) -> None:
    with pytest.raises(BadInput):
        require_loopback("tcp://" + text.replace("127.0.0.1", "127.0.0.2"))


def test_zmq_floor() -> None:
    require_zmq((4, 3, 3))
    require_zmq(zmq.zmq_version_info())  # type: ignore[arg-type]
    with pytest.raises(WorkerFailedToStart, match=r"4\.3\.2.*4\.3\.3"):
        require_zmq((4, 3, 2))


def test_a_socket_belongs_to_the_thread_that_made_it() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = OwnedSocket(context, zmq.ROUTER)
    assert socket().getsockopt(zmq.TYPE) == zmq.ROUTER
    refused: list[str] = []

    def touch() -> None:
        try:
            socket()
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=touch)
    thread.start()
    thread.join(10)
    assert refused == ["a zmq socket was used by a thread that does not own it"]
    socket().close(0)
    context.term()


class NoJobs:
    """An engine without work."""

    description = None
    state = "idle"
    steps_done = device_bytes = 0


def test_a_wrong_address_is_refused_before_there_is_a_socket() -> None:
    mailbox = Mailbox()
    session = Session(NoJobs(), version="test", memory_bytes=lambda: 0, posts=mailbox.take_all)  # type: ignore[arg-type]
    transport = Transport(bytes(32), session, mailbox)
    with pytest.raises(BadInput):
        transport.bind("tcp://0.0.0.0:*")
    assert not hasattr(transport, "_socket")
    mailbox.close()


def test_a_port_that_is_taken_is_said_in_words() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    taken = context.socket(zmq.ROUTER)
    taken.bind("tcp://127.0.0.1:*")
    mailbox = Mailbox()
    session = Session(NoJobs(), version="test", memory_bytes=lambda: 0, posts=mailbox.take_all)  # type: ignore[arg-type]
    transport = Transport(bytes(32), session, mailbox)
    with pytest.raises(WorkerFailedToStart, match="is the port taken"):
        transport.bind(taken.getsockopt_string(zmq.LAST_ENDPOINT))
    transport.close()
    taken.close(0)
    context.term()


def readable(mailbox: Mailbox, timeout_s: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(mailbox.receiver, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))


def test_a_post_wakes_and_never_blocks() -> None:
    mailbox = Mailbox()
    assert not readable(mailbox, 0)
    message = Accepted(job_id=new_job())
    threads = [
        threading.Thread(target=lambda: [mailbox.post(message) for _ in range(20_000)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert readable(mailbox, 0)
    mailbox.sleep_again()
    assert not readable(mailbox, 0)
    assert len(mailbox.take_all()) == 40_000
    mailbox.post(message)
    assert readable(mailbox, 10)
    mailbox.close()
