# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a child process: how it is started, greeted, watched and ended. No sockets, no jobs.

Nothing here waits: every method returns at once and is called again by the client's thread. The process has
its own session (POSIX) or job object (Windows), an isolated interpreter (-I) and a clean environment. The key
travels in the one line on stdin, which then stays open: the worker ends itself when it closes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..wire.auth import DOOR_NAME, door_word, key_bytes, new_key
from ..wire.errors import Malformed, WorkerFailedToStart, WorkerNotInstalled
from ..wire.exits import sentence_for
from ..wire.handshake import WorkerAddress, WorkerSettings, parse
from ..wire.texts import scrub
from .clean_environment import clean_environment
from .windows_job import KillOnClose, readable_bytes

GREETING_BYTES = 4_096  # the longest address line that is believed
TAIL_BYTES = 16_384  # of what the worker said before it opened its log
TERM_AFTER_S, KILL_AFTER_S = 1.0, 0.7  # after the wish to end; after SIGTERM
REAP_S = 0.5  # for the system to take a killed process away
LAST_WORDS_S = 0.3  # for what the worker leaves in its group: the log keeper writes the crash down
WINDOWS = sys.platform == "win32"
_log = logging.getLogger(__name__)

_SIGNALS = {
    "SIGKILL": "The system ended the worker (SIGKILL), often because memory ran out.",
    "SIGSEGV": "The worker crashed (SIGSEGV), often a graphics driver or a damaged installation.",
    "SIGBUS": "The worker crashed (SIGBUS), often a full disk or memory.",
    "SIGILL": "The worker crashed (SIGILL): its packages do not fit this processor.",
    "SIGABRT": "The worker gave up (SIGABRT).",
    "SIGTERM": "The worker was asked to end by somebody else (SIGTERM).",
}
_WINDOWS_EXITS = {
    0xC0000005: "The worker crashed (access violation), often a graphics driver.",
    0xC000001D: "The worker crashed (illegal instruction): its packages do not fit this processor.",
    0xC0000135: "A library that the worker needs is missing; set it up again.",
    0xC0000409: "The worker gave up (0xC0000409).",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLaunch:
    """How to start a worker.

    settings: given a fresh key (64 hex digits), the settings line. It is called on the client's thread at
    each start, so it must not touch Blender: let it hand out a snapshot. extra_env: added to the clean
    environment.
    """

    python: Path
    script: Path
    settings: Callable[[str], WorkerSettings]
    arguments: tuple[str, ...] = ()
    extra_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Another place is another worker."""
        return f"{self.python} {self.script}"

    def start(self) -> WorkerProcess:
        """Raises WorkerNotInstalled or WorkerFailedToStart."""
        return WorkerProcess(self)

    def secure(self, socket: Any, settings: WorkerSettings) -> None:
        """A worker on this computer lets in whoever knows the key of its greeting."""
        socket.plain_username = DOOR_NAME.encode()
        socket.plain_password = door_word(key_bytes(settings.key)).encode()

    def command(self) -> list[str]:
        return [str(self.python), "-I", str(self.script), *self.arguments]


class WorkerProcess:
    """One started process. Raises WorkerNotInstalled or WorkerFailedToStart when it cannot be started.

    Owned by one thread, apart from ``kill``, which any thread may call.
    """

    def __init__(self, launch: WorkerLaunch) -> None:
        self.settings = launch.settings(new_key())
        self.address: WorkerAddress | None = None
        self._heard = b""
        self._asked_at: float | None = None
        self._term_at: float | None = None
        self._exited_at: float | None = None
        self._gone = False
        self._said = _scratch()
        try:
            self._process = _spawn(launch, Path(self.settings.log_dir), self._said)
        except BaseException:
            self._said.close()
            raise
        handle = getattr(self._process, "_handle", 0)
        self._job = KillOnClose(int(handle) if WINDOWS else 0)
        self._greet()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def hint(self) -> str:
        """What to do when it does not become ready."""
        return "try again, or set it up again in the preferences"

    @property
    def ready_s(self) -> float:
        """It imports its libraries first; how long that may take is the client's to say."""
        return float("inf")

    @property
    def belt_problem(self) -> str:
        """Windows: why the job object could not be used; else empty."""
        return self._job.problem

    @property
    def greeting_descriptor(self) -> int | None:
        """What a poller may watch for the address line; None on Windows and once the line was read."""
        stdout = self._process.stdout
        return None if WINDOWS or stdout is None or stdout.closed else stdout.fileno()

    def _greet(self) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if not WINDOWS:
            os.set_blocking(stdout.fileno(), False)
        # A line of a few hundred bytes always fits into the pipe. If the process is gone, poll() tells.
        with contextlib.suppress(BrokenPipeError, OSError):
            stdin.write(self.settings.line())
            stdin.flush()

    def read_address(self) -> WorkerAddress | None:
        """The address once the worker has said it, else None. Raises WorkerFailedToStart for all else."""
        stdout = self._process.stdout
        if self.address is not None or stdout is None or stdout.closed:
            return self.address
        self._heard += _read_ready(stdout, GREETING_BYTES + 1 - len(self._heard))
        line, newline, _rest = self._heard.partition(b"\n")
        if newline and len(line) <= GREETING_BYTES:
            self.address = self._believe(line)
            stdout.close()  # the worker's own output goes to its log from now on
        elif len(self._heard) > GREETING_BYTES:
            raise WorkerFailedToStart(
                "The worker did not greet as expected; set it up again in the preferences.",
                f"more than {GREETING_BYTES} bytes without an address",
            )
        return self.address

    def _believe(self, line: bytes) -> WorkerAddress:
        try:
            address = parse(WorkerAddress, line)
            if int(address.endpoint.rpartition(":")[2]) > 65_535:
                raise Malformed("There is no such port.")
            return address
        except Malformed as error:
            raise WorkerFailedToStart(
                "The worker did not greet as expected; set it up again in the preferences.",
                f"{error.sentence} {error.detail} {scrub(line.decode(errors='replace'), 300)}",
            ) from error

    def poll(self, now: float) -> int | None:
        """The exit code (negative: a signal), or None while it, or its group for LAST_WORDS_S more, lives."""
        code = self._process.poll()
        if code is None or self._gone:
            return code
        if self._exited_at is None:
            self._exited_at = now
        if WINDOWS or not _group_lives(self.pid):
            self._gone = True
        elif now - self._exited_at >= LAST_WORDS_S * (0.3 if self.ending else 1.0):
            self._signal_group(signal.SIGKILL)
            self._gone = True
        return code if self._gone else None

    def exit_reason(self) -> str:
        """Why it ended, as a sentence; empty while it runs."""
        code = self._process.returncode
        return "" if code is None else describe_exit(code)

    def said(self) -> str:
        """The last that it printed before its log was open (a missing package, say). After its end only."""
        if self._said.closed or self._process.returncode is None:
            return ""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - TAIL_BYTES))
        return scrub(self._said.read(TAIL_BYTES).decode(errors="replace"), TAIL_BYTES)

    def ask_to_end(self, now: float) -> None:
        """Begin the ladder; the caller has sent Shutdown if it could. ``step_ladder`` does the rest."""
        if self._asked_at is None:
            self._asked_at = now

    @property
    def ending(self) -> bool:
        return self._asked_at is not None

    def step_ladder(self, now: float, *, patience: float = 1.0) -> None:
        """Climb when it is time: close stdin and SIGTERM, then SIGKILL, each to the whole group.

        ``patience`` scales the waits; 0 climbs at once.
        """
        if self._asked_at is None or self._process.poll() is not None:
            return
        if self._term_at is None:
            if now - self._asked_at >= TERM_AFTER_S * patience:
                self._term_at = now
                self._close_stdin()
                self._signal_group(signal.SIGTERM)
        elif now - self._term_at >= KILL_AFTER_S * patience:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, at once."""
        if self._process.returncode is None:
            self._signal_group(signal.SIGTERM if WINDOWS else signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if WINDOWS:
            self._job.end()
            with contextlib.suppress(OSError):
                self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # unwritten bytes of the greeting to a process that is gone
                self._process.stdin.close()

    def close(self) -> None:
        """Let go of all pipes and files. The process has ended, was killed, or ends now by its lifeline."""
        self._close_stdin()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
        self._job.close()


def describe_exit(code: int) -> str:
    """A sentence about an exit code of ``subprocess``; negative: the signal."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return _SIGNALS.get(name, f"The worker was ended by {name}.")
    if WINDOWS and code in _WINDOWS_EXITS:
        return _WINDOWS_EXITS[code]
    return sentence_for(code)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, for zombies
        return False
    return True


def tail(path: Path, lines: int, most_bytes: int = 256 * 1024) -> list[str]:
    """The last ``lines`` lines of a text file, at most ``most_bytes`` of it; empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            text = file.read(most_bytes).decode(errors="replace")
    except OSError:
        return []
    return [scrub(line, 1_000) for line in text.splitlines()[-lines:]] if lines > 0 else []


def _spawn(launch: WorkerLaunch, folder: Path, said: IO[bytes]) -> subprocess.Popen[bytes]:
    """``folder``, the log folder, becomes the current one: it is ours, and nobody's files lie there. Where it
    cannot be made (a home that is read-only), the log is lost and the program's own folder has to do.
    """
    for path, what in ((launch.python, "Python"), (launch.script, "program")):
        if not path.is_file():
            raise WorkerNotInstalled(
                f"The worker's {what} is missing; use Set up worker in the preferences.", str(path)
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in a path
        _log.warning("The worker's log is lost: %s", error)
        folder = launch.script.parent
    try:
        return subprocess.Popen(
            launch.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=folder,
            env=clean_environment(extra=launch.extra_env),
            start_new_session=not WINDOWS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        raise WorkerFailedToStart(
            "The worker could not be started; check its folder in the preferences, or set it up again.",
            f"{error} {_shown(launch.command())}",
        ) from error


def _scratch() -> IO[bytes]:
    """A file without a name; where none can be written, what is said there is lost."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


def _shown(command: Sequence[str]) -> str:
    return scrub(" ".join(repr(part) for part in command), 2_000)


def _read_ready(pipe: IO[bytes], most: int) -> bytes:
    """What can be read without waiting; empty when nothing is there or the other end is closed."""
    try:
        if WINDOWS:
            most = min(most, readable_bytes(pipe.fileno()))
        return os.read(pipe.fileno(), most) if most > 0 else b""
    except (BlockingIOError, BrokenPipeError):
        return b""
    except OSError:  # Windows: the pipe has ended
        return b""
