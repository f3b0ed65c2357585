# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the modules of this folder that need Blender in a process of their own, which knows no torch."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any


def in_blender(module: str, *words: str) -> Iterator[dict[str, Any]]:
    """What ``python -m footfall.scripts.truth.MODULE`` says, line by line. Raises RuntimeError."""
    command = [sys.executable, "-m", f"footfall.scripts.truth.{module}", *words]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as chatter:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=chatter, env=environment, text=True
        ) as child:
            for line in child.stdout or ():
                yield json.loads(line)
        if child.returncode:
            chatter.seek(0)
            raise RuntimeError(f"{module} ended with {child.returncode}:\n{chatter.read()[-3000:]}")


def scene_words(options: argparse.Namespace) -> list[str]:
    """The scenes that ``lines.scene_arguments`` has read, for another command that reads them."""
    words = ["--seeds", f"{options.seeds[0]}-{options.seeds[-1]}"]
    words += ["--rate", options.rate] if options.rate else []
    return words + [word for kind in options.kind or () for word in ("--kind", kind)]
