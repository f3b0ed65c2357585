# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker for other computers: never without keys on both sides, never for strangers (S15), one at a time.

"Other computers" are other connections to this one's loopback here; what CURVE and the list of clients do
does not depend on the address.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from footfall.addon.wire.exits import WorkerExit
from footfall.addon.wire.handshake import WorkerAddress, parse
from footfall.addon.wire.messages import Failed, Progress, Result
from footfall.addon.worker.client import JobClient
from footfall.addon.worker.remote import remote_launch
from footfall.addon.worker.reports import FAILED, WorkerStatus
from footfall.cli.worker import make_keys
from footfall.tests.fakes.peer import WorkerProcess, new_job, read_line, request, wait_until


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """worker/ and artist/, and another artist who is listed too, and one who is not."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("site", "second", "stranger"):
        make_keys(folder / name)
        if name != "site":
            shutil.copy(folder / "site/artist/worker.key", folder / name / "artist/worker.key")
    shutil.copy(folder / "second/worker/clients/artist.key", folder / "site/worker/clients/second.key")
    return folder


@pytest.fixture(scope="module")
def address(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    words = ["--remote", "--bind", "tcp://127.0.0.1:*", "--keys", str(keys / "site/worker")]
    with WorkerProcess(tmp_path_factory.mktemp("worker"), arguments=words) as worker:
        assert worker.process.stdout is not None
        line = read_line(worker.process.stdout.fileno(), 30.0)
        yield parse(WorkerAddress, line, anywhere=True).endpoint


def visit(address: str, keys: Path, tmp_path: Path) -> JobClient:
    launch = remote_launch(address.removeprefix("tcp://"), keys / "artist", tmp_path)
    return JobClient(launch, version="1")


def ending(client: JobClient, job_id: str) -> Result | Failed:
    found: list[Result | Failed] = []

    def ended() -> bool:
        found.extend(
            event
            for event in client.wait(0.05)
            if isinstance(event, Result | Failed) and event.job_id == job_id
        )
        return bool(found)

    wait_until(ended)
    return found[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bind", "tcp://0.0.0.0:*"], "only listens to this computer"),
        (["--bind", "tcp://0.0.0.0:*", "--remote"], "needs keys"),
        (["--bind", "tcp://0.0.0.0:*", "--keys", "KEYS"], "add --remote"),
        (["--bind", "tcp://0.0.0.0:*", "--remote", "--keys", "NO_CLIENTS"], "Nobody may come in"),
        (["--bind", "tcp://0.0.0.0:*", "--remote", "--keys", "READABLE"], "Others can read"),
        (["--bind", "ipc:///tmp/x", "--remote", "--keys", "KEYS"], "needs an address"),
        (["--bind", "tcp://0.0.0.0:70000", "--remote", "--keys", "KEYS"], "needs an address"),
    ],
)
def test_remote_requires_curve(words: list[str], said: str, keys: Path, tmp_path: Path) -> None:
    """S15: without the flag, and keys of both sides, it ends before anything is bound."""
    places = {name: tmp_path / name for name in ("NO_CLIENTS", "READABLE")}
    for place in places.values():
        shutil.copytree(keys / "site/worker", place)
    for key in (places["NO_CLIENTS"] / "clients").iterdir():
        key.unlink()
    (places["READABLE"] / "worker.key_secret").chmod(0o644)
    places["KEYS"] = keys / "site/worker"
    with WorkerProcess(tmp_path, arguments=[str(places.get(word, word)) for word in words]) as worker:
        assert worker.wait() == WorkerExit.REFUSED
        assert said in worker.errors()


def test_a_listed_client_gets_its_sound(address: str, keys: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second connection counts its messages from the start again
        client = visit(address, keys / "site", tmp_path)
        job_id = new_job()
        client.submit(job_id, request())
        assert isinstance(ending(client, job_id), Result)
        client.close()


def test_the_worker_outlives_its_client_and_forgets_the_client_s_job(
    address: str, keys: Path, tmp_path: Path
) -> None:
    client = visit(address, keys / "site", tmp_path)
    job_id = new_job()
    client.submit(job_id, request("wait"))
    wait_until(lambda: any(isinstance(event, Progress) for event in client.wait(0.05)))
    client.close()
    again = visit(address, keys / "second", tmp_path)
    own = new_job()
    again.submit(own, request())
    heard = ending(again, own)
    assert isinstance(heard, Result)
    assert heard.job_id == own
    again.close()


def test_a_hanging_job_whose_owner_has_left_ends_the_worker(keys: Path, tmp_path: Path) -> None:
    words = ["--remote", "--bind", "tcp://127.0.0.1:*", "--keys", str(keys / "site/worker")]
    environment = {"FOOTFALL_FAKE_LEFT_S": "0.2"}
    with WorkerProcess(tmp_path, arguments=words, environment=environment) as worker:
        assert worker.process.stdout is not None
        line = read_line(worker.process.stdout.fileno(), 30.0)
        client = visit(parse(WorkerAddress, line, anywhere=True).endpoint, keys / "site", tmp_path)
        client.submit(new_job(), request("hang"))
        wait_until(lambda: any(isinstance(event, Progress) for event in client.wait(0.05)))
        client.close()
        assert worker.wait() == WorkerExit.CRASHED
        assert "its owner has left" in worker.log()


def test_a_stranger_who_knows_the_worker_s_key_is_dropped(address: str, keys: Path) -> None:
    """Its own key is not on the list: not one byte of the protocol is exchanged."""
    launch = remote_launch(address.removeprefix("tcp://"), keys / "stranger/artist", Path())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    launch.secure(socket, launch.start().settings)
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.connect(address)
    assert monitor.poll(10_000)
    event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
    assert event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    socket.disable_monitor()
    monitor.close(0)
    socket.close(0)
    context.term()


def test_who_has_no_keys_at_all_gets_nothing(address: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    socket.send_multipart([b"x" * 40, b"{}"])
    assert not socket.poll(300)
    socket.close(0)
    context.term()


def test_a_worker_that_is_not_there(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from footfall.addon.worker import remote as remote_worker

    monkeypatch.setattr(remote_worker, "READY_S", 0.2)
    client = visit("127.0.0.1:9", keys / "site", tmp_path)
    client.submit(new_job(), request())
    seen: list[WorkerStatus] = []

    def failed() -> bool:
        seen.extend(event for event in client.wait(0.05) if isinstance(event, WorkerStatus))
        return any(status.state == FAILED for status in seen)

    wait_until(failed)
    assert "127.0.0.1:9" in next(status for status in seen if status.state == FAILED).sentence
    client.close()
