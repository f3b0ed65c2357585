# SPDX-License-Identifier: GPL-3.0-or-later
"""The client with real workers: death, hang, crash loops, poison, many hosts, start and stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from footfall.addon.wire.exits import WorkerExit
from footfall.addon.wire.messages import Failed, PictureResult, Progress, Result
from footfall.addon.worker.client import JobClient
from footfall.addon.worker.reports import Delivered, WorkerStatus
from footfall.tests.fakes.client_rig import ClientRig, make_launch, sound
from footfall.tests.fakes.peer import gone, new_job, picture_request, request, wait_until

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
TOLD_S = 2.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ClientRig]:
    with ClientRig(tmp_path) as made:
        yield made


def test_a_job_from_end_to_end(rig: ClientRig) -> None:
    job_id = rig.submit(request(seed=3))
    end = rig.ending(job_id)
    assert isinstance(end, Result), rig.tell()
    status = rig.client.status
    assert (status.device, status.pid > 0, status.starts) == ("Fake device", True, 1)
    assert [bundle.name for bundle in status.bundles] == ["starter"]
    rig.until(lambda: rig.client.status.state == "ready")
    wait_until(lambda: "Job" in "\n".join(rig.client.log_tail(20)))


def test_deliver_runs_on_the_clients_thread(tmp_path: Path) -> None:
    def deliver(job_id: str, result: Result) -> str:
        return threading.current_thread().name

    with ClientRig(tmp_path, deliver=deliver) as rig:
        end = rig.run()
        assert isinstance(end, Delivered)
        assert end.stored == "footfall-client"


# R3: the worker dies in the middle of a job


@posix
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "crash", "exit 7"])
def test_death_is_told_within_two_seconds_and_the_next_job_works(rig: ClientRig, how: str) -> None:
    rig.run()
    first = rig.pid
    if how.startswith("SIG"):
        job_id = rig.submit("slow 1000 20")
        rig.in_phase(job_id, "sampling")
        died = rig.kill(getattr(signal, how))
    else:
        died = time.monotonic()
        job_id = rig.submit(how)
    end = rig.ending(job_id)
    assert rig.when(Failed, job_id) - died < TOLD_S
    assert isinstance(end, Failed)
    assert end.code == "worker_died"
    assert "generating again" in end.sentence
    assert {"SIGKILL": "memory", "SIGSEGV": "crashed", "crash": "crashed", "exit 7": "code 7"}[
        how
    ] in end.sentence
    if how == "crash":
        assert "Segmentation fault" in end.detail or "File" in end.detail, "the last words are in the details"
    assert isinstance(rig.run("slow 2 1"), Result)
    assert rig.pid != first
    assert gone(first)


@posix
def test_death_while_idle_costs_nothing(rig: ClientRig) -> None:
    rig.run()
    died = rig.kill()
    rig.until(lambda: rig.client.status.state == "off")
    assert time.monotonic() - died < TOLD_S
    assert "memory" in rig.client.status.sentence
    assert isinstance(rig.run(), Result)


# R4: a worker that hangs while its heart beats


@pytest.mark.parametrize("how", ["hang", pytest.param("spin", marks=pytest.mark.slow), "hang-gil"])
def test_a_hung_worker_is_ended_at_the_deadline(tmp_path: Path, how: str) -> None:
    """Its transport answers pings (or, with the lock held, nothing at all); progress has stopped."""
    with ClientRig(tmp_path, step_deadline_s=2.0, kill_after_s=1.0) as rig:
        rig.run()
        first = rig.pid
        job_id = rig.submit(how)
        rig.in_phase(job_id, "sampling")
        began = time.monotonic()
        end = rig.ending(job_id)
        took = rig.when(Failed, job_id) - began
        assert end.code == "timeout", rig.tell()
        assert 2.5 < took < 6.0
        assert isinstance(rig.run("slow 3 10"), Result)
        assert rig.pid != first
        wait_until(lambda: gone(first))


# R5: a worker that is only busy


def test_busy_is_not_dead(tmp_path: Path) -> None:
    """It holds Python's lock for 10 s, as when it loads weights: no restart, and the status says so."""
    with ClientRig(tmp_path) as rig:
        job_id = rig.submit("hang-gil 10 in loading")
        rig.accepted(job_id)
        rig.until(lambda: rig.client.status.silent_s > 5)
        assert rig.client.status.state in ("busy", "loading")
        end = rig.ending(job_id)
        assert isinstance(end, Result), rig.tell()
        assert rig.client.status.starts == 1
        assert not {"restarting", "failed", "off"} & set(rig.states())


# R6: a crash loop, R7: poison


def test_a_worker_that_dies_at_start(tmp_path: Path) -> None:
    with ClientRig(tmp_path, environment={"FOOTFALL_FAKE_DIE": "1"}) as rig:
        began = time.monotonic()
        end = rig.run()
        assert isinstance(end, Failed)
        assert end.code == "worker_start"
        assert rig.client.status.starts == 3
        assert time.monotonic() - began >= 3.0, "one second, then two"
        assert rig.client.status.state == "failed"
        assert isinstance(rig.run(), Failed)
        assert rig.client.status.starts == 3, "a new job alone does not start it again"
        rig.client.restart(make_launch(tmp_path))
        rig.until(lambda: rig.client.status.state == "ready")
        assert isinstance(rig.run(), Result)


def test_a_worker_without_its_packages_is_told_at_once(tmp_path: Path) -> None:
    with ClientRig(tmp_path, environment={"FOOTFALL_FAKE_FAIL": "import"}) as rig:
        end = rig.run()
        assert isinstance(end, Failed)
        assert end.code == "worker_not_installed"
        assert "Set Up Worker" in end.sentence
        assert "No module named 'torch'" in end.detail
        assert rig.client.status.starts == 1


def test_a_python_that_is_too_old_is_told_at_once(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text(f"import os\nos._exit({int(WorkerExit.WRONG_PYTHON)})\n")
    with ClientRig(tmp_path, launch=make_launch(tmp_path, script=script)) as rig:
        end = rig.run()
        assert isinstance(end, Failed)
        assert "Python 3.11" in end.sentence


def test_poison(rig: ClientRig) -> None:
    """A job that ends the worker twice is never sent again; those beside it run, unblamed."""
    poison = request("crash")
    for _ in range(2):
        bad = rig.submit(poison)
        good = rig.submit("slow 2 1")
        assert rig.ending(bad).code == "worker_died"
        assert isinstance(rig.ending(good), Result)
    starts = rig.client.status.starts
    end = rig.run(poison)
    assert "ended the worker twice" in end.sentence
    assert isinstance(rig.run("slow 1 1"), Result)
    assert rig.client.status.starts == starts


def test_pictures_go_the_same_way(rig: ClientRig) -> None:
    """One worker and one queue for both, the same poison rule, and a sound's job ends with a sound."""
    end = rig.run(picture_request(parts=3))
    assert isinstance(end, PictureResult)
    colours = {bytes(picture.pixels[0, 0]) for picture in end.pictures}
    assert len(colours) == 3
    assert end.provenance.mapper == "none"
    poison = picture_request("crash")
    for _ in range(2):
        assert rig.run(poison).code == "worker_died"
    assert "ended the worker twice" in rig.run(poison).sentence
    assert isinstance(rig.run("slow 1 1"), Result)


# S11: a worker that is not to be believed; here the worker's own check speaks first


@pytest.mark.parametrize("what", ["nan", "loud", "rate", "long", "nothing"])
def test_a_bad_rendering_is_no_sound(rig: ClientRig, what: str) -> None:
    assert isinstance(rig.run(f"bad {what}"), Failed)
    assert isinstance(rig.run(), Result)


# S14: hijack at launch


def test_planted_files_do_not_reach_the_worker(tmp_path: Path, monkeypatch: Any) -> None:
    """A strange folder with a strange name, full of modules that would end the worker if imported."""
    logs = tmp_path / ('it\'s "a" folder ü 🎬 ' + "n" * 180)
    logs.mkdir()
    bad = "import os; os._exit(99)\n"
    for folder in (logs, tmp_path / "on path"):
        folder.mkdir(exist_ok=True)
        for name in (
            "sitecustomize",
            "usercustomize",
            "torch",
            "footfall",
            "numpy",
            "zmq",
            "json",
            "logging",
        ):
            (folder / f"{name}.py").write_text(bad)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "on path"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "on path" / "torch.py"))
    monkeypatch.chdir(logs)
    with ClientRig(logs) as rig:
        assert isinstance(rig.run(), Result), rig.tell()


@posix
def test_the_key_is_nowhere(tmp_path: Path, caplog: Any) -> None:
    """S7, the client's side: arguments, environment, files, our log at DEBUG."""
    caplog.set_level(logging.DEBUG)
    with ClientRig(tmp_path) as rig:
        rig.run()
        process: Any = rig.client._io._conductor.worker.process
        key = process.settings.key
        for name in ("cmdline", "environ"):
            assert key.encode() not in Path(f"/proc/{rig.pid}/{name}").read_bytes()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes()
            assert bytes.fromhex(key) not in path.read_bytes()
    assert key not in caplog.text


# R16: many hosts at once


def test_many_hosts(tmp_path: Path) -> None:
    """20 start together: each has a worker of its own, and each worker ends with its own host only."""
    rigs = [ClientRig(tmp_path / str(number)) for number in range(20)]
    try:
        jobs = [rig.submit(request(seed=number)) for number, rig in enumerate(rigs)]
        ends = [rig.ending(job_id, 120.0) for rig, job_id in zip(rigs, jobs, strict=True)]
        assert all(isinstance(end, Result) for end in ends)
        assert len({sound(end) for end in ends}) == 20, "each has its own sound"
        assert all(rig.client.status.starts == 1 for rig in rigs), "no retries"
        pids = [rig.pid for rig in rigs]
        ports = [_listening(pid) for pid in pids]
        assert len({port for port in ports if port}) == 20
        rigs[0].client.close()
        assert gone(pids[0])
        assert not any(gone(pid) for pid in pids[1:])
        os.kill(pids[1], signal.SIGKILL)
        rigs[1].until(lambda: rigs[1].client.status.state == "off")
        assert all(isinstance(rig.run(), Result) for rig in rigs[2:4])
    finally:
        closers = [threading.Thread(target=rig.client.close) for rig in rigs]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


def _listening(pid: int) -> int:
    connections = [c for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in connections] == ["127.0.0.1"]
    return int(connections[0].laddr.port)


# R19: start and stop


def _open() -> tuple[int, int, int]:
    me = psutil.Process()
    return (
        me.num_fds() if sys.platform != "win32" else me.num_handles(),
        threading.active_count(),
        len(me.children()),
    )


def test_twenty_starts_and_stops_leave_nothing(tmp_path: Path) -> None:
    def once(pictures: Any) -> None:
        with ClientRig(tmp_path) as rig:
            assert isinstance(rig.run(pictures), Result)

    # Large enough to be sent by reference, which makes pyzmq start a thread.
    pictures = request("", frames=600)
    assert pictures.frames.nbytes > 100_000
    once(pictures)
    before = _open()
    for _ in range(20):
        once(pictures)
    wait_until(lambda: _open() == before, 5.0, f"{before} {_open()}")


@pytest.mark.parametrize("prompt", ["slow 1000 20", "hang", "spin", "hang-gil"])
def test_closing_with_a_job_running_takes_three_seconds_at_most(tmp_path: Path, prompt: str) -> None:
    rig = ClientRig(tmp_path)
    job_id = rig.submit(prompt)
    rig.in_phase(job_id, "sampling")
    pid = rig.pid
    began = time.monotonic()
    rig.client.close()
    took = time.monotonic() - began
    rig.client.close()
    assert took < 3.0
    assert gone(pid)
    assert [thread for thread in threading.enumerate() if thread.name == "footfall-client"] == []


def test_closing_while_the_worker_starts(tmp_path: Path) -> None:
    rig = ClientRig(tmp_path, environment={"FOOTFALL_FAKE_START_S": "60"})
    rig.submit("")
    rig.until(lambda: rig.client.status.pid)
    pid = rig.pid
    began = time.monotonic()
    rig.client.close()
    assert time.monotonic() - began < 3.0
    assert gone(pid)


def test_closing_in_a_hurry(tmp_path: Path) -> None:
    rig = ClientRig(tmp_path)
    job_id = rig.submit("spin")
    rig.in_phase(job_id, "sampling")
    pid = rig.pid
    began = time.monotonic()
    rig.client.close(timeout_s=0.2)
    assert time.monotonic() - began < 0.4
    wait_until(lambda: gone(pid), 2.0)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "footfall-client"], 3.0)


@posix
def test_a_restart_runs_the_job_again(rig: ClientRig) -> None:
    job_id = rig.submit("slow 40 50")
    rig.in_phase(job_id, "sampling")
    first = rig.pid
    rig.client.restart()
    assert isinstance(rig.ending(job_id), Result)
    assert rig.pid != first
    assert gone(first)


# R12: an owner that does not ask


def test_a_stalled_owner_gets_everything_in_order(tmp_path: Path) -> None:
    """As while Blender renders: nothing is taken until all jobs are long done."""
    client = JobClient(make_launch(tmp_path), version="1")
    jobs = [new_job() for _ in range(8)]
    for number, job_id in enumerate(jobs):
        client.submit(job_id, request("slow 10 5", seed=number))
    wait_until(lambda: client.status.state == "ready" and len(client._io._conductor.jobs._ended) == 8)
    events = client.drain(1000)
    client.close()
    assert [event.job_id for event in events if isinstance(event, Result)] == jobs
    for job_id in jobs:
        mine = [e for e in events if not isinstance(e, WorkerStatus) and e.job_id == job_id]
        assert [type(event).__name__ for event in mine] == ["Accepted", "Progress", "Result"]
    assert len([event for event in events if isinstance(event, Progress)]) == 8
