# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker must not outlive the program that started it, however that ends.

First belt: the parent holds the other end of our stdin; when it is gone the operating system closes the
pipe and we read end-of-file. Second belt, for a pipe that a forked sibling keeps open: once a second we
look whether the parent is still there. A third belt is outside this process and this file:
``log_keeper.py`` sees the same end-of-file while a C library holds Python's lock here. The threads here
take no lock and write no log, because a hung worker may hold either for ever.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn, Protocol

import psutil

from ...addon.wire.exits import WorkerExit
from . import threads

LOOK_EVERY_S = 1.0
_START_TIME_GRAIN_S = 0.05  # start times come in ticks of the kernel's clock


def leave() -> NoReturn:
    """End the process at once, whatever its other threads do."""
    os._exit(WorkerExit.ORPHANED)


class Relative(Protocol):
    """What we need of ``psutil.Process``."""

    def is_running(self) -> bool: ...
    def status(self) -> str: ...
    def create_time(self) -> float: ...


class Parent:
    """Is the process ``pid``, which started us, still there?

    Usually it is our parent, and the kernel tells us a new parent the moment it dies: only equality counts,
    never "is it 1?", because 1 is a perfectly good parent in a container and not the only one that adopts
    orphans. Behind a wrapper (nice, a launcher, Windows' venv stub) it never was our parent: then we keep
    its start time, so that a stranger who gets its number later is not taken for it.
    """

    def __init__(
        self,
        pid: int,
        *,
        parent_pid: Callable[[], int] = os.getppid,
        process: Callable[[int], Relative] = psutil.Process,
        adopts_orphans: bool = sys.platform != "win32",
    ) -> None:
        self._pid = pid
        self._parent_pid = parent_pid
        self._direct = adopts_orphans and parent_pid() == pid
        self._process = None if self._direct else _older_process(pid, process)

    def alive(self) -> bool:
        """False once the process is gone, or only a zombie."""
        if self._direct:
            return self._parent_pid() == self._pid
        if self._process is None:
            return False
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # it is there, and not ours to look at
            return True


def _older_process(pid: int, process: Callable[[int], Relative]) -> Relative | None:
    """Process ``pid`` if it may have started us: one that is younger than we are got the number later."""
    try:
        found = process(pid)
        ours = process(os.getpid()).create_time()
        return found if found.create_time() <= ours + _START_TIME_GRAIN_S else None
    except psutil.NoSuchProcess:
        return None


def watch(stdin: int, parent_pid: int, *, gone: Callable[[], object] = leave) -> None:
    """Start both watches on daemon threads; ``gone`` is called by whichever sees it first.

    stdin: file descriptor of the lifeline, its one line already read.
    """
    parent = Parent(parent_pid)

    def lifeline() -> None:
        wait_for_end(stdin)
        gone()

    def second_belt() -> None:
        wait_for_parent(parent)
        gone()

    threads.daemon("footfall-lifeline", lifeline).start()
    threads.daemon("footfall-parent", second_belt).start()


def wait_for_end(stdin: int) -> None:
    """Return at end-of-file. Nothing more is expected on the pipe, and whatever comes is not looked at."""
    try:
        while os.read(stdin, 4096):
            continue
    except OSError:  # the pipe is broken or closed: that is an end as well
        return


def wait_for_parent(parent: Parent, *, every_s: float = LOOK_EVERY_S) -> None:
    """Return once the parent is gone."""
    pause = threading.Event()  # never set: a wait with an end
    while parent.alive():
        pause.wait(every_s)
