# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall worker``: a worker on its own, to watch it: state, memory, log. Ends with Ctrl-C.

Without ``--remote`` it serves nobody but this command. With it, and with keys on both sides, it serves the
people of other computers whose public keys it has, one at a time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import zmq.auth

from .. import __version__
from ..addon.folders import log_folder
from ..addon.wire.errors import BadInput, WorkerFailedToStart
from ..addon.wire.texts import scrub
from ..addon.worker.client import JobClient
from ..addon.worker.remote import WORKER
from ..addon.worker.reports import FAILED, WorkerStatus
from ..addon.worker.supervisor import LOG_NAME
from ..server.worker.curve import CLIENTS
from . import remote
from .jobs import worker_launch

TURN_S = 1.0


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "worker", help="the worker on its own, to watch it, or for other computers"
    )
    parser.add_argument("--once", action="store_true", help="start it, say how it is, and end")
    parser.add_argument(
        "--remote", metavar="ADDRESS", help="serve other computers at tcp://HOST:PORT; needs --keys"
    )
    parser.add_argument("--keys", type=Path, metavar="FOLDER", help="the worker's part of the keys")
    parser.add_argument(
        "--make-keys", type=Path, metavar="FOLDER", help="make keys for a worker and one artist, and end"
    )
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="folder of the models")


def run(options: argparse.Namespace) -> int:
    if options.make_keys is not None:
        return _make_keys(options.make_keys)
    if options.remote is not None:
        if options.keys is None:
            raise BadInput("A worker for other computers needs keys; make them with --make-keys FOLDER.")
        return remote.serve(options.remote, options.keys, options.models, say=_say)
    if options.keys is not None:
        raise BadInput("--keys is for a worker that others may reach; add --remote tcp://HOST:PORT.")
    return _watch(options.once, options.models)


def _watch(once: bool, models: Path | None) -> int:
    client = JobClient(worker_launch(models), version=__version__)
    log = _Log(log_folder() / LOG_NAME)
    try:
        client.restart()
        while True:
            for event in client.wait(TURN_S):
                if isinstance(event, WorkerStatus):
                    _say(_line(event))
                    if event.state == FAILED:
                        raise WorkerFailedToStart(event.sentence, event.detail)
                    if event.state == "ready" and once:
                        return 0
            for line in log.news():
                _say(f"  {line}")
    except KeyboardInterrupt:
        return 0
    finally:
        client.close()


class _Log:
    """What is added to a rotated log from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._at = self._size()

    def news(self) -> list[str]:
        """Whole lines that came since the last call; after a rotation those of the new file."""
        file, size = self._size()
        if file != self._file or size < self._at:
            self._file, self._at = file, 0
        if size <= self._at:
            return []
        with self._path.open("rb") as opened:
            opened.seek(self._at)
            lines = opened.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._at += sum(map(len, lines))
        return [scrub(line.decode(errors="replace").rstrip(), 1_000) for line in lines]

    def _size(self) -> tuple[int, int]:
        """(which file, its bytes); nothing of it while there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size


def _line(status: WorkerStatus) -> str:
    words = [status.state, status.device, f"pid {status.pid}" if status.pid else "", status.sentence]
    return "worker: " + ", ".join(word for word in words if word)


def _say(line: str) -> None:
    print(line, flush=True)


def _make_keys(folder: Path) -> int:
    """``folder``/worker stays where the worker runs, ``folder``/artist goes to the other computer."""
    make_keys(folder)
    print(f"{folder / 'worker'}: stays here; start the worker with --remote tcp://HOST:PORT --keys on it")
    print(f"{folder / 'artist'}: bring it to the artist's computer and name it in Footfall's preferences")
    print("For another artist make further keys and put their artist.key into the worker's clients folder.")
    return 0


def make_keys(folder: Path) -> None:
    """CURVE keys of a worker and of one artist. Raises BadInput where there are keys already."""
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; keys are only made in a folder of their own.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for name in ("worker", "artist"):
            zmq.auth.create_certificates(made, name)
        for part, names in (
            ("worker", ("worker.key_secret", WORKER)),
            (f"worker/{CLIENTS}", ("artist.key",)),
            ("artist", ("artist.key_secret", WORKER)),
        ):
            (folder / part).mkdir(mode=0o700)
            for name in names:
                copied = Path(shutil.copy(Path(made) / name, folder / part))
                copied.chmod(0o600)
