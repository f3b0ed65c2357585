# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that holds the worker's own Python packages: what is in it, and in which state it is.

::

    folder/env/         a virtual environment; Blender's own Python is never written to
    folder/state.json   says "incomplete" from the first moment until the last check has passed
    folder/setup.log    everything that the installation printed
    folder/downloads/   pip's cache while it installs, so that a second try need not load it all again
    folder/lock         held by whoever installs; the system lets it go when they die

Filling the folder is making.py's task. Nothing here starts a process or waits for one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..wire.errors import WorkerNotInstalled

MISSING, INSTALLING, INCOMPLETE, READY, OUTDATED = "missing", "installing", "incomplete", "ready", "outdated"
LAYOUT = 1  # raise it when an environment made by an older Footfall must be made again
STATE_FILE, LOCK_FILE, LOG_FILE = "state.json", "lock", "setup.log"
ENVIRONMENT, DOWNLOADS = "env", "downloads"
EXTRA = "worker"  # the group of requirements in pyproject.toml
_STATE_BYTES = 64 * 1024

_SENTENCES = {
    MISSING: "The worker is not set up yet; click Set Up Worker.",
    INSTALLING: "The worker is being set up.",
    INCOMPLETE: "Setting up the worker was interrupted; click Set Up Worker to go on.",
    READY: "The worker is set up.",
    OUTDATED: "This version of Footfall needs other packages; click Set Up Worker to update the worker.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """What a worker folder holds. ``python``: the interpreter to start the worker with, if it may be used."""

    state: str
    sentence: str
    python: Path | None = None
    device: str = ""
    python_version: str = ""


def worker_python(folder: Path, platform: str = sys.platform) -> Path:
    """Where the worker's interpreter is, once it is set up."""
    parts = ("Scripts", "python.exe") if platform == "win32" else ("bin", "python")
    return folder.joinpath(ENVIRONMENT, *parts)


def requirements(root: Path) -> tuple[str, ...]:
    """What the worker needs, as ``root/pyproject.toml`` lists it; ``root`` is the folder of the extension.

    Raises WorkerNotInstalled when the list cannot be read.
    """
    path = root / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        needed = [*project["dependencies"], *project["optional-dependencies"][EXTRA]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkerNotInstalled(
            "The list of what the worker needs is missing; install the extension again.", f"{path}: {error!r}"
        ) from error
    return tuple(str(item) for item in needed)


def fingerprint(needed: Sequence[str]) -> str:
    """Names one set of requirements; an environment with another one is outdated."""
    return hashlib.sha256(json.dumps([LAYOUT, sorted(needed)]).encode()).hexdigest()


def look(folder: Path, needed: Sequence[str]) -> EnvironmentStatus:
    """The state of ``folder``. Quick: a few small files are read, nothing is run."""
    if locked(folder):
        return EnvironmentStatus(state=INSTALLING, sentence=_SENTENCES[INSTALLING])
    said = read_state(folder)
    python = worker_python(folder)
    state = MISSING
    if said:
        # A link whose Python has been uninstalled since counts as nothing there.
        state = READY if said.get("state") == READY and python.is_file() else INCOMPLETE
    if state == READY and said.get("fingerprint") != fingerprint(needed):
        state = OUTDATED
    usable = state in (READY, OUTDATED)
    return EnvironmentStatus(
        state=state,
        sentence=_SENTENCES[state],
        python=python if usable else None,
        device=_text(said, "device") if usable else "",
        python_version=_text(said, "python_version") if usable else "",
    )


def _text(said: dict[str, object], name: str) -> str:
    value = said.get(name, "")
    return value[:200] if isinstance(value, str) else ""


def read_state(folder: Path) -> dict[str, object]:
    """The state file as it is; empty when there is none, ``{"state": "incomplete"}`` when it is damaged."""
    try:
        with (folder / STATE_FILE).open("rb") as file:
            plain = json.loads(file.read(_STATE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {"state": INCOMPLETE}
    return plain if isinstance(plain, dict) else {"state": INCOMPLETE}


def write_state(folder: Path, state: dict[str, object]) -> None:
    """Replace the state file in one step. Raises OSError."""
    temporary = folder / f"{STATE_FILE}.{os.getpid()}.part"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / STATE_FILE)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class FolderLock:
    """Only one installs into a folder at a time. On POSIX it lives as long as a child that shares it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """False when somebody else holds it. Raises OSError when the folder cannot be written."""
        file = self._path.open("ab")
        try:
            _lock(file.fileno())
        except BlockingIOError:
            file.close()
            return False
        except BaseException:
            file.close()
            raise
        self._file = file
        return True

    @property
    def descriptors(self) -> tuple[int, ...]:
        """To be passed on to child processes, so that they hold the lock too (POSIX)."""
        return () if self._file is None or sys.platform == "win32" else (self._file.fileno(),)

    def release(self) -> None:
        """Let go; twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None


def locked(folder: Path) -> bool:
    """Whether somebody installs into ``folder`` right now."""
    try:
        with (folder / LOCK_FILE).open("rb+") as file:
            _lock(file.fileno())
    except BlockingIOError:
        return True
    except OSError:  # no such file, or not ours to write: then nobody of ours installs there
        return False
    return False


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError when it is taken. Closing the file lets go."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
