# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall embed``: a folder of videos becomes training data for a mapper.

Any layout of folders will do, VGGSound's with its list included. What cannot be used is reported and skipped;
what was done is not done again. ``--json`` prints one object on stdout and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ..addon.folders import models_folder
from ..addon.wire.errors import BadInput
from ..addon.wire.handshake import DEVICES
from .progress import LINE_EVERY_S, ProgressLine

SHOWN = 20  # skipped files that are listed for people; skipped.jsonl has all of them
SECONDS = (0.1, 60.0)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("embed", help="videos to pairs of embeddings, to train a mapper on")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="videos, in any layout of folders")
    parser.add_argument("--model", metavar="NAME|DIR", required=True, help="whose CLIP and CLAP to use")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the embeddings go")
    parser.add_argument(
        "--csv", metavar="FILE", type=Path, help="labels: VGGSound's list, or file,label[,split]"
    )
    parser.add_argument("--frames", type=int, default=8, help="pictures of each window (8)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a window (10)")
    parser.add_argument("--windows", type=int, default=8, help="at most so many of one video (8)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds to spend on one video (120)")
    parser.add_argument("--workers", type=int, default=0, help="threads that decode (one on each core)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--again", action="store_true", help="also try what was skipped before")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="where the models are (else FOOTFALL_MODELS)"
    )
    parser.add_argument("--json", action="store_true", help="one object on stdout and nothing else")


def run(options: argparse.Namespace) -> int:
    """Raises FootfallError, which the caller turns into a sentence and an exit code."""
    _check(options)
    from ..server.train.film_folder import find_films

    find_films(options.folder)  # before the seconds that the libraries alone take, let alone the models
    from ..server.models.finding import find_bundle
    from ..server.train.embed import Plan, as_json, embed, open_encoders
    from ..server.train.films import Wanted

    bundle = find_bundle(options.model, options.models or models_folder(), paths=True)
    with ProgressLine(options.json) as line:
        line.show("loading", 0.0)
        eye, ear, side = open_encoders(bundle, options.device)
        wanted = Wanted(
            seconds=options.seconds,
            windows=options.windows,
            frames=options.frames,
            side=side,
            limit_s=options.limit,
        )
        plan = Plan(
            folder=options.folder,
            out=options.out,
            wanted=wanted,
            labels=options.csv,
            workers=options.workers,
            again=options.again,
        )
        report = as_json(embed(plan, eye, ear, told=Teller(line)))
    if options.json:
        print(json.dumps({"ok": True, "out": str(options.out), **report}))
    else:
        print(table(report, options.out))
    return 0


def _check(options: argparse.Namespace) -> None:
    if not SECONDS[0] <= options.seconds <= SECONDS[1]:
        raise BadInput(f"A window lasts {SECONDS[0]:g} to {SECONDS[1]:g} seconds.")
    if options.frames < 1 or options.windows < 1 or options.workers < 0 or options.limit <= 0:
        raise BadInput("Take at least one picture and one window of each video, and some time for it.")


class Teller:
    """Progress with the time that is left, told at most every few seconds where there is no terminal."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._began = time.monotonic()
        self._first = -1
        self._said = -LINE_EVERY_S

    def __call__(self, done: int, of: int, file: str) -> None:
        now = time.monotonic()
        if self._first < 0:
            self._first = done - 1  # what earlier runs had done took no time in this one
        if now - self._said < LINE_EVERY_S and done < of and not sys.stderr.isatty():
            return
        self._said = now
        each = (now - self._began) / (done - self._first)
        self._line.show(f"{done} of {of} videos, {clock(each * (of - done))} left", done / of)


def clock(seconds: float) -> str:
    """As 0:42 or 3:05:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def table(report: dict[str, Any], out: Path) -> str:
    """The report for people."""
    skipped = report["skipped"]
    lines = [
        f"{report['pairs']} pairs of {report['done']} videos in {out} "
        f"({report['files']} videos, {len(skipped)} skipped, {report['resumed']} known before, "
        f"{report['seconds']:.1f} s)"
    ]
    if report["bad_rows"]:
        lines.append(f"  {report['bad_rows']} lines of the list say nothing")
    lines += [f"  skipped {row['file']}: {row['reason']}. {row['said']}" for row in skipped[:SHOWN]]
    if len(skipped) > SHOWN:
        lines.append(f"  and {len(skipped) - SHOWN} more; all of them stand in skipped.jsonl there")
    return "\n".join(lines)
