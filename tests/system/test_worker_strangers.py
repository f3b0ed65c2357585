# SPDX-License-Identifier: GPL-3.0-or-later
"""Who lacks the key gets nothing and costs little (S4, S6); who has it cannot send nonsense (S8, S11)."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from footfall.addon.wire import auth, codec, limits
from footfall.addon.wire.messages import Failed, Hello, Ping, Pong, Result, Submit
from footfall.tests.fakes.misbehaviour import SPOILERS
from footfall.tests.fakes.peer import Peer, WorkerProcess, new_job, request, wait_until

GREETING_BYTES = 64  # what ZeroMQ itself says to any TCP connection before it knows who is there


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with Peer(WorkerProcess(tmp_path_factory.mktemp("worker"))) as peer:
        peer.hello()
        yield peer


@pytest.fixture
def connect(peer: Peer) -> Iterator[Callable[[], socket.socket]]:
    """Raw TCP connections to the worker's port."""
    host, _, port = peer.address.endpoint.removeprefix("tcp://").partition(":")
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection((host, int(port)), timeout=10))


@pytest.fixture
def stranger(peer: Peer) -> Iterator[zmq.Socket[bytes]]:
    """A ZeroMQ peer without the key, though it got past the door."""
    context: zmq.Context[Any] = zmq.Context()
    dealer: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.plain_username, dealer.plain_password = door(peer)
    dealer.connect(peer.address.endpoint)
    yield dealer
    dealer.close(0)
    context.term()


def door(peer: Peer) -> tuple[bytes, bytes]:
    """The name and the word that let in."""
    return auth.DOOR_NAME.encode(), auth.door_word(auth.key_bytes(peer.worker.settings.key)).encode()


def pickle_that_runs(marker: Path) -> bytes:
    """Protocol 0, written by hand: unpickling it makes the file ``marker``."""
    return f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()


def only_greeted(link: socket.socket) -> bool:
    """Whether nothing but ZeroMQ's own greeting has arrived, if even that."""
    link.setblocking(False)
    heard = b""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while chunk := link.recv(4096):
            heard += chunk
    return len(heard) <= GREETING_BYTES and heard[:1] in (b"", b"\xff")


# Strangers


def test_web_pages_and_tls_get_nothing(peer: Peer, connect: Callable[[], socket.socket]) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
    for words in (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}" * 100,
        hello,
        b"\x00" * 100_000,
    ):
        link = connect()
        with contextlib.suppress(ConnectionError):
            link.sendall(words)
        assert isinstance(peer.run(request()), Result)
        assert only_greeted(link)


def test_a_peer_without_the_key_gets_nothing(peer: Peer, stranger: zmq.Socket[bytes]) -> None:
    key, run = bytes(32), auth.run_nonce(bytes(32))
    wrong = auth.Seal(key, run, "to_worker")
    hello, submit = (
        codec.encode(message)
        for message in (Hello(version="test"), Submit(job_id=new_job(), request=request()))
    )
    for frames in (
        [b""],
        [b"", b"", b""],
        hello,
        submit,
        [b"x" * auth.AUTH_BYTES, *hello],
        wrong.sign(hello),
        wrong.sign(submit),
        [b"x" * auth.AUTH_BYTES] + [b""] * 2000,
    ):
        stranger.send_multipart(frames)
    assert isinstance(peer.run(request()), Result)
    assert peer.ping().state == "idle"
    assert not stranger.poll(100)


def test_a_message_overheard_is_worth_nothing(peer: Peer, stranger: zmq.Socket[bytes]) -> None:
    peer.ping()
    peer.inbox.clear()  # progress of earlier jobs
    frames = peer.seal.sign(codec.encode(Ping(number=77)))
    peer.send_raw(frames)
    assert peer.expect(Pong).number == 77
    peer.send_raw(frames)  # even by ourselves
    stranger.send_multipart(frames)
    echo = auth.Seal(auth.key_bytes(peer.worker.settings.key), auth.run_nonce(bytes(32)), "to_addon")
    stranger.send_multipart(echo.sign(codec.encode(Pong(number=1, state="idle", steps_done=0))))
    assert peer.ping(78).number == 78
    assert not stranger.poll(100)
    assert peer.silent(0.1)


def test_strangers_do_not_slow_a_job_down(peer: Peer, connect: Callable[[], socket.socket]) -> None:
    """1000 idle connections and a flood of junk; the time counts, so the best of three is taken."""

    def seconds() -> float:
        began = time.monotonic()
        assert isinstance(peer.run(request("slow 20 25")), Result)
        return time.monotonic() - began

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    alone = seconds()
    links = [connect() for _ in range(1000)]
    for link in links[::10]:
        link.sendall(b"\xff" + bytes(8) + b"\x7f\x03")  # the beginning of a ZeroMQ greeting, and no more
    assert min(seconds() for _ in range(3)) <= 1.2 * alone
    assert all(only_greeted(link) for link in links)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_declared_frame_of_10_gb_costs_no_memory(peer: Peer, connect: Callable[[], socket.socket]) -> None:
    before = peer.ping().memory_bytes
    for size, parts in ((10 * 1024**3, 1), (2**63, 1), (limits.FRAME_BYTES - 1, 8)):
        for _ in range(parts):
            link = connect()
            assert _let_in(link, *door(peer))
            with contextlib.suppress(ConnectionError):
                link.sendall(b"\x02" + struct.pack(">Q", size) + bytes(1_000_000))
    assert isinstance(peer.run(request()), Result)
    assert peer.ping().memory_bytes - before < 64 * 1024**2


def _let_in(link: socket.socket, name: bytes, word: bytes, mechanism: bytes = b"PLAIN") -> bool:
    """Say everything that a ZeroMQ DEALER says before its first message; whether that opens the door."""
    link.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + b"\0" + bytes(31))
    heard = b""
    while len(heard) < GREETING_BYTES and (more := link.recv(GREETING_BYTES - len(heard))):
        heard += more
    kind = b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
    hello = b"\x05HELLO" + bytes([len(name)]) + name + bytes([len(word)]) + word
    for command in (hello, b"\x08INITIATE" + kind) if mechanism == b"PLAIN" else (b"\x05READY" + kind,):
        try:
            link.sendall(b"\x04" + bytes([len(command)]) + command)
            answer = link.recv(2)  # WELCOME, then READY: their frame says "command", and how long it is
            if len(answer) < 2 or answer[0] != 4 or link.recv(answer[1])[1:6] == b"ERROR":
                return False
        except ConnectionError:
            return False
    return True


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN"])
def test_a_message_without_an_end_costs_no_memory(
    peer: Peer, connect: Callable[[], socket.socket], mechanism: bytes
) -> None:
    """ZeroMQ keeps the frames of a message until it is whole; a stranger's never gets that far."""
    before = peer.ping().memory_bytes
    link = connect()
    assert not _let_in(link, auth.DOOR_NAME.encode(), b"0" * 64, mechanism)
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            link.sendall(b"\x03" + struct.pack(">Q", 1_000_000) + bytes(1_000_000))
    assert peer.ping().memory_bytes - before < 64 * 1024**2
    assert isinstance(peer.run(request()), Result)


def test_idle_strangers_are_hung_up_on(peer: Peer, connect: Callable[[], socket.socket]) -> None:
    link = connect()
    link.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while link.recv(4096):
            continue


# With the key, but nonsense


def test_pickles_are_never_opened(peer: Peer, tmp_path: Path, stranger: zmq.Socket[bytes]) -> None:
    marker = tmp_path / "hijacked"
    payload = pickle_that_runs(marker)
    submit = list(codec.encode(Submit(job_id=new_job(), request=request())))
    for index in range(len(submit)):
        frames = [payload if number == index else frame for number, frame in enumerate(submit)]
        peer.send_raw(peer.seal.sign(frames))
        stranger.send_multipart([b"x" * auth.AUTH_BYTES, *frames])
    stranger.send_multipart([payload, *submit])
    stranger.send_multipart([payload])
    assert peer.ping(3).number == 3
    assert isinstance(peer.run(request()), Result)
    assert not marker.exists()
    peer.inbox.clear()


def _edited(**changes: Any) -> Callable[[str], list[Any]]:
    """A Submit whose header was changed behind the back of every check of this side."""

    def frames(job_id: str) -> list[Any]:
        header, *buffers = codec.encode(Submit(job_id=job_id, request=request(layers=("bed", "spots"))))
        plain = json.loads(bytes(header))
        plain["body"]["request"] |= changes
        return [json.dumps(plain).encode(), *buffers]

    return frames


def _replaced(old: bytes, new: bytes) -> Callable[[str], list[Any]]:
    def frames(job_id: str) -> list[Any]:
        header, *buffers = _edited(seed=5)(job_id)
        assert header.count(old) == 1
        return [header.replace(old, new), *buffers]

    return frames


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param(_edited(takes=limits.TAKES + 1), "limit", id="takes"),
        pytest.param(_edited(steps=limits.STEPS + 1), "limit", id="steps"),
        pytest.param(_edited(guidance=1e9), "limit", id="guidance"),
        pytest.param(_edited(guidance=-1), "limit", id="negative"),
        pytest.param(_edited(duration_s=[10**6, 1]), "limit", id="duration"),
        pytest.param(_edited(duration_s=[0, 1]), "limit", id="no duration"),
        pytest.param(_edited(duration_s=[1, 0]), "limit", id="over nothing"),
        pytest.param(_edited(prompt="x" * (limits.PROMPT + 1)), "limit", id="prompt"),
        pytest.param(_edited(seed=2**63), "limit", id="more than 64 bits"),
        pytest.param(_edited(path="/etc/passwd"), "malformed", id="unknown field"),
        pytest.param(_edited(takes="3"), "malformed", id="wrong kind"),
        pytest.param(_edited(layers=["bed", "bed"]), "malformed", id="twice"),
        pytest.param(_replaced(b'"seed": 5', b'"seed": NaN'), "malformed", id="NaN"),
        pytest.param(_replaced(b'"seed": 5', b'"seed": 5, "seed": 6'), "malformed", id="field twice"),
        pytest.param(_replaced(b'"seed": 5', b'"prompt": "\xff\xfe"'), "malformed", id="bad UTF-8"),
        pytest.param(_replaced(b'"seed": 5', b'"x": ' + b"[" * 10**5 + b"]" * 10**5), "limit", id="deep"),
    ],
)
def test_nonsense_is_refused_with_its_code(peer: Peer, frames: Callable[[str], list[Any]], code: str) -> None:
    job_id = new_job()
    peer.send_raw(peer.seal.sign(frames(job_id)))
    refused = peer.expect(Failed, job_id=job_id)
    assert refused.code == code
    assert peer.ping().state == "idle"


def test_headers_and_frame_counts_beyond_their_bounds(peer: Peer) -> None:
    peer.ping()
    peer.inbox.clear()
    header = codec.encode(Hello(version="test"))[0]
    for frames in (
        [bytes(header) + b" " * limits.HEADER_BYTES],
        [header, *[b""] * limits.BUFFERS],
        [header, *[b""] * (limits.BUFFERS + 1)],
        [b""],
        [b"null"],
    ):
        peer.send_raw(peer.seal.sign(frames))
    assert peer.ping(9).number == 9
    assert peer.silent(0.05)


@pytest.mark.parametrize("what", SPOILERS)
def test_a_result_that_cannot_be_believed_is_not_sent(peer: Peer, what: str) -> None:
    said = peer.run(request(f"bad {what}"))
    assert isinstance(said, Failed)
    assert said.code == "model"
    assert "cannot be used" in said.sentence
    assert isinstance(peer.run(request()), Result)


def test_after_all_that_the_log_is_short(peer: Peer) -> None:
    wait_until(lambda: peer.worker.log())
    assert len(peer.worker.log()) < 2_000_000
