# SPDX-License-Identifier: GPL-3.0-or-later
"""Too much output (R15), and a host that does not listen (R17): the worker neither blocks nor grows."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from footfall.addon.wire.messages import Ping, Pong, Progress, Result
from footfall.tests.fakes.peer import DEADLINE_S, Peer, WorkerProcess, request, wait_until

LOG_BYTES = 20_000_000
GROWTH_BYTES = 16 * 1024**2


def log_bytes(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # rotated away meanwhile
            continue
    return total


def test_flood(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        job_id = peer.submit(request("flood 50"))
        most, messages = 0, []
        until = time.monotonic() + DEADLINE_S
        while not messages or not isinstance(messages[-1], Result):
            assert time.monotonic() < until
            most = max(most, log_bytes(tmp_path))
            if peer.socket.poll(5):
                messages.append(peer.receive())
        assert messages[-1].job_id == job_id
        assert most <= LOG_BYTES
        assert log_bytes(tmp_path) > 8_000_000
        assert isinstance(peer.run(request()), Result)
        peer.shut_down()
        wait_until(lambda: "done" in (tmp_path / "worker.log").read_text(errors="replace")[-2000:])
    assert log_bytes(tmp_path) <= LOG_BYTES


@pytest.mark.parametrize("silent_s", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_slow_host(tmp_path: Path, silent_s: int) -> None:
    """The host reads nothing, and asks for so many answers that every buffer between the two is full."""
    with Peer(WorkerProcess(tmp_path), receive_messages=1) as peer:
        peer.hello()
        process = psutil.Process(peer.pid)
        steps = silent_s * 100
        job_id = peer.submit(request(f"slow {steps} 10"))
        before = process.memory_info().rss
        asked = 0
        began = time.monotonic()
        while time.monotonic() - began < silent_s * 1.2:
            for _ in range(200):
                asked += 1
                peer.send(Ping(number=asked))
            wait_until(lambda: peer.socket.poll(0, 2), what="the worker to read what it is sent")
        assert process.memory_info().rss - before < GROWTH_BYTES
        result = None
        pongs = []
        while result is None or not pongs or pongs[-1] != asked:
            message = peer.receive()
            if isinstance(message, Pong):
                pongs.append(message.number)
            elif isinstance(message, Result):
                result = message
            else:
                assert isinstance(message, Progress)
                assert result is None
        assert result.job_id == job_id
        assert pongs == sorted(pongs)
        assert len(pongs) < asked  # merged: the queues were full indeed
        print(f"measured: silent host {silent_s} s: {asked} pings, {len(pongs)} pongs kept", end=", ")
        print(f"worker grew by {(process.memory_info().rss - before) / 1e6:.1f} MB")


def test_results_wait_for_a_host_that_does_not_read(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path), receive_messages=1) as peer:
        peer.hello()
        jobs = [peer.submit(request(seconds=30, seed=seed)) for seed in range(8)]
        process = psutil.Process(peer.pid)
        wait_until(lambda: peer.worker.log().count(": done") == len(jobs))
        before = process.memory_info().rss
        arrived: list[Result] = []
        while len(arrived) < len(jobs):
            message = peer.receive()
            if isinstance(message, Result):
                arrived.append(message)
        assert [result.job_id for result in arrived] == jobs
        assert process.memory_info().rss < before + GROWTH_BYTES
