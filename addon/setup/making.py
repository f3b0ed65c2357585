# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker: makes the worker's environment, one child process after the other, without ever waiting.

``poll`` is called from a timer (or a loop) and returns how far it is. A kill at any moment leaves a folder
that says "incomplete"; the next setup makes the environment anew, and takes what was loaded from the cache. A
base Python, Blender's own included, is only run, isolated and without writing its bytecode; packages go into
the folder alone. Only ready-made wheels are installed, so nothing of a package runs while it is installed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..wire.errors import BadInput, Cancelled, FootfallError, SaveError, WorkerNotInstalled
from ..wire.texts import scrub
from ..worker.clean_environment import clean_environment
from ..worker.windows_job import KillOnClose
from .base_python import PROBE, PROBE_S, candidates, unfit
from .environment import (
    DOWNLOADS,
    ENVIRONMENT,
    INCOMPLETE,
    LOG_FILE,
    READY,
    FolderLock,
    fingerprint,
    requirements,
    worker_python,
    write_state,
)
from .package_check import CHECK, findings, package_name
from .progress import PipProgress, failure_sentence

WINDOWS = sys.platform == "win32"
SPACE_BYTES = 2 * 1024**3  # less free space than this is not worth a try
KILL_AFTER_S = 2.0
NOT_RUN = 127
TAIL_BYTES = 16 * 1024
_READ_BYTES = 256 * 1024  # of a child's output, at each poll
# ensurepip starts a child of its own. Under -I nothing would keep that from writing bytecode into the base
# Python, so ensurepip alone runs without -I; these, and a clean environment, say what -I would.
_NO_TRACES = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
_log = logging.getLogger(__name__)

# phase: share of the whole at which it begins
_BEGINS = {"python": 0.0, "environment": 0.02, "packages": 0.08, "check": 0.9, "tidy": 0.98}
_ENDS = dict(zip(_BEGINS, [*list(_BEGINS.values())[1:], 1.0], strict=True))

_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupProgress:
    """state: running, ready, failed or cancelled; ``fraction`` 0..1 of all; ``error`` when it failed."""

    state: str
    phase: str
    fraction: float
    words: str
    error: FootfallError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One child process. ``feed`` gets every line it prints."""

    phase: str
    words: str
    command: Sequence[str]
    feed: Callable[[str], None] = lambda line: None
    within_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    code: int
    output: str  # its end


_Plan = Generator[_Step, _Outcome, None]


class WorkerSetup:
    """One run. Raises BadInput, SaveError or WorkerNotInstalled at once when it makes no sense to begin.

    folder: of the worker; root: of the extension (its list of requirements); base: the Python that the user
    chose, or None to look for one; own: Blender's. online: may the internet be used. pip_arguments: for a
    mirror or a folder of wheels, as ``("--no-index", "--find-links", DIR)``.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        *,
        online: bool,
        base: Path | None = None,
        own: Path | None = None,
        pip_arguments: Sequence[str] = (),
        space_bytes: int = SPACE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._needed = requirements(root)
        self._folder = folder
        self._pip_arguments = tuple(pip_arguments)
        self._local = "--no-index" in self._pip_arguments
        if not online and not self._local:
            raise BadInput(
                "Setting up the worker needs the internet; turn on Allow Online Access in Blender's "
                "preferences (System), then click Set Up Worker again."
            )
        self._candidates = candidates(base, own)
        self._chosen = base
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._job: KillOnClose | None = None
        self._child_since = 0.0
        self._cancelled_at: float | None = None
        self._line = b""
        self._output = b""
        self._error: FootfallError | None = None
        self._fraction = 0.0
        self._step = _Step(phase="python", words="Looking for a Python", command=())
        self._pip = PipProgress()
        self._state = "running"
        self._lock = FolderLock(folder)
        self._log_file = self._claim(space_bytes)
        self._plan = self._steps()
        self._next(None)

    @property
    def log_path(self) -> Path:
        return self._folder / LOG_FILE

    def _claim(self, space_bytes: int) -> IO[bytes]:
        """Make and lock the folder, and say "incomplete" before anything else is done."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._lock.acquire():
                raise BadInput("The worker is being set up already, here or in another Blender; wait for it.")
            try:
                free = shutil.disk_usage(self._folder).free
                if free < space_bytes:
                    raise SaveError(
                        f"The worker needs at least {space_bytes / 1024**3:.0f} GB of free space in its "
                        f"folder, and there are {free / 1024**3:.1f}; make room or choose another folder."
                    )
                write_state(self._folder, {"state": INCOMPLETE})
                return self.log_path.open("wb+", buffering=0)
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise SaveError(failure_sentence(str(error)), f"{self._folder}: {error}") from error

    # Looking on ----------------------------------------------------------------------------------------

    def poll(self) -> SetupProgress:
        """How far it is; takes a few milliseconds at most. To be called until the state is not "running"."""
        if self._state == "running":
            try:
                self._look()
            except FootfallError as error:
                self._finish("cancelled" if isinstance(error, Cancelled) else "failed", error)
            except OSError as error:
                self._finish("failed", SaveError(failure_sentence(str(error)), str(error)))
        return SetupProgress(
            state=self._state,
            phase=self._step.phase,
            fraction=self._fraction,
            words=self._words(),
            error=self._error,
        )

    def cancel(self) -> None:
        """Stop; ``poll`` says "cancelled" once the child has ended. What was loaded stays for next time."""
        if self._state == "running" and self._cancelled_at is None:
            self._cancelled_at = self._clock()
            self._signal(signal.SIGTERM)

    def close(self) -> None:
        """For a host that goes away: stop at once and leave nothing running."""
        if self._state == "running":
            self._signal(signal.SIGTERM if WINDOWS else signal.SIGKILL)
            if self._child is not None:
                self._child.wait(5.0)
            self._finish("cancelled", Cancelled("Setting up the worker was cancelled."))

    def _words(self) -> str:
        return (self._pip.words or self._step.words) if self._step.phase == "packages" else self._step.words

    def _look(self) -> None:
        code = self._child.poll() if self._child is not None else NOT_RUN
        self._read()
        self._move()
        now = self._clock()
        if code is None:
            if self._cancelled_at is not None and now - self._cancelled_at > KILL_AFTER_S:
                self._signal(signal.SIGTERM if WINDOWS else signal.SIGKILL)
            within_s = self._step.within_s
            if within_s is not None and now - self._child_since > within_s:
                self._signal(signal.SIGTERM if WINDOWS else signal.SIGKILL)
            return
        while self._read():
            pass
        self._drop_child()
        if self._cancelled_at is not None:
            raise Cancelled("Setting up the worker was cancelled.")
        self._next(_Outcome(code=code, output=self._output.decode(errors="replace")))

    def _next(self, outcome: _Outcome | None) -> None:
        """Go on with the plan: the next child, or the end."""
        try:
            step = next(self._plan) if outcome is None else self._plan.send(outcome)
        except StopIteration:
            self._finish("ready", None)
            return
        self._step = step
        self._line = self._output = b""
        self._log_file.write(f"\n$ {' '.join(step.command)}\n".encode(errors="replace"))
        self._log_file.seek(0, os.SEEK_END)
        self._read_at = self._log_file.tell()
        self._child = self._start(step.command)
        self._child_since = self._clock()

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
        """The child, or None when it cannot be started, which counts as one that failed."""
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log_file,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=clean_environment(extra=_NO_TRACES, pip=True),
                start_new_session=not WINDOWS,
                pass_fds=self._lock.descriptors,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in a path
            self._log_file.write(f"{error}\n".encode(errors="replace"))
            return None
        self._job = KillOnClose(int(getattr(child, "_handle", 0)))
        return child

    def _read(self) -> int:
        """Take in what the child has written to the log since; the number of bytes."""
        with self.log_path.open("rb") as log:
            log.seek(self._read_at)
            data = log.read(_READ_BYTES)
        self._read_at += len(data)
        self._output = (self._output + data)[-TAIL_BYTES:]
        *lines, self._line = (self._line + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._step.feed(line.decode(errors="replace"))
        self._line = self._line[-TAIL_BYTES:]
        return len(data)

    def _move(self) -> None:
        begins, ends = _BEGINS[self._step.phase], _ENDS[self._step.phase]
        part = self._pip.fraction if self._step.phase == "packages" else 0.0
        self._fraction = max(self._fraction, begins + (ends - begins) * part)

    def _signal(self, number: int) -> None:
        if self._child is None or self._child.poll() is not None:
            return
        if WINDOWS:
            if self._job is not None:
                self._job.end()
            self._child.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)

    def _drop_child(self) -> None:
        self._child = None
        if self._job is not None:
            self._job.close()
            self._job = None

    def _finish(self, state: str, error: FootfallError | None) -> None:
        self._state, self._error = state, error
        if error is None:
            self._fraction = 1.0
        else:
            _log.warning("Set Up Worker: %s %s", error.sentence, error.detail)
        self._drop_child()
        self._plan.close()
        self._log_file.close()
        self._lock.release()

    # What is done --------------------------------------------------------------------------------------

    def _steps(self) -> _Plan:
        base = yield from self._find_base()
        python = str(worker_python(self._folder))
        environment = str(self._folder / ENVIRONMENT)
        yield from self._must(
            "environment",
            "Making an environment",
            [base, "-I", "-B", "-m", "venv", "--clear", "--without-pip", environment],
        )
        yield from self._must(
            "environment",
            "Adding the installer",
            [python, "-s", "-P", "-m", "ensurepip", "--default-pip"],
        )
        yield from self._install(python)
        found = yield from self._check(python)
        cache = str(self._folder / DOWNLOADS)
        yield _Step(phase="tidy", words="Tidying up", command=[python, "-I", "-B", "-c", _REMOVE, cache])
        write_state(
            self._folder,
            {
                "state": READY,
                "fingerprint": fingerprint(self._needed),
                "device": scrub(str(found.get("device", "")), 200),
                "python_version": scrub(str(found.get("version", "")), 40),
                "base": base,
            },
        )

    def _must(
        self, phase: str, words: str, command: Sequence[str], feed: Callable[[str], None] = lambda line: None
    ) -> Generator[_Step, _Outcome, str]:
        """Run ``command``. Its last output; raises WorkerNotInstalled when it fails."""
        outcome = yield _Step(phase=phase, words=words, command=command, feed=feed)
        if outcome.code != 0:
            raise WorkerNotInstalled(
                failure_sentence(outcome.output),
                scrub(outcome.output[-8_000:], 8_000) or f"code {outcome.code}",
            )
        return outcome.output

    def _find_base(self) -> Generator[_Step, _Outcome, str]:
        seen = []
        for candidate in self._candidates:
            outcome = yield _Step(
                phase="python",
                words="Looking for a Python",
                command=[str(candidate), "-I", "-B", "-c", PROBE],
                within_s=PROBE_S,
            )
            problem = unfit(outcome.code, outcome.output)
            if not problem:
                return str(candidate)
            seen.append(f"{candidate}: {problem}")
        detail = "\n".join(seen)
        if self._chosen is not None:
            raise WorkerNotInstalled(
                f"The chosen Python {seen[0].rsplit(': ', 1)[-1]}; choose Python 3.11, 3.12 or 3.13.", detail
            )
        raise WorkerNotInstalled(
            "No Python suits the worker; install Python 3.12, or choose another one in the preferences.",
            detail,
        )

    def _install(self, python: str) -> Generator[_Step, _Outcome, None]:
        pip = [python, "-I", "-B", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"]
        options = ["--no-user", "--only-binary", ":all:", "--cache-dir", str(self._folder / DOWNLOADS)]
        options += self._pip_arguments
        said = yield from self._must("environment", "Looking at the installer", [*pip, "--version"])
        if not _tells_progress(said) and not self._local:
            # An older pip does as well, it only says less; hence whatever becomes of this is fine.
            yield _Step(
                phase="environment",
                words="Updating the installer",
                command=[*pip, "install", *options, "--progress-bar", "off", "--upgrade", "pip"],
            )
            said = yield from self._must("environment", "Looking at the installer", [*pip, "--version"])
        bar = "raw" if _tells_progress(said) else "off"
        command = [*pip, "install", *options, "--progress-bar", bar, *self._needed]
        yield from self._must("packages", "Loading packages", command, self._pip.feed)

    def _check(self, python: str) -> Generator[_Step, _Outcome, dict[str, Any]]:
        names = [package_name(item) for item in self._needed]
        outcome = yield _Step(
            phase="check", words="Trying the packages", command=[python, "-I", "-B", "-c", CHECK, *names]
        )
        found = findings(outcome.output)
        problems = found.get("problems")
        if outcome.code != 0 or problems != {}:
            named = ", ".join(sorted(problems)) if isinstance(problems, dict) else ""
            raise WorkerNotInstalled(
                f"The installed packages do not work ({scrub(named, 200) or 'they crash'}); copy the "
                "details, try again or choose another Python.",
                scrub(outcome.output[-8_000:], 8_000),
            )
        return found


def _tells_progress(said: str) -> bool:
    """Whether this pip knows ``--progress-bar raw``."""
    parts = said.strip().splitlines()[-1].split() if said.strip() else []
    numbers = parts[1].split(".") if len(parts) > 1 and parts[0] == "pip" else []
    return [int(n) for n in numbers[:2] if n.isdecimal()] >= [24, 1]
