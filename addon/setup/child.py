# SPDX-License-Identifier: GPL-3.0-or-later
"""One child process of Set Up Worker: started into the log, read from there, and ended; never waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ..worker.clean_environment import clean_environment
from ..worker.windows_job import KillOnClose

WINDOWS = sys.platform == "win32"
NOT_RUN = 127  # the code of a child that could not be started
TAIL_BYTES = 16 * 1024
_READ_BYTES = 256 * 1024  # of a child's output, at each read
# ensurepip starts a child of its own. Under -I nothing would keep that from writing bytecode into the base
# Python, so ensurepip alone runs without -I; these, and a clean environment, say what -I would.
_NO_TRACES = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}


class SetupChild:
    """``command``, running in ``folder``. One that cannot be started counts as one that failed.

    log: the open log, to which it prints; log_path: the same file, to be read from. descriptors: what it
    shares, so that the folder's lock lives as long as it does. feed: gets every line that ``read`` finds.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        log: IO[bytes],
        log_path: Path,
        descriptors: tuple[int, ...],
        feed: Callable[[str], None],
    ) -> None:
        self._log_path, self._feed = log_path, feed
        self._line = self._tail = b""
        log.write(f"\n$ {' '.join(command)}\n".encode(errors="replace"))
        log.seek(0, os.SEEK_END)
        self._read_at = log.tell()
        self._process: subprocess.Popen[bytes] | None = None
        self._job: KillOnClose | None = None
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=clean_environment(extra=_NO_TRACES, pip=True),
                start_new_session=not WINDOWS,
                pass_fds=descriptors,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in a path
            log.write(f"{error}\n".encode(errors="replace"))
        else:
            self._job = KillOnClose(int(getattr(self._process, "_handle", 0)))

    @property
    def pid(self) -> int:
        """0 when it could not be started."""
        return 0 if self._process is None else self._process.pid

    def code(self) -> int | None:
        """What it ended with, NOT_RUN when it never began; None while it runs."""
        return NOT_RUN if self._process is None else self._process.poll()

    @property
    def output(self) -> str:
        """The end of what has been read, TAIL_BYTES at most."""
        return self._tail.decode(errors="replace")

    def read(self) -> int:
        """Take in what it has written to the log since; the number of bytes."""
        with self._log_path.open("rb") as log:
            log.seek(self._read_at)
            data = log.read(_READ_BYTES)
        self._read_at += len(data)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        *lines, self._line = (self._line + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._feed(line.decode(errors="replace"))
        self._line = self._line[-TAIL_BYTES:]
        return len(data)

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGTERM if WINDOWS else signal.SIGKILL)

    def kill_and_wait(self, within_s: float) -> None:
        """For a host that goes away. Raises subprocess.TimeoutExpired."""
        self.kill()
        if self._process is not None:
            self._process.wait(within_s)

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        if self._job is not None:
            self._job.close()
            self._job = None

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if WINDOWS:
            if self._job is not None:
                self._job.end()
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
