# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python can be the base of the worker's environment. It is only ever run, never written to."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)
ON_PATH = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
PROBE_S = 20.0  # a Python that has not told its version by then is not used

# Run in any Python, hence plain old syntax.
PROBE = """
import json, sys
def has(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
print(json.dumps({"version": list(sys.version_info[:3]), "bits": 64 if sys.maxsize > 2**32 else 32,
                  "venv": has("venv"), "ensurepip": has("ensurepip")}))
"""


def candidates(base: Path | None, own: Path | None) -> list[Path]:
    """In the order of trial: ``base``, the user's choice, and no other; or Blender's ``own``, then PATH's."""
    if base is not None:
        return [base]
    found = [own or Path(sys.executable), *(Path(p) for n in ON_PATH if (p := shutil.which(n)))]
    return list(dict.fromkeys(found))


def unfit(code: int, output: str) -> str:
    """Why this Python cannot be the base, as the end of "The chosen Python ...", or empty.

    code, output: of a run of PROBE.
    """
    try:
        told = json.loads(output.strip().splitlines()[-1])
        version = tuple(int(part) for part in told["version"])
        venv, bits = bool(told["venv"] and told["ensurepip"]), int(told["bits"])
    except (ValueError, KeyError, TypeError, IndexError):
        return "does not run"
    if code != 0:
        return "does not run"
    if version < OLDEST:
        return f"is {'.'.join(map(str, version))} and too old"
    if bits < 64:
        return "is a 32-bit one"
    return "" if venv else "cannot make environments (venv or ensurepip is missing)"
