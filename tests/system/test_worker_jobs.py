# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in a real worker: cancel (R9), nothing left behind (R11), out of memory (R22), one run, heartbeat."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import psutil
import pytest
from footfall.addon.wire.messages import (
    Accepted,
    Cancel,
    CancelReply,
    Event,
    Failed,
    FoleyRequest,
    Progress,
    Received,
    Result,
    Submit,
)
from footfall.tests.fakes.fake_pipeline import DEVICE_BYTES, render
from footfall.tests.fakes.misbehaviour import PLACES
from footfall.tests.fakes.peer import Peer, WorkerProcess, children, new_job, request, wait_until

CANCEL_S = 0.25


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with Peer(WorkerProcess(tmp_path_factory.mktemp("worker"))) as peer:
        peer.hello()
        yield peer


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with Peer(WorkerProcess(tmp_path_factory.mktemp("other"))) as peer:
        peer.hello()
        yield peer


def cancel(peer: Peer, job_id: str) -> tuple[str, float]:
    """The outcome, and the seconds until it was told."""
    began = time.monotonic()
    peer.send(Cancel(job_id=job_id))
    reply = peer.expect(CancelReply, job_id=job_id)
    return reply.outcome, time.monotonic() - began


def reach(peer: Peer, job_id: str, place: str) -> None:
    """Wait until the job says that it has come to ``place``; for ``loading``, see ``unload``."""
    peer.expect(Progress, job_id=job_id, phase=place.removesuffix("-last"))
    if place == "sampling-last":  # its last step is not told; that it stands still there is seen
        steps = peer.ping().steps_done
        wait_until(lambda: peer.ping().steps_done > steps)


def unload(peer: Peer) -> None:
    """Have the next job load its model again: a lack of memory empties everything."""
    assert peer.run(request("oom")).code == "out_of_memory"  # type: ignore[union-attr]


@pytest.mark.parametrize("place", PLACES)
def test_cancel_matrix_running(peer: Peer, place: str) -> None:
    unload(peer)
    bystander_request = request("bystander")
    job_id = peer.submit(request(f"wait in {place}"))
    bystander = peer.submit(bystander_request)
    reach(peer, job_id, place)
    outcome, took_s = cancel(peer, job_id)
    assert outcome == "cancelled"
    assert took_s < CANCEL_S
    ended = peer.ending(job_id)
    assert isinstance(ended, Failed)
    assert ended.code == "cancelled"
    assert same(peer.ending(bystander), bystander_request)
    assert cancel(peer, job_id)[0] == "not_running"
    print(f"measured: cancel acknowledged in {place} after {took_s * 1000:.1f} ms")


@pytest.mark.parametrize("busy", ["spin 1", "sleep 1", "hang 1"])
def test_cancel_is_acknowledged_at_once_whatever_the_model_does(peer: Peer, busy: str) -> None:
    job_id = peer.submit(request(busy))
    reach(peer, job_id, "sampling")
    outcome, took_s = cancel(peer, job_id)
    assert outcome == "cancelled"
    assert took_s < CANCEL_S
    assert peer.ending(job_id).code == "cancelled"  # type: ignore[union-attr]
    print(f"measured: cancel acknowledged during {busy!r} after {took_s * 1000:.1f} ms")


def test_cancel_matrix_not_running(peer: Peer, other: Peer) -> None:
    running = peer.submit(request("wait"))
    queued, bystander = peer.submit(request()), peer.submit(request())
    elsewhere = other.submit(request("wait"))
    reach(peer, running, "sampling")
    for job_id, outcome in ((queued, "cancelled"), (elsewhere, "unknown"), (new_job(), "unknown")):
        told, took_s = cancel(peer, job_id)
        assert told == outcome
        assert took_s < CANCEL_S
    assert peer.ending(queued).code == "cancelled"  # type: ignore[union-attr]
    assert cancel(peer, queued)[0] == "not_running"
    assert cancel(peer, running)[0] == "cancelled"
    assert isinstance(peer.ending(bystander), Result)
    assert cancel(peer, bystander)[0] == "not_running"
    assert other.ping().state == "busy"
    assert cancel(other, elsewhere)[0] == "cancelled"


def same(said: object, wanted: FoleyRequest) -> bool:
    """Whether ``said`` is exactly the sound that ``wanted`` gives on its own."""
    assert isinstance(said, Result)
    expected = render(wanted)
    return len(said.clips) == len(expected.clips) and all(
        np.array_equal(clip.waveform, right.waveform)
        and (clip.take, clip.layer, clip.start_s, clip.rate_hz)
        == (right.take, right.layer, right.start_s, right.rate_hz)
        for clip, right in zip(said.clips, expected.clips, strict=True)
    )


WANTED = request(
    "footsteps, wet gravel",
    seconds=Fraction(1001, 480),
    takes=2,
    layers=("bed", "spots"),
    events=(Event(time_s=Fraction(1, 3), words="heel"),),
    seed=7,
)


@pytest.mark.parametrize("place", PLACES)
def test_after_cancel_bit_identical(peer: Peer, place: str) -> None:
    unload(peer)
    job_id = peer.submit(request(f"wait in {place}"))
    reach(peer, job_id, place)
    cancel(peer, job_id)
    assert peer.ending(job_id).code == "cancelled"  # type: ignore[union-attr]
    assert same(peer.run(WANTED), WANTED)


@pytest.mark.parametrize(
    "prompt", ["fail", "oom", "quit", "bad nan", "memory in decoding", "missing in loading"]
)
def test_after_failure_bit_identical(peer: Peer, prompt: str) -> None:
    assert isinstance(peer.run(request(prompt)), Failed | Result)
    assert same(peer.run(WANTED), WANTED)


def test_a_sound_arrives_as_it_was_made(peer: Peer) -> None:
    for wanted in (
        request(),
        request("ünïcode ☂", seconds=Fraction(1, 100), rate_hz=192_000),
        request(takes=16),
        request(seconds=60, frames=240),
        request(condition="clap_text", frames=0, prompt="rain"),
    ):
        assert same(peer.run(wanted), wanted)


def test_progress_rises_and_ends_below_one(peer: Peer) -> None:
    peer.inbox.clear()
    job_id = peer.submit(request("slow 30 20"))
    fractions: list[float] = []
    left: list[float] = []
    while not isinstance(message := peer.receive(), Result):
        assert isinstance(message, Progress)
        assert message.job_id == job_id
        fractions.append(message.fraction)
        left.append(message.left_s)
    assert len(fractions) > 5
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1.0
    assert left[0] == -1.0
    assert 0.0 <= left[-1] < 5.0


def test_a_job_sent_again_runs_once(peer: Peer) -> None:
    wanted = request("slow 5 20")
    job_id = peer.submit(wanted)
    peer.submit(wanted, job_id)
    first = peer.ending(job_id)
    peer.submit(wanted, job_id)
    again = peer.ending(job_id)
    assert same(first, wanted)
    assert same(again, wanted)
    peer.send(Received(job_id=job_id))
    peer.send(Submit(job_id=job_id, request=wanted))
    assert "delivered before" in peer.expect(Failed, job_id=job_id).sentence
    peer.inbox.clear()


def test_what_was_not_received_survives_a_reconnect(other: Peer) -> None:
    wanted = request("once")
    job_id = other.submit(wanted)
    assert isinstance(other.ending(job_id), Result)
    other.socket.disconnect(other.address.endpoint)
    other.socket.connect(other.address.endpoint)
    other.ping()
    assert same(other.ending(job_id), wanted)
    other.send(Received(job_id=job_id))
    assert isinstance(other.run(request()), Result)


@pytest.mark.parametrize("prompt", ["spin", "sleep", "hang", "wait"])
def test_the_heart_beats_while_the_model_works_and_steps_tell_hung_from_busy(
    tmp_path_factory: pytest.TempPathFactory, prompt: str
) -> None:
    with Peer(WorkerProcess(tmp_path_factory.mktemp("worker"))) as peer:
        peer.hello()
        job_id = peer.submit(request(prompt))
        reach(peer, job_id, "sampling")
        before = peer.ping().steps_done
        for number in range(10):
            began = time.monotonic()
            pong = peer.ping(number)
            assert time.monotonic() - began < CANCEL_S
            assert pong.state == "busy"
            assert pong.memory_bytes > 10**7
        if prompt == "wait":
            wait_until(lambda: peer.ping().steps_done > before)
        else:
            assert peer.ping().steps_done - before <= 1


def test_loading_is_told(peer: Peer, other: Peer) -> None:
    job_id = other.submit(request("wait in loading"))
    reach(other, job_id, "loading")
    assert other.ping().state == "loading"
    cancel(other, job_id)
    other.ending(job_id)
    assert other.ping().state == "idle"


def test_out_of_memory_then_a_smaller_job(other: Peer) -> None:
    assert isinstance(other.run(request()), Result)
    wait_until(lambda: other.ping().device_memory_bytes == DEVICE_BYTES)
    failed = other.run(request("oom 2", seconds=3))
    assert isinstance(failed, Failed)
    assert failed.code == "out_of_memory"
    assert "shorten" in failed.sentence
    wait_until(lambda: other.ping().device_memory_bytes == 0)
    assert isinstance(other.run(request("oom 2", seconds=2)), Result)


def test_memory_is_given_back_when_idle(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Peer(WorkerProcess(tmp_path_factory.mktemp("worker"), idle_s=0.3)) as peer:
        peer.hello()
        assert isinstance(peer.run(request()), Result)
        wait_until(lambda: peer.ping().device_memory_bytes == 0, 5.0)
        assert isinstance(peer.run(request()), Result)


def test_too_many_jobs_are_refused_and_the_others_run(other: Peer) -> None:
    running = other.submit(request("wait"))
    reach(other, running, "sampling")
    jobs = [new_job() for _ in range(40)]
    for job_id in jobs:
        other.send(Submit(job_id=job_id, request=request()))
    refused = [job_id for job_id in jobs if type(_answer(other, job_id)) is Failed]
    assert refused == jobs[32:]
    cancel(other, running)
    assert all(isinstance(other.ending(job_id), Result) for job_id in jobs[:32])


def _answer(peer: Peer, job_id: str) -> object:
    while True:
        message = peer.receive()
        if isinstance(message, Accepted | Failed) and message.job_id == job_id:
            return message


def test_an_idle_worker_is_small_and_has_no_torch(other: Peer) -> None:
    process = psutil.Process(other.pid)
    print(f"measured: idle worker {process.memory_info().rss / 1e6:.0f} MB, ", end="")
    (keeper,) = children(other.pid)
    print(f"its log keeper {psutil.Process(keeper).memory_info().rss / 1e6:.0f} MB")
    assert process.memory_info().rss < 120_000_000
    assert not [m.path for m in process.memory_maps() if "torch" in m.path]
    assert other.ping().memory_bytes == pytest.approx(process.memory_info().rss, rel=0.1)
