# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's process: greeting, log, lifeline, then the transport on this thread and the engine on its own.

One line of settings comes in on stdin, which stays open as the lifeline. One line with our address goes out
on stdout, and that is all that ever does: by then file descriptors 1 and 2 lead to the log. The process
ends with a code of ``addon/wire/exits.py``. Command line: ``--bind tcp://127.0.0.1:PORT`` for a fixed port
of this computer, ``--remote --bind tcp://HOST:PORT --keys FOLDER`` for others (worker/curve.py),
``--verbose`` for more in the log. SIGUSR1 writes into the log what each thread is doing.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import psutil

from .. import __version__
from ..addon.wire.auth import key_bytes, remote_key
from ..addon.wire.errors import BadInput, FootfallError, Malformed
from ..addon.wire.exits import WorkerExit
from ..addon.wire.handshake import WorkerAddress, WorkerSettings, parse
from ..addon.wire.messages import PROTOCOL_MAJOR, PROTOCOL_MINOR
from .control import Pipeline
from .worker import lifeline, logs
from .worker.curve import public_key, require_keys
from .worker.engine import Engine
from .worker.mailbox import Mailbox
from .worker.session import Session
from .worker.threads import name_current
from .worker.transport import ANY_PORT, Transport, require_loopback

MakePipeline = Callable[[WorkerSettings], Pipeline]

GREETING_S = 60.0  # a parent that has not greeted by then never will
GREETING_BYTES = 64 * 1024
SPINS = "10000"  # before a waiting thread sleeps
OPEN_FILES = 4096  # strangers may hold connections open; the add-on must still find a file descriptor

_log = logging.getLogger(__name__)


def main(make_pipeline: MakePipeline | None = None, *, arguments: Sequence[str] = ()) -> int:
    """Run a worker; returns its exit code, to be handed to ``leave``. make_pipeline: tests pass a fake."""
    options = _parser().parse_args(arguments)
    try:
        keys = _keys(options)
        line, pipes = _greeting()
        settings = _settings(line)
    except (BadInput, Malformed) as error:
        sys.stderr.write(f"{error.sentence}\n")
        return WorkerExit.REFUSED if isinstance(error, BadInput) else WorkerExit.BAD_GREETING
    # The keeper must stay referenced, and ends by itself after us.
    keeper = logs.divert(Path(settings.log_dir), pipes.lifeline)
    logs.configure(verbose=options.verbose)
    lifeline.watch(pipes.lifeline, settings.parent_pid)
    _allow_open_files()
    _log.info("Worker %s, process %d, log keeper %d, %s", __version__, os.getpid(), keeper.pid, settings)
    try:
        return _serve(settings, make_pipeline or _real_pipeline, options.bind, pipes.address, keys)
    except KeyboardInterrupt:
        return WorkerExit.INTERRUPTED
    except Exception:  # noqa: BLE001 - root of the process
        _log.exception("The worker has failed")
        return WorkerExit.CRASHED


def leave(code: int) -> NoReturn:
    """End the process now, also when a model hangs in a thread, without C++ destructors that may crash."""
    logs.flush()
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="footfall-worker", description="Started by the Footfall add-on.")
    parser.add_argument("--bind", default=ANY_PORT, help="address on this computer (default: %(default)s)")
    parser.add_argument("--remote", action="store_true", help="let other computers in; needs --keys")
    parser.add_argument("--keys", default="", metavar="FOLDER", help="the worker's keys, for --remote")
    parser.add_argument("--verbose", action="store_true", help="more in the log")
    return parser


def _keys(options: argparse.Namespace) -> Path | None:
    """The folder of keys, None for a worker of this computer. Raises BadInput."""
    if options.remote:
        return require_keys(options.bind, options.keys)
    if options.keys:
        raise BadInput("--keys is for a worker that others may reach; add --remote.")
    require_loopback(options.bind)
    return None


class _Pipes:
    """The parent's two pipes on descriptors of their own, so that nothing else reads or writes them."""

    def __init__(self) -> None:
        self.lifeline = os.dup(0)
        self.address = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)  # a library that asks a question gets end-of-file instead of waiting for ever
        os.close(nothing)
        os.dup2(2, 1)


def _greeting() -> tuple[bytes, _Pipes]:
    """The parent's one line; read byte by byte, because what follows belongs to the lifeline."""
    name_current("footfall-main")
    pipes = _Pipes()
    too_late = threading.Timer(GREETING_S, os._exit, [int(WorkerExit.BAD_GREETING)])
    too_late.daemon = True
    too_late.start()
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < GREETING_BYTES:
        byte = os.read(pipes.lifeline, 1)
        if not byte:
            break
        line += byte
    too_late.cancel()
    return bytes(line), pipes


def _settings(line: bytes) -> WorkerSettings:
    settings = parse(WorkerSettings, line)
    if not settings.log_dir or not settings.models_dir:  # an empty path would mean the current folder
        raise Malformed("The worker's greeting names no folder for its log or its models.")
    return settings


def let_waiting_threads_sleep() -> None:
    """To be called before torch is loaded. Changes nothing that the user has set.

    GNU's OpenMP, which is PyTorch's on Linux, lets threads spin 300,000 times before they sleep. While
    Blender is busy as well, those that wait so keep the very one that they wait for from the processor: ten
    seconds of sound took 14.9 s beside one busy process, with ``SPINS`` 5.0 s; 1.3 and 1.4 s without one.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _real_pipeline(settings: WorkerSettings) -> Pipeline:
    let_waiting_threads_sleep()
    # What the libraries bring, 700,000 objects, stays as long as we do. To look through it for garbage
    # again and again costs a fifth of the seconds in which they load, and later each time anything is loaded.
    gc.disable()
    try:
        from .making.pipeline import FoleyPipeline  # here, on the engine's thread: torch takes seconds
    finally:
        gc.enable()
    gc.freeze()
    pipeline: Pipeline = FoleyPipeline(settings)
    return pipeline


def _serve(
    settings: WorkerSettings, make_pipeline: MakePipeline, bind: str, address: int, keys: Path | None
) -> WorkerExit:
    mailbox = Mailbox()
    engine = Engine(
        lambda: make_pipeline(settings), mailbox.post, notify=mailbox.wake, idle_s=settings.idle_s
    )
    process = psutil.Process()
    session = Session(
        engine,
        version=__version__,
        memory_bytes=lambda: process.memory_info().rss,
        posts=mailbox.take_all,
        stays=keys is not None,
    )
    try:
        key = settings.key if keys is None else remote_key(public_key(keys))
        transport = Transport(key_bytes(key), session, mailbox, keys=keys)
        endpoint = transport.bind(bind)
    except FootfallError as error:
        _log.error("%s (%s)", error.sentence, error.detail)
        return WorkerExit.NO_SOCKET
    _tell(address, endpoint)
    engine.start()
    transport.run(lambda: engine.fatal is not None)
    transport.farewell(lambda: engine.stop(0.0))
    transport.close()
    return WorkerExit.DONE if engine.fatal is None else _why(engine.fatal)


def _tell(address: int, endpoint: str) -> None:
    greeting = WorkerAddress(
        endpoint=endpoint,
        pid=os.getpid(),
        major=PROTOCOL_MAJOR,
        minor=PROTOCOL_MINOR,
        version=__version__,
    )
    with os.fdopen(address, "wb") as pipe:
        pipe.write(greeting.line())


def _why(error: Exception) -> WorkerExit:
    # A shared library of torch that does not load is a bare OSError; its subclasses are about other files.
    if isinstance(error, ImportError) or type(error) is OSError:
        return WorkerExit.NOT_INSTALLED
    return WorkerExit.CRASHED


def _allow_open_files() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    leave(main(arguments=sys.argv[1:]))
