# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the processes that make shards, some at a time, and listens to what they say."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from ....addon.wire.errors import BadInput, FootfallError, SaveError

Line = Mapping[str, Any]
_POLL_S = 0.1
_GRACE_S = 5.0
_TAIL = 4000


class Stopped(Exception):
    """Work was ended because it was asked to stop; never leaves this package."""


class Crew:
    """``run(jobs)``: each job in a thread that may use ``command`` to run its processes.

    After the first error, or when ``stop`` says so, running processes are ended and the rest is not begun.
    """

    def __init__(self, workers: int, stop: Callable[[], bool]) -> None:
        self._workers = workers
        self._asked = stop
        self._halt = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()

    def run(self, jobs: Sequence[Callable[[], None]]) -> bool:
        """Whether all of them were done. Raises what the first one that failed raised."""
        pool = ThreadPoolExecutor(max(1, self._workers))
        waiting: set[Future[None]] = {pool.submit(self._one, job) for job in jobs}
        error: BaseException | None = None
        whole = True
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    found = None if future.cancelled() else future.exception()
                    whole = whole and found is None
                    if found is not None and not isinstance(found, Stopped):
                        error = error or found
                if error is not None or self._asked():
                    self._end()
        finally:
            self._end()
            pool.shutdown(wait=True, cancel_futures=True)
        if error is not None:
            raise error
        return whole

    def _one(self, job: Callable[[], None]) -> None:
        if self._halt.is_set():
            raise Stopped
        job()

    def _end(self) -> None:
        self._halt.set()
        with self._lock:
            for process in self._running:
                process.terminate()

    def command(self, words: Sequence[str], said: Callable[[Line], None], doing: str) -> int:
        """Runs a process to its end, giving each JSON line that it prints to ``said``; its exit code, 0 or 1.

        Raises SaveError if it could not write, BadInput if it ended otherwise, Stopped.
        """
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as chatter:
            with self._lock:
                if self._halt.is_set():
                    raise Stopped
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=chatter,
                    text=True, encoding="utf-8", errors="replace", env=environment, start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            try:
                assert process.stdout is not None
                for text in process.stdout:
                    line = _json(text)
                    if line is not None:
                        said(line)
                code = process.wait()
            finally:
                self._reap(process)
            if self._halt.is_set() and code not in (0, 1, 3):
                raise Stopped
            if code in (0, 1):
                return code
            raise _failure(code, doing, _tail(chatter))

    def _reap(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._running.discard(process)
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _json(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None  # a library's own words
    return line if isinstance(line, dict) else None


def _tail(chatter: Any) -> str:
    chatter.seek(0)
    return str(chatter.read())[-_TAIL:]


def _failure(code: int, doing: str, detail: str) -> FootfallError:
    if code == 3:
        words = "could not be written; is the disk full? Make room and run it again: what was made is kept."
        return SaveError(f"{doing} {words}", detail)
    return BadInput(f"{doing} could not be made (exit code {code}); what it said is in the details.", detail)
