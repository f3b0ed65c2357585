# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a worker that other computers may reach: starts it, tells where it listens, ends it when told.

The worker's lifeline is this process, as it is Blender for a worker of Blender's own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..addon.folders import log_folder, models_folder
from ..addon.wire.auth import new_key
from ..addon.wire.errors import BadInput, WorkerFailedToStart
from ..addon.wire.exits import WorkerExit, sentence_for
from ..addon.wire.handshake import WorkerAddress, WorkerSettings, parse
from ..addon.wire.liveness import RestartBreaker
from ..addon.worker.clean_environment import clean_environment
from ..server.worker.curve import require_keys
from .jobs import LAUNCHER

TURN_S = 0.5
END_S = 5.0

Worker = subprocess.Popen[bytes]


def start(address: str, keys: Path, models: Path | None = None) -> tuple[Worker, WorkerAddress]:
    """A worker at ``address`` (tcp://HOST:PORT, PORT * for any), and where it listens. It ends with this
    process, or with ``end``. Raises BadInput or WorkerFailedToStart.
    """
    require_keys(address, str(keys))
    logs = log_folder() / "remote"  # one for all, or each session of a farm would leave its own for ever
    logs.mkdir(parents=True, exist_ok=True)
    words = ["--remote", "--bind", address, "--keys", str(keys.resolve())]
    worker = subprocess.Popen(
        [sys.executable, "-I", str(LAUNCHER), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=logs,
        env=clean_environment(),
        start_new_session=os.name == "posix",
    )
    settings = WorkerSettings(
        key=new_key(),
        parent_pid=os.getpid(),
        models_dir=str((models or models_folder()).absolute()),
        log_dir=str(logs),
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone; what follows tells why
        worker.stdin.write(settings.line())
        worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        code = worker.wait(END_S)
        if code == WorkerExit.REFUSED:
            raise BadInput("The worker refused that address or those keys; see what it said above.")
        raise WorkerFailedToStart(sentence_for(code), f"its log is in {logs}")
    return worker, parse(WorkerAddress, line, anywhere=True)


def end(worker: Worker) -> None:
    """Close its lifeline, and kill it if that does not help."""
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        worker.wait(END_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def serve(
    address: str,
    keys: Path,
    models: Path | None = None,
    *,
    say: Callable[[str], None],
    over: Callable[[], bool] = lambda: False,
) -> int:
    """Until Ctrl-C or until ``over()``. A worker that ends by itself is started again where it was, as long
    as that helps; then raises WorkerFailedToStart.
    """
    breaker = RestartBreaker()
    while True:
        breaker.started(time.monotonic())
        worker, found = start(address, keys, models)
        address = found.endpoint
        try:
            say(f"worker {__version__}: {found.endpoint}, pid {found.pid}")
            code = _wait(worker, over)
        except KeyboardInterrupt:
            return 0
        finally:
            end(worker)
        if code is None:
            return 0
        breaker.died(time.monotonic())
        if breaker.open:
            raise WorkerFailedToStart(sentence_for(code))
        say(sentence_for(code))


def _wait(worker: Worker, over: Callable[[], bool]) -> int | None:
    """The exit code, or None once it is ``over``."""
    while not over():
        try:
            return worker.wait(TURN_S)
        except subprocess.TimeoutExpired:
            continue
    return None
