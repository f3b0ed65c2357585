# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender without a window, for .blend files: the executable that the user named, the bpy module, or PATH's;
and what the command in it reports.

bpy never runs in this process, because torch may live here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..addon.caller import ENV_CALLER
from ..addon.folders import ENV_PYTHON
from ..addon.wire.errors import BadInput, Cancelled, FootfallError, WorkerDied, from_code

OUR_CODES = (0, 2, 3, 4, 5, 130)
GRACE_S = (
    20.0  # for a Blender that is cancelled to put things in order; what a script starts may not hear of it
)
BOOTSTRAP = Path(__file__).resolve().parent.parent / "addon" / "host" / "commands" / "bootstrap.py"


@dataclass(frozen=True)
class Blender:
    """How to start Blender in background: ``executable``, or this Python's bpy module when it is empty."""

    executable: str = ""

    def __str__(self) -> str:
        return self.executable or f"bpy module of {sys.executable}"

    def command(self, blend: Path | None, *words: str) -> list[str]:
        """The command line that opens ``blend`` (None: an empty file) and runs ``footfall WORDS`` in it."""
        if not self.executable:
            opened = [str(blend)] if blend else []
            # -P: beside a .blend lies a folder named footfall, with its sound, and it must not be imported
            return [
                sys.executable,
                "-P",
                "-m",
                "footfall.addon.host.commands.background",
                *opened,
                "--",
                *words,
            ]
        opened = [str(blend)] if blend else ["--factory-startup"]
        return [self.executable, "-b", *opened, "--python", str(BOOTSTRAP), "--", *words]


def find_blender(named: str = "") -> Blender:
    """``named``, else FOOTFALL_BLENDER, else the bpy module, else ``blender`` on PATH. Raises BadInput."""
    wanted = named or os.environ.get("FOOTFALL_BLENDER", "")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise BadInput(f"{wanted} is not a program; give Blender's executable with --blender.")
        return Blender(found)
    if importlib.util.find_spec("bpy") is not None:
        return Blender()
    on_path = shutil.which("blender")
    if on_path is None:
        raise BadInput("No Blender was found; name its executable with --blender, or install the bpy module.")
    return Blender(on_path)


def run_in_blender(command: Sequence[str], stderr: IO[str] | None = None) -> dict[str, Any]:
    """The object that ``command``, with --json, prints on stdout. Raises the FootfallError that it tells."""
    code, out = turn(command, stdout=subprocess.PIPE, stderr=stderr)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise _silent(code)
    report: dict[str, Any] = json.loads(lines[-1])
    if not report.get("ok"):
        raise from_code(report.get("code", ""), report.get("error", ""), report.get("detail", ""))
    return report


def turn(command: Sequence[str], stdout: int | None = None, stderr: IO[str] | None = None) -> tuple[int, str]:
    """(exit code, stdout if it is a pipe) of ``command``, whose group is its own: Ctrl-C reaches it once.

    Raises Cancelled if that ended it before it could say so.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        encoding="utf-8",
        errors="replace",
        process_group=0,
        # This Python can run the worker; and Blender ends when nobody waits for it any more.
        env={ENV_PYTHON: sys.executable, **os.environ, ENV_CALLER: str(os.getpid())},
    )
    try:
        try:
            out, _ = child.communicate()
        except KeyboardInterrupt:
            _signal(child, signal.SIGINT)
            out, _ = child.communicate(timeout=GRACE_S)
            if child.returncode not in OUR_CODES:
                raise Cancelled from None
    except subprocess.TimeoutExpired:
        raise Cancelled from None
    finally:
        if child.poll() is None:
            _signal(child, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
    return child.returncode, out or ""


def _signal(child: subprocess.Popen[str], number: signal.Signals) -> None:
    """To all of ``child``'s group: a launcher's script does not pass it on to Blender."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
    elif number != signal.SIGINT:  # the console has told it already
        child.kill()


def check_exit(code: int) -> int:
    """An exit code of ours. Raises what any other one stands for."""
    if code in OUR_CODES:
        return code
    raise _silent(code)


def _silent(code: int) -> FootfallError:
    if code in (Cancelled.exit_code, -signal.SIGINT):
        return Cancelled()
    if code == 1:  # how a full Blender ends that cannot open the file it was started with
        return BadInput("Blender could not open the file; it is damaged, or made by a newer Blender.")
    return WorkerDied(
        f"Blender ended unexpectedly (code {code}); try again, or name another one with --blender."
    )
