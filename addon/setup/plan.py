# SPDX-License-Identifier: GPL-3.0-or-later
"""What Set Up Worker does, step after step: find a Python, make the environment, install, try the packages.

A plan is a generator: it yields the next child process to run and is sent how that ended. It starts nothing
itself. Only ready-made wheels are installed, so nothing of a package runs while it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..wire.errors import WorkerNotInstalled
from ..wire.texts import scrub
from .base_python import PROBE, PROBE_S, unfit
from .environment import DOWNLOADS, ENVIRONMENT, READY, fingerprint, worker_python, write_state
from .package_check import CHECK, findings, package_name
from .progress import failure_sentence

FIRST_WORDS = "Looking for a Python"
_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One child process. ``feed`` gets every line it prints; after ``within_s`` it is killed."""

    phase: str  # python, environment, packages, check or tidy
    words: str
    command: Sequence[str]
    feed: Callable[[str], None] = lambda line: None
    within_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    code: int
    output: str  # its end


Plan = Generator[Step, Outcome, None]


class SetupPlan:
    """How ``folder`` becomes a worker's environment that holds what is ``needed``.

    pythons: to be tried in this order; chosen: the user said which. pip_arguments: as of WorkerSetup.
    heard: gets what pip prints while it installs.
    """

    def __init__(
        self,
        folder: Path,
        needed: Sequence[str],
        *,
        pythons: Sequence[Path],
        chosen: bool,
        pip_arguments: Sequence[str],
        heard: Callable[[str], None],
    ) -> None:
        self._folder, self._needed = folder, tuple(needed)
        self._pythons, self._chosen = pythons, chosen
        self._pip_arguments = tuple(pip_arguments)
        self._heard = heard

    def steps(self) -> Plan:
        """Every step; the last thing done is to call the folder ready. Raises WorkerNotInstalled, OSError."""
        base = yield from self._find_base()
        python = str(worker_python(self._folder))
        environment = str(self._folder / ENVIRONMENT)
        yield from _must(
            "environment",
            "Making an environment",
            [base, "-I", "-B", "-m", "venv", "--clear", "--without-pip", environment],
        )
        yield from _must(
            "environment",
            "Adding the installer",
            [python, "-s", "-P", "-m", "ensurepip", "--default-pip"],
        )
        yield from self._install(python)
        found = yield from self._check(python)
        cache = str(self._folder / DOWNLOADS)
        yield Step(phase="tidy", words="Tidying up", command=[python, "-I", "-B", "-c", _REMOVE, cache])
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

    def _find_base(self) -> Generator[Step, Outcome, str]:
        seen = []
        for python in self._pythons:
            outcome = yield Step(
                phase="python",
                words=FIRST_WORDS,
                command=[str(python), "-I", "-B", "-c", PROBE],
                within_s=PROBE_S,
            )
            problem = unfit(outcome.code, outcome.output)
            if not problem:
                return str(python)
            seen.append(f"{python}: {problem}")
        detail = "\n".join(seen)
        if self._chosen:
            raise WorkerNotInstalled(
                f"The chosen Python {seen[0].rsplit(': ', 1)[-1]}; choose Python 3.11, 3.12 or 3.13.", detail
            )
        raise WorkerNotInstalled(
            "No Python suits the worker; install Python 3.12, or choose another one in the preferences.",
            detail,
        )

    def _install(self, python: str) -> Generator[Step, Outcome, None]:
        pip = [python, "-I", "-B", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"]
        options = ["--no-user", "--only-binary", ":all:", "--cache-dir", str(self._folder / DOWNLOADS)]
        options += self._pip_arguments
        said = yield from _must("environment", "Looking at the installer", [*pip, "--version"])
        if not _tells_progress(said) and "--no-index" not in self._pip_arguments:
            # An older pip does as well, it only says less; hence whatever becomes of this is fine.
            yield Step(
                phase="environment",
                words="Updating the installer",
                command=[*pip, "install", *options, "--progress-bar", "off", "--upgrade", "pip"],
            )
            said = yield from _must("environment", "Looking at the installer", [*pip, "--version"])
        bar = "raw" if _tells_progress(said) else "off"
        command = [*pip, "install", *options, "--progress-bar", bar, *self._needed]
        yield from _must("packages", "Loading packages", command, self._heard)

    def _check(self, python: str) -> Generator[Step, Outcome, dict[str, Any]]:
        names = [package_name(item) for item in self._needed]
        outcome = yield Step(
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


def _must(
    phase: str, words: str, command: Sequence[str], feed: Callable[[str], None] = lambda line: None
) -> Generator[Step, Outcome, str]:
    """Run ``command``. Its last output; raises WorkerNotInstalled when it fails."""
    outcome = yield Step(phase=phase, words=words, command=command, feed=feed)
    if outcome.code != 0:
        raise WorkerNotInstalled(
            failure_sentence(outcome.output), scrub(outcome.output[-8_000:], 8_000) or f"code {outcome.code}"
        )
    return outcome.output


def _tells_progress(said: str) -> bool:
    """Whether this pip knows ``--progress-bar raw``."""
    parts = said.strip().splitlines()[-1].split() if said.strip() else []
    numbers = parts[1].split(".") if len(parts) > 1 and parts[0] == "pip" else []
    return [int(n) for n in numbers[:2] if n.isdecimal()] >= [24, 1]
