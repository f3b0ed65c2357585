# SPDX-License-Identifier: GPL-3.0-or-later
"""However the host ends, the worker and its log keeper are gone within two seconds (R1)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.exits import WorkerExit
from footfall.tests.fakes import host as host_module
from footfall.tests.fakes.peer import DEADLINE_S, Peer, WorkerProcess, gone, read_line, request, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows ends the worker by a job object")

GONE_WITHIN_S = 2.0
EACH = 5
# What the worker is doing when its host is killed: prompt for the fake, and the phase to wait for.
STATES = {
    "idle": ("", ""),
    "loading": ("wait in loading", "loading"),
    "sampling": ("wait", "sampling"),
    "sleeping": ("sleep", "sampling"),
    "hung": ("hang", "sampling"),
    "busy in Python": ("spin", "sampling"),
    "holding the GIL": ("hang-gil", "sampling"),
}


@contextmanager
def killed_host(folder: Path, **wish: Any) -> Iterator[dict[str, list[int]]]:
    """The processes of a host, which has just been killed."""
    command = [sys.executable, str(host_module.__file__), json.dumps({"log_dir": str(folder)} | wish)]
    host = subprocess.Popen(command, stdout=subprocess.PIPE)
    pids: dict[str, list[int]] = {}
    try:
        assert host.stdout is not None
        pids = json.loads(read_line(host.stdout.fileno(), DEADLINE_S))
        host.kill()
        host.wait()
        yield pids
    finally:
        host.kill()
        host.wait()
        host.stdout.close()  # type: ignore[union-attr]
        for pid in chain.from_iterable(pids.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def deaths(folder: Path, state: str, count: int, **wish: Any) -> list[float]:
    """Seconds from the host's death to each worker's; AssertionError unless all are in time."""
    prompt, phase = STATES[state]
    took = []
    wish |= {"workers": count, "prompt": prompt, "phase": phase, "silent": prompt == "hang-gil"}
    with killed_host(folder, **wish) as pids:
        began = time.monotonic()
        waiting = set(pids["workers"] + pids["keepers"])
        assert len(waiting) == 2 * count

        def all_gone() -> bool:
            for pid in sorted(waiting):
                if gone(pid):
                    waiting.remove(pid)
                    took.append(time.monotonic() - began)
            return not waiting

        wait_until(all_gone, GONE_WITHIN_S, f"orphans {state}: {waiting}")
    return took


def report(state: str, took: list[float]) -> None:
    print(f"measured: orphans {state}: {len(took)} processes gone, the last after {max(took) * 1000:.0f} ms")


@pytest.mark.parametrize("state", STATES)
def test_orphan(tmp_path: Path, state: str) -> None:
    report(state, deaths(tmp_path, state, EACH))


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_orphan_50_of_50(tmp_path: Path, state: str) -> None:
    took = list(chain.from_iterable(deaths(tmp_path / str(turn), state, 5) for turn in range(10)))
    assert len(took) == 2 * 50
    report(state, took)


@pytest.mark.parametrize("state", ["idle", "busy in Python"])
@pytest.mark.parametrize(
    "wrapper", [[], ["/bin/sh", "-c", '"$@"; exit $?', "wrapper"]], ids=["child", "behind a wrapper"]
)
def test_orphan_whose_lifeline_a_forked_sibling_holds(tmp_path: Path, state: str, wrapper: list[str]) -> None:
    deaths(tmp_path, state, 1, fork=True, wrapper=wrapper)


def test_a_closed_lifeline_ends_the_worker(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        assert peer.worker.process.stdin is not None
        peer.worker.process.stdin.close()
        assert peer.worker.wait(GONE_WITHIN_S) == WorkerExit.ORPHANED


def test_a_parent_that_is_not_there_ends_the_worker(tmp_path: Path) -> None:
    late = subprocess.Popen([sys.executable, "-c", ""])
    late.wait()
    with WorkerProcess(tmp_path, parent_pid=late.pid) as worker:
        assert worker.wait() == WorkerExit.ORPHANED


def test_words_on_the_lifeline_change_nothing(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        assert peer.worker.process.stdin is not None
        peer.worker.process.stdin.write(b"unexpected\n" * 1000)
        peer.run(request())
        assert peer.worker.process.poll() is None
