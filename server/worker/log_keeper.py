# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny process beside the worker: writes down what comes out of it, and ends it if it hangs as an orphan.

Everything that the worker and its C libraries print arrives here through a pipe and goes to ``worker.log``,
which is rotated so that all logs together stay under 20 MB. A process of its own, because a thread of the
worker would stand still whenever a C library holds Python's lock: its output would then fill the pipe and
block it for ever, and the last words of a crash would be lost. For the same reason it also watches the
worker's lifeline (not on Windows, where the parent's job object does that). It ends by itself when the
worker's last file descriptor closes.

Run as a script, ``python -I -S log_keeper.py FOLDER WORKER_PID [LIFELINE_FD]``; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

LOG_NAME = "worker.log"
FILE_BYTES = 4 * 1024 * 1024
OLDER = 3  # worker.1.log (newest) .. worker.3.log: at most 16 MB in all
GRACE_S = 0.5  # the worker sees the same end-of-file and usually ends by itself
_CHUNK = 64 * 1024


class RotatedLog:
    """``folder/worker.log``, never longer than ``file_bytes``, and ``older`` predecessors.

    Two workers may share the folder: sizes are read from the file, and who finds that the other has rotated
    only opens the new file. A full disk or a folder that cannot be written costs log lines, never the
    worker's work.
    """

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES, older: int = OLDER) -> None:
        self._folder = folder
        self._path = folder / LOG_NAME
        self._file_bytes = file_bytes
        self._older = older
        self._fd = -1

    def write(self, data: bytes) -> None:
        """Append ``data``, in pieces that fit."""
        step = min(self._file_bytes, _CHUNK)
        with contextlib.suppress(OSError):  # nobody is left to be told but the log itself
            for start in range(0, len(data), step):
                self._append(data[start : start + step])

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        if os.fstat(self._fd).st_size + len(data) > self._file_bytes:
            self._rotate()
        while data:
            data = data[os.write(self._fd, data) :]

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._fd = os.open(self._path, flags, 0o600)

    def _rotate(self) -> None:
        still_ours = self._path.exists() and os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        self.close()
        try:
            if still_ours:
                for number in range(self._older, 0, -1):
                    newer = self._path if number == 1 else self._numbered(number - 1)
                    if newer.exists():
                        os.replace(newer, self._numbered(number))
        except OSError:  # Windows, while another worker has the file open: start it afresh
            with contextlib.suppress(OSError):
                os.truncate(self._path, 0)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._folder / f"worker.{number}.log"


def keep(source: int, log: RotatedLog, worker_pid: int, lifeline: int | None) -> None:
    """Copy ``source`` to ``log`` until its end; if ``lifeline`` ends before, see that the worker does too."""
    if lifeline is not None:
        _until_lifeline_ends(source, log, worker_pid, lifeline)
    while data := os.read(source, _CHUNK):
        log.write(data)


def _until_lifeline_ends(source: int, log: RotatedLog, worker_pid: int, lifeline: int) -> None:
    watched = [source, lifeline]
    kill_at: float | None = None
    while True:
        wait_s = None if kill_at is None else max(kill_at - time.monotonic(), 0.0)
        ready = select.select(watched, [], [], wait_s)[0]
        if kill_at is not None and time.monotonic() >= kill_at:
            return _end_orphan(worker_pid)
        if lifeline in ready and not os.read(lifeline, 4096):
            watched.remove(lifeline)
            kill_at = time.monotonic() + GRACE_S
        if source in ready:
            data = os.read(source, _CHUNK)
            log.write(data)
            if not data:
                return None


def _end_orphan(worker_pid: int) -> None:
    if os.getppid() == worker_pid:  # otherwise it is gone, and its number may be somebody else's
        os.kill(worker_pid, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """FOLDER WORKER_PID [LIFELINE_FD]; the worker's output on stdin."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # meant for the worker; what it still says then is wanted
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    lifeline = int(arguments[2]) if len(arguments) > 2 else None
    keep(0, RotatedLog(Path(arguments[0])), int(arguments[1]), lifeline)


if __name__ == "__main__":
    main(sys.argv[1:])
