# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker: makes the worker's environment, one child process after the other, without ever waiting.

``poll`` is called from a timer (or a loop) and returns how far it is. A kill at any moment leaves a folder
that says "incomplete"; the next setup makes the environment anew, and takes what was loaded from the cache. A
base Python, Blender's own included, is only run, isolated and without writing its bytecode; packages go into
the folder alone. What is done, step after step, says plan.py; how one step runs, child.py.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..wire.errors import BadInput, Cancelled, FootfallError, SaveError
from .base_python import candidates
from .child import SetupChild
from .environment import INCOMPLETE, LOG_FILE, FolderLock, requirements, write_state
from .plan import FIRST_WORDS, Outcome, SetupPlan, Step
from .progress import PipProgress, failure_sentence

SPACE_BYTES = 2 * 1024**3  # less free space than this is not worth a try
KILL_AFTER_S = 2.0
_log = logging.getLogger(__name__)

# phase: share of the whole at which it begins
_BEGINS = {"python": 0.0, "environment": 0.02, "packages": 0.08, "check": 0.9, "tidy": 0.98}
_ENDS = dict(zip(_BEGINS, [*list(_BEGINS.values())[1:], 1.0], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupProgress:
    """state: running, ready, failed or cancelled; ``fraction`` 0..1 of all; ``error`` when it failed."""

    state: str
    phase: str
    fraction: float
    words: str
    error: FootfallError | None = None


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
        needed = requirements(root)
        if not online and "--no-index" not in pip_arguments:
            raise BadInput(
                "Setting up the worker needs the internet; turn on Allow Online Access in Blender's "
                "preferences (System), then click Set Up Worker again."
            )
        self._folder = folder
        self._clock = clock
        self._child: SetupChild | None = None
        self._child_since = 0.0
        self._cancelled_at: float | None = None
        self._error: FootfallError | None = None
        self._fraction = 0.0
        self._step = Step(phase="python", words=FIRST_WORDS, command=())
        self._pip = PipProgress()
        self._state = "running"
        self._lock = FolderLock(folder)
        self._log_file = self._claim(space_bytes)
        self._plan = SetupPlan(
            folder,
            needed,
            pythons=candidates(base, own),
            chosen=base is not None,
            pip_arguments=pip_arguments,
            heard=self._pip.feed,
        ).steps()
        self._guarded(lambda: self._next(None))

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

    def poll(self) -> SetupProgress:
        """How far it is; takes a few milliseconds at most. To be called until the state is not "running"."""
        if self._state == "running":
            self._guarded(self._look)
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
            if self._child is not None:
                self._child.ask_to_end()

    def close(self) -> None:
        """For a host that goes away: stop at once and leave nothing running."""
        if self._state == "running":
            if self._child is not None:
                self._child.kill_and_wait(5.0)
            self._finish("cancelled", Cancelled("Setting up the worker was cancelled."))

    def _guarded(self, step: Callable[[], None]) -> None:
        """What goes wrong in ``step`` ends the run, lets go of the folder, and is told by ``poll``."""
        try:
            step()
        except FootfallError as error:
            self._finish("cancelled" if isinstance(error, Cancelled) else "failed", error)
        except OSError as error:
            self._finish("failed", SaveError(failure_sentence(str(error)), str(error)))

    def _words(self) -> str:
        return (self._pip.words or self._step.words) if self._step.phase == "packages" else self._step.words

    def _look(self) -> None:
        """Take in what the child says; when it has ended, begin the next one."""
        child = self._child
        assert child is not None  # there is one as long as the state is "running"
        code = child.code()
        child.read()
        self._move()
        now = self._clock()
        if code is None:
            cancelled, within_s = self._cancelled_at, self._step.within_s
            if cancelled is not None and now - cancelled > KILL_AFTER_S:
                child.kill()
            if within_s is not None and now - self._child_since > within_s:
                child.kill()
            return
        while child.read():
            pass
        self._drop_child()
        if self._cancelled_at is not None:
            raise Cancelled("Setting up the worker was cancelled.")
        self._next(Outcome(code=code, output=child.output))

    def _next(self, outcome: Outcome | None) -> None:
        """Go on with the plan: the next child, or the end."""
        try:
            step = next(self._plan) if outcome is None else self._plan.send(outcome)
        except StopIteration:
            self._finish("ready", None)
            return
        self._step = step
        self._child = SetupChild(
            step.command,
            self._folder,
            log=self._log_file,
            log_path=self.log_path,
            descriptors=self._lock.descriptors,
            feed=step.feed,
        )
        self._child_since = self._clock()

    def _move(self) -> None:
        begins, ends = _BEGINS[self._step.phase], _ENDS[self._step.phase]
        part = self._pip.fraction if self._step.phase == "packages" else 0.0
        self._fraction = max(self._fraction, begins + (ends - begins) * part)

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

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
