# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall train``: builds the synthetic world and trains one part of a bundle, or all of them.

What a run has reached is kept: the same command goes on where it stopped, after Ctrl-C, a kill or a full
disk. Under ``accelerate launch`` or ``torchrun`` the trainings share their batches between the processes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..addon.wire.errors import BadInput
from .train_bundles import build_world, make_card, make_clipsonic, make_starter
from .train_line import TrainLine
from .train_parts import WORLD, train_part
from .train_words import CARD, SONIC, STARTER, add_parts
from .work import work_folder

# What is no part, and who makes it.
_MAKERS: dict[str, Callable[[Path, argparse.Namespace, TrainLine], dict[str, Any]]] = {
    WORLD: build_world,
    STARTER: make_starter,
    SONIC: make_clipsonic,
    CARD: make_card,
}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    add_parts(
        subparsers.add_parser("train", help="build the synthetic world and train models", description=__doc__)
    )


def run(options: argparse.Namespace) -> int:
    work = work_folder(options)
    first = os.environ.get("RANK", "0") == "0"  # of several processes one does the talking
    if options.part in (WORLD, STARTER, SONIC) and os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput(
            f"footfall train {options.part} runs in one process; start it without accelerate launch."
        )
    from ..server.train.checkpoints import disk_trouble

    began = time.monotonic()
    with TrainLine(quiet=options.json or not first) as line:
        make = _MAKERS.get(options.part)
        with disk_trouble(work, "What was made before is whole."):
            report = make(work, options, line) if make else train_part(options.part, work, options, line)
    report = {"ok": True, "part": options.part, "work": str(work), **report}
    report["run_s"] = round(time.monotonic() - began, 2)
    if options.json and first:
        print(json.dumps(report))
    return 0
