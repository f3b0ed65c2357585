# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the worker's words go: everything on file descriptors 1 and 2 ends in the rotated ``worker.log``.

That includes C libraries, crash dumps and children. The descriptors lead to ``log_keeper.py``, which owns
the files.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

KEEPER = Path(__file__).with_name("log_keeper.py")
_FORMAT = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"


class TolerantOutput(io.RawIOBase):
    """Writes to a file descriptor; when nobody reads there any more, the words are lost and nothing fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        try:
            return os.write(self._descriptor, view)
        except OSError:  # the log keeper is gone; a job must not fail for want of a log
            return view.nbytes


def divert(folder: Path, lifeline: int | None) -> subprocess.Popen[bytes]:
    """From now on this process's output goes to ``folder/worker.log``. Raises OSError.

    lifeline: file descriptor that the keeper watches too (POSIX), or None. Returns the keeper, which ends
    by itself once our last descriptor closes: hold on to it, and never wait for it.
    """
    reading, writing = os.pipe()
    arguments = [sys.executable, "-I", "-S", str(KEEPER), str(folder), str(os.getpid())]
    passed: tuple[int, ...] = ()
    if lifeline is not None and sys.platform != "win32":
        arguments.append(str(lifeline))
        passed = (lifeline,)
    keeper = subprocess.Popen(
        arguments,
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=passed,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    os.close(reading)
    for descriptor in (1, 2):
        os.dup2(writing, descriptor)
    os.close(writing)
    sys.stdout = _text(1)
    sys.stderr = _text(2)
    return keeper


def _text(descriptor: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(TolerantOutput(descriptor), 64 * 1024)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def configure(*, verbose: bool) -> None:
    """Logging and crash dumps, to stderr. On POSIX, SIGUSR1 writes what each thread is doing."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if verbose else logging.INFO, format=_FORMAT, force=True
    )
    logging.captureWarnings(True)
    faulthandler.enable(2)
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)


def flush() -> None:
    """Push out what is still in our own buffers; to be called before the process ends."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
