# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the worker's packages work? Imports each in the environment's own Python, and names the device."""

from __future__ import annotations

import json
from typing import Any

# argv: the names of the packages. Imports each, and says on which device the sound would be made.
CHECK = """
import importlib, importlib.metadata as meta, json, re, sys
plain = lambda name: re.sub("[-_.]+", "_", name).lower()
modules = {}
for module, packages in meta.packages_distributions().items():
    for package in packages:
        modules.setdefault(plain(package), set()).add(module)
problems = {}
for package in sys.argv[1:]:
    found = {n for n in modules.get(plain(package), {plain(package)}) if n.isidentifier() and n[0] != "_"}
    # A package may bring modules beside its own, such as tests that need more than we install.
    own = found & {plain(package)} or {name for name in found if plain(package).startswith(name)}
    for name in sorted(own or found):
        try:
            importlib.import_module(name)
        except Exception as error:
            problems[package] = repr(error)[:500]
device = ""
if "torch" in sys.modules and not problems:
    torch = sys.modules["torch"]
    if torch.cuda.is_available():
        device = "CUDA: " + torch.cuda.get_device_name(0)
    elif torch.backends.mps.is_available():
        device = "Apple GPU (Metal)"
    else:
        device = "CPU"
print("FOOTFALL " + json.dumps({"problems": problems, "device": device, "version": sys.version.split()[0]}))
"""


def package_name(requirement: str) -> str:
    """The name in front of a requirement's version."""
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "._-")), len(requirement))
    return requirement[:end]


def findings(output: str) -> dict[str, Any]:
    """What CHECK has printed: problems by package, device, version; empty when it printed nothing."""
    for line in reversed(output.splitlines()):
        if line.startswith("FOOTFALL "):
            try:
                plain = json.loads(line.removeprefix("FOOTFALL "))
            except ValueError:
                break
            return plain if isinstance(plain, dict) else {}
    return {}
