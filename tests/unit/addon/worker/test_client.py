# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's thread and socket: when they start, whom they belong to, how they end."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from footfall.addon.wire import auth, codec
from footfall.addon.wire.errors import Malformed, WorkerError
from footfall.addon.wire.handshake import WorkerAddress, WorkerSettings
from footfall.addon.wire.messages import CancelReply, Failed, Hello, Ping, Submit
from footfall.addon.worker.client import JobClient, WorkerLaunch
from footfall.addon.worker.link import ZMQ_FLOOR, Link, check_zmq, release_sender
from footfall.addon.worker.reports import WorkerStatus
from footfall.tests.fakes.peer import new_job, request, wait_until


def launch(tmp_path: Path) -> WorkerLaunch:
    return WorkerLaunch(
        python=tmp_path / "nowhere",
        script=tmp_path / "nowhere.py",
        settings=lambda key: WorkerSettings(key=key, parent_pid=1, models_dir="", log_dir=str(tmp_path)),
    )


@pytest.fixture
def client(tmp_path: Path) -> Iterator[JobClient]:
    made = JobClient(launch(tmp_path))
    yield made
    made.close()


def client_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "footfall-client"]


def failed(client: JobClient, job_id: str) -> Failed:
    events: list[Any] = []

    def look() -> Failed | None:
        events.extend(client.drain())
        return next((e for e in events if isinstance(e, Failed) and e.job_id == job_id), None)

    found: Failed = wait_until(look)
    return found


# Start


def test_nothing_starts_before_the_first_job(client: JobClient) -> None:
    assert not client_threads()
    assert client.status == WorkerStatus()
    assert client.drain() == []
    assert client.log_tail() == []
    client.cancel(new_job())
    assert [event.outcome for event in client.drain() if isinstance(event, CancelReply)] == ["unknown"]
    assert not client_threads()


LAZY = """
import sys
from pathlib import Path
from footfall.addon.worker.client import JobClient, WorkerLaunch
client = JobClient(WorkerLaunch(python=Path("x"), script=Path("x"), settings=None))
client.drain(), client.status, client.cancel("0" * 32), client.close(), client.close()
print("zmq" in sys.modules, "torch" in sys.modules, "bpy" in sys.modules)
"""


def test_zmq_is_not_imported_before_the_first_job() -> None:
    told = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False", "False"]


def test_a_job_for_a_worker_that_is_not_there_fails_with_a_sentence(client: JobClient) -> None:
    job_id = new_job()
    client.submit(job_id, request())
    error = failed(client, job_id)
    assert error.code == "worker_not_installed"
    assert "Set up worker" in error.sentence
    assert client.status.state == "failed"


@pytest.mark.parametrize("job_id", ["", "x" * 32, "A" * 32, "../" + "0" * 29])
def test_a_job_id_is_checked_where_it_is_given(client: JobClient, job_id: str) -> None:
    with pytest.raises(Malformed):
        client.submit(job_id, request())
    with pytest.raises(Malformed):
        client.cancel(job_id)
    assert not client_threads()


def test_only_a_request_can_be_submitted(client: JobClient) -> None:
    with pytest.raises(TypeError):
        client.submit(new_job(), {"prompt": "rain"})  # type: ignore[arg-type]


# S13: the version of libzmq


def fake_zmq(version: tuple[int, ...]) -> Any:
    return types.SimpleNamespace(zmq_version_info=lambda: version, __version__="22.0", __file__="elsewhere")


@pytest.mark.parametrize("version", [(4, 3, 3), (4, 2, 5), (3, 2, 0)])
def test_an_old_libzmq_is_refused(tmp_path: Path, version: tuple[int, ...]) -> None:
    def load() -> Any:
        module = fake_zmq(version)
        check_zmq(module)
        return module

    client = JobClient(launch(tmp_path), load=load)
    job_id = new_job()
    client.submit(job_id, request())
    error = failed(client, job_id)
    client.restart()
    again = new_job()
    client.submit(again, request())
    assert failed(client, again).sentence == error.sentence
    client.close()
    assert error.code == "worker_start"
    assert ".".join(map(str, version)) in error.sentence
    assert ".".join(map(str, ZMQ_FLOOR)) in error.sentence
    assert "restart Blender" in error.sentence
    assert "elsewhere" in error.detail


@pytest.mark.parametrize("version", [ZMQ_FLOOR, (4, 3, 5), (5, 0, 0)])
def test_a_newer_libzmq_is_fine(version: tuple[int, ...]) -> None:
    check_zmq(fake_zmq(version))


def test_the_real_libzmq_is_new_enough() -> None:
    check_zmq(zmq)
    assert ZMQ_FLOOR >= (4, 3, 3)


@pytest.mark.parametrize("left", [None, types.ModuleType("zmq")], ids=["missing", "half"])
def test_a_broken_zmq_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: Any) -> None:
    """Not there at all, or what an interrupted update of another extension leaves of it."""
    monkeypatch.setitem(sys.modules, "zmq", left)
    client = JobClient(launch(tmp_path))
    job_id = new_job()
    client.submit(job_id, request())
    error = failed(client, job_id)
    assert error.code == "worker_start"
    assert "pyzmq" in error.sentence
    assert "restart Blender" in error.sentence
    client.close()


# End


def test_close_before_start_and_twice(client: JobClient) -> None:
    client.close()
    client.close()
    with pytest.raises(WorkerError, match="shutting down"):
        client.submit(new_job(), request())
    with pytest.raises(WorkerError):
        client.restart()
    assert not client_threads()


def test_close_ends_the_thread_and_twenty_rounds_leave_nothing(tmp_path: Path) -> None:
    def once() -> None:
        client = JobClient(launch(tmp_path))
        job_id = new_job()
        client.submit(job_id, request())
        failed(client, job_id)
        client.close()
        assert not client_threads()

    once()
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for _ in range(20):
        once()
    assert before == (len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0)


def test_a_client_that_nobody_holds_ends_its_thread(tmp_path: Path) -> None:
    client = JobClient(launch(tmp_path))
    client.submit(new_job(), request())
    wait_until(client_threads)
    del client
    gc.collect()
    wait_until(lambda: not client_threads())


FORGOTTEN = """
import sys, time
from pathlib import Path
from footfall.addon.worker.client import JobClient
from footfall.tests.fakes.client_rig import make_launch
from footfall.tests.fakes.peer import new_job, request
client = JobClient(make_launch(Path(sys.argv[1])))
client.submit(new_job(), request("hang", frames=600))
while client.status.state != "busy":
    client.wait(0.05)
print(client.status.pid, time.monotonic(), flush=True)
"""


def test_quitting_with_a_forgotten_client_takes_three_seconds_at_most(tmp_path: Path) -> None:
    """As when Blender quits without disabling the add-on, with a job that hangs."""
    import time

    from footfall.tests.fakes.peer import gone

    told = subprocess.run(
        [sys.executable, "-c", FORGOTTEN, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    pid, said_at = told.stdout.split()
    assert time.monotonic() - float(said_at) < 3.5
    wait_until(lambda: gone(int(pid)), 2.0)


def test_an_unforeseen_error_is_told_and_a_restart_helps(tmp_path: Path, caplog: Any) -> None:
    """A mistake of ours on the thread: the jobs fail with a sentence, the thread lives."""
    client = JobClient(launch(tmp_path))
    io = client._io
    job_id, original = new_job(), io._conductor.step

    def step(now: float) -> None:
        io._conductor.step = original  # type: ignore[method-assign]
        raise RuntimeError("a mistake")

    io._conductor.step = step  # type: ignore[method-assign]
    client.submit(job_id, request())
    assert "went wrong" in failed(client, job_id).sentence
    assert client.status.state == "failed"
    assert "a mistake" in caplog.text
    client.restart()
    again = new_job()
    client.submit(again, request())
    assert failed(client, again).code == "worker_not_installed", "it works as before"
    client.close()


def test_errors_without_end_end_the_thread(tmp_path: Path) -> None:
    client = JobClient(launch(tmp_path))

    def step(now: float) -> None:
        raise RuntimeError("a mistake")

    client._io._conductor.step = step  # type: ignore[method-assign]

    def refused() -> bool:
        try:
            client.submit(new_job(), request())
        except WorkerError:
            return True
        return False

    wait_until(refused)
    wait_until(lambda: not client_threads())
    client.close()


# The link


class Ends:
    """A Link and, in place of the worker, a bare ROUTER."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.settings = WorkerSettings(key=auth.new_key(), parent_pid=1, models_dir="", log_dir="")
        key = auth.key_bytes(self.settings.key)
        self.seal = auth.Seal(key, auth.run_nonce(key), "to_addon")
        self.verifier = auth.Verifier(key, auth.run_nonce(key), "to_worker")
        address = WorkerAddress(endpoint=f"tcp://127.0.0.1:{port}", pid=1, major=1, minor=0, version="1")
        self.link = Link(zmq, self.context, address, self.settings)

    def greet(self) -> bytes:
        wait_until(lambda: self.link.send(Hello(version="1")))
        assert self.router.poll(5_000)
        identity, *frames = self.router.recv_multipart()
        assert isinstance(codec.decode(self.verifier.open(frames)), Hello)
        return bytes(identity)

    def close(self) -> None:
        self.link.close()
        self.router.close()
        self.context.term()
        release_sender()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_sending_before_the_connection_is_there_is_refused_not_queued(ends: Ends) -> None:
    assert ends.link.socket.getsockopt(zmq.IMMEDIATE) == 1
    assert ends.link.socket.getsockopt(zmq.LINGER) == 0
    assert ends.link.socket.getsockopt(zmq.MAXMSGSIZE) > 0
    assert ends.link.socket.getsockopt(zmq.SNDHWM) > 0
    assert ends.link.socket.getsockopt(zmq.RCVHWM) > 0
    ends.greet()


def test_forged_messages_are_dropped_and_counted(ends: Ends) -> None:
    identity = ends.greet()
    good = ends.seal.sign(codec.encode(Ping(number=1)))
    for frames in ([b"junk"], [b"x" * 40, b"{}"], good, good, [good[0], b"{}"]):
        ends.router.send_multipart([identity, *frames])
    found = []
    wait_until(lambda: found.append(ends.link.receive()) or ends.link.dropped == 4)
    assert [message for message in found if message] == [Ping(number=1)]


def test_the_socket_belongs_to_its_thread(ends: Ends) -> None:
    """R18."""
    errors: list[BaseException] = []

    def use() -> None:
        for act in (
            lambda: ends.link.send(Hello(version="1")),
            ends.link.receive,
            ends.link.close,
            lambda: ends.link.socket,
        ):
            try:
                act()
            except RuntimeError as error:
                errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(errors) == 4
    ends.greet()


def test_large_frames_are_sent_from_where_they_lie(ends: Ends) -> None:
    """pyzmq holds on to the very array until it is sent, and lets it go afterwards."""
    ends.greet()
    pictures = np.random.default_rng(1).integers(0, 255, (40, 64, 64, 3), np.uint8)
    wanted = type(request())(frames=pictures, times_s=np.arange(40) / 4.0, duration_s=request().duration_s)
    references = sys.getrefcount(pictures)
    assert ends.link.send(Submit(job_id=new_job(), request=wanted))
    assert ends.router.poll(5_000)
    _identity, *frames = ends.router.recv_multipart()
    message = codec.decode(ends.verifier.open(frames))
    assert isinstance(message, Submit)
    assert message.request.frames.tobytes() == pictures.tobytes()
    from zmq.utils.garbage import gc as sender

    wait_until(lambda: not sender.refs)
    assert sys.getrefcount(pictures) == references


def test_the_sender_thread_of_pyzmq_ends_with_us() -> None:
    ends = Ends()
    ends.greet()
    big = type(request())(
        frames=np.zeros((4, 256, 256, 3), np.uint8), times_s=np.arange(4.0), duration_s=request().duration_s
    )
    before = {thread.name for thread in threading.enumerate()}
    assert ends.link.send(Submit(job_id=new_job(), request=big))
    assert len(threading.enumerate()) > len(before)
    ends.close()
    assert {thread.name for thread in threading.enumerate()} <= before
