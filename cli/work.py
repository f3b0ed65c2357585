# SPDX-License-Identifier: GPL-3.0-or-later
"""``--work``: the folder of a training, the same for every command that reads or writes one."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, metavar="DIR", help="the training's folder (default: the cache)")


def work_folder(options: argparse.Namespace) -> Path:
    """What ``--work`` names, absolute; without it, a folder in the user's cache. Not made here."""
    from platformdirs import user_cache_path

    named: Path = options.work or user_cache_path("footfall") / "train"
    return named.expanduser().resolve()
