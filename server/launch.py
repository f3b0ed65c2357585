# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the worker straight from this folder: ``python -I .../server/launch.py``.

It loads the folder above as the package ``footfall`` by its place, so the folder may be an installed
extension of any name, and nothing is added to ``sys.path``: with ``-I`` no file beside the .blend, in the
current folder, on PYTHONPATH or in the user's site can slip in. Nothing here may need more than Python 3.7
to be *read*, so that an older Python gets a sentence instead of a syntax error.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "footfall"
NOT_INSTALLED, WRONG_PYTHON = 13, 14  # of WorkerExit, which cannot be imported in either case


def load_package(root: Path) -> ModuleType:
    """``root`` (the folder of the extension) as the package ``footfall``, whatever else has that name."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} is not the Footfall extension")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package


def unfit() -> str:
    """Why this interpreter cannot run the worker, or nothing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells the others
        return f"The worker needs Python 3.11 or newer, not {sys.version.split()[0]}; set it up again."
    if not sys.flags.isolated:
        return "Start the worker with python -I, so that no stray file can take the place of a module."
    return ""


def run() -> None:
    """Does not return: the process ends with a code of ``addon/wire/exits.py``."""
    reason = unfit()
    if reason:
        sys.stderr.write(reason + "\n")
        sys.exit(WRONG_PYTHON)
    load_package(Path(__file__).resolve().parent.parent)
    try:
        worker = importlib.import_module(f"{PACKAGE}.server.__main__")
    except ImportError as error:
        sys.stderr.write(f"The worker's environment is incomplete ({error}); run Set Up Worker again.\n")
        sys.exit(NOT_INSTALLED)
    worker.leave(worker.main(arguments=sys.argv[1:]))


if __name__ == "__main__":
    run()
