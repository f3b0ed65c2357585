# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test may lean on: a clock that it moves itself, own folders, no network, no leftovers."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# One thread for each test process, before torch is imported: two that wait for each other on a busy machine
# take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has Ctrl-C ignored for them and all that they start. With a
# handler of our own it counts again: what is handled here is back to normal in every program started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases in every run, and no verdict by the stopwatch: the suite must not depend on luck or load.
settings.register_profile(
    "footfall", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("footfall")

LEFTOVER_WAIT_S = 3.0
# Threads and processes that libraries keep until the interpreter ends.
_KEPT_THREADS = ("TMonitor",)  # tqdm
_KEPT_PROCESSES = ("resource_tracker",)  # multiprocessing
# Variables that pytest and libraries set for themselves.
_OWN_VARIABLES = {"PYTEST_CURRENT_TEST", "TOKENIZERS_PARALLELISM", "TORCHINDUCTOR_CACHE_DIR"}


class FakeClock:
    """A monotonic clock that stands still until it is told to move."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@dataclass(frozen=True, slots=True)
class Folders:
    """Empty folders for one test; nothing is to be written anywhere else."""

    models: Path
    logs: Path
    sounds: Path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "models", tmp_path / "logs", tmp_path / "sounds")
    for folder in (made.models, made.logs, made.sounds):
        folder.mkdir()
    return made


def is_loopback(host: Any) -> bool:
    """Whether ``host`` (as in a socket address) is this computer; a name other than localhost never is."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _refuse(host: Any) -> None:
    if not is_loopback(host):
        raise AssertionError(f"a test tried to reach {host!r}; tests use loopback only")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Python sockets reach loopback only. (zmq's own sockets are out of reach here.)"""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, *arguments: Any, _original: Any = original) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _refuse(arguments[-1][0])
            return _original(self, *arguments)

        patch.setattr(socket.socket, name, guarded)
    resolve = socket.getaddrinfo

    def guarded_resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse(host)
        return resolve(host, *arguments, **options)

    patch.setattr(socket, "getaddrinfo", guarded_resolve)
    yield
    patch.undo()


def _threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if type(t).__name__ not in _KEPT_THREADS}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


def _children() -> dict[int, str]:
    """Child processes of this one, zombies included. Read from /proc; elsewhere only threads are watched."""
    found: dict[int, str] = {}
    for tasks in Path("/proc/self/task").glob("*/children"):
        try:
            pids = tasks.read_text().split()
        except OSError:  # that thread ended meanwhile
            continue
        found |= {int(pid): _command(int(pid)) for pid in pids}
    return {pid: c for pid, c in found.items() if not any(kept in c for kept in _KEPT_PROCESSES)}


@pytest.fixture(autouse=True)
def no_changed_environment() -> Iterator[None]:
    """A test leaves the environment as it was: what the next ones start would inherit it."""
    before = dict(os.environ)
    yield
    changed = {name for name, _ in before.items() ^ os.environ.items()} - _OWN_VARIABLES
    if changed:
        pytest.fail(f"the environment was changed: {', '.join(sorted(changed))}")


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """A test ends the threads and processes that it started."""
    threads, children = _threads(), set(_children())
    yield
    deadline = time.monotonic() + LEFTOVER_WAIT_S
    pause = threading.Event()
    while True:
        new_threads = _threads() - threads
        new_children = {pid: c for pid, c in _children().items() if pid not in children}
        if not new_threads and not new_children:
            return
        if time.monotonic() > deadline:
            break
        pause.wait(0.01)
    pytest.fail(
        f"left behind by {os.environ.get('PYTEST_CURRENT_TEST')}: {new_threads or ''} {new_children or ''}"
    )
