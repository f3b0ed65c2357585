# SPDX-License-Identifier: GPL-3.0-or-later
"""Footfall without a Blender program:

    python -m footfall.addon.host.commands.background [FILE.blend] -- generate …

Needs the bpy module. Options and exit codes are those of ``blender -b FILE --command footfall``.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Sequence

PROG = "python -m footfall.addon.host.commands.background FILE.blend --"


def main(argv: Sequence[str]) -> int:
    """Open the file that is named before ``--`` and run the words behind it; the exit code."""
    words = list(argv)
    here = words.index("--") if "--" in words else 0
    files, words = words[:here], words[here + ("--" in words) :]
    if importlib.util.find_spec("bpy") is None:
        sys.stderr.write("footfall: This Python has no bpy module; use Blender itself, or install bpy.\n")
        return 3
    if importlib.util.find_spec("torch") is not None:  # this very Python can run the worker
        os.environ.setdefault("FOOTFALL_WORKER_PYTHON", sys.executable)
    from ...wire.errors import Cancelled, FootfallError

    problem: FootfallError | None = None
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: interrupted.append(number))
    stdout = os.dup(1)
    os.dup2(2, 1)  # what Blender prints while it opens a file is no result
    try:
        _open(files)
    except FootfallError as error:
        problem = error
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        signal.signal(signal.SIGINT, before)
    from .run import refuse

    if interrupted:  # noted, not raised: what Blender imports in C would swallow it and go on
        problem = Cancelled()
    return refuse(words, problem) if problem else run(words, PROG)


def _open(files: Sequence[str]) -> None:
    """Start Blender and open the file, if one is named. Raises WrongUsage, BadInput."""
    import bpy

    from ...wire.errors import BadInput, WrongUsage

    if len(files) > 1:
        raise WrongUsage(f"One file at a time: {PROG} generate …")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=not files)
    if not files:
        return
    if not os.path.isfile(files[0]):
        raise BadInput(f"There is no file {files[0]}; check its name.")
    try:
        bpy.ops.wm.open_mainfile(filepath=os.path.abspath(files[0]), load_ui=False)
    except RuntimeError as error:
        sentence = f"{files[0]} could not be opened; it is damaged, or made by a newer Blender."
        raise BadInput(sentence, str(error)) from error


def run(words: Sequence[str], prog: str) -> int:
    """Register the add-on in this process, run ``words``, and take it back again; the exit code."""
    from .. import registration
    from . import run as commands

    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)  # errors are told in one sentence
    registration.register()
    try:
        return commands.run(words, prog)
    finally:
        registration.unregister()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
