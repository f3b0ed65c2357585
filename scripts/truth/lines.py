# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of this folder share: which scenes, and JSON lines on standard output."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO

from .model import KINDS, RATES


def seeds(words: str) -> range:
    """ "7" or "0-9" as a range."""
    first, _, last = words.partition("-")
    return range(int(first), int(last or first) + 1)


def scene_arguments(program: str, about: str | None, default: range = range(3)) -> argparse.ArgumentParser:
    """A parser that knows which scenes are meant: options.kind (a list or None), .seeds, .rate."""
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument(
        "--kind", choices=KINDS, action="append", help="which; may be said again (default all)"
    )
    parser.add_argument(
        "--seeds", type=seeds, default=default, metavar="A-B", help=f"default {default[0]}-{default[-1]}"
    )
    parser.add_argument("--rate", choices=RATES, default="", help="another than each seed's own")
    return parser


def own_stdout() -> TextIO:
    """A stream to where standard output went; what Blender prints goes to standard error from now on."""
    sys.stdout.flush()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return lines
