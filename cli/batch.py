# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall batch``: every shot of several .blend files, through one Blender and one warm worker.

The work is done inside Blender (addon/host/commands/batch.py). Here the words are checked before it starts,
it is started again when it crashes (the journal knows where it was), and films get their new sound.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..addon import options as shared
from ..addon.batch import asked as batch_jobs
from ..addon.whole_file import check_place, whole_file
from ..addon.wire.errors import BadInput, FootfallError, WorkerDied
from .blender import OUR_CODES, Blender, find_blender, turn
from .mux import mux_film

RESTARTS = 10  # of a Blender that crashes; a shot that it crashes over is left out long before


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("batch", help="every shot of several .blend files; resumes")
    parser.add_argument("--blender", default="", metavar="PROGRAM", help="Blender's executable")
    batch_jobs.add_options(parser)


def run(options: argparse.Namespace) -> int:
    jobs = batch_jobs.file_jobs(options)
    shared.model_choice(options.model)  # the same words would be refused in Blender, a while later
    missing = [job.blend for job in jobs if job.blend is not None and not job.blend.is_file()]
    if len(missing) == len(jobs):
        raise BadInput(f"There is no file {missing[0]}; check its name.")
    films = [job.playblast for job in jobs if job.playblast is not None and not job.playblast.is_file()]
    if films:
        raise BadInput(f"There is no film {films[0]}; check its name.")
    if options.report is not None:
        check_place(options.report, option="--report")
    with tempfile.TemporaryDirectory(prefix="footfall-") as folder:
        report_path = Path(folder) / "report.json"
        code, out = _turn(find_blender(options.blender), _passed_on(options, report_path))
        if not report_path.is_file():  # refused as a whole
            return _refused(options, code, out)
        report: dict[str, Any] = json.loads(report_path.read_text("utf-8"))
    for blend in report["blends"]:
        _mux(blend, report)
    report["files"] = [path for blend in report["blends"] for path in blend["files"]]
    if options.report is not None:
        with whole_file(options.report) as temporary:
            temporary.write_text(json.dumps(report, indent=1), encoding="utf-8")
    _tell(options, report)
    return int(report["exit_code"])


def _turn(blender: Blender, words: list[str]) -> tuple[int, str]:
    """Run the batch in Blender, again and again while it crashes; its exit code, and what it said last."""
    for _ in range(RESTARTS):
        code, out = turn(blender.command(None, "batch", *words), stdout=subprocess.PIPE)
        if code in OUR_CODES:
            return code, out
        print(f"Blender ended unexpectedly (code {code}); going on where it was.", file=sys.stderr)
    raise WorkerDied(f"Blender has crashed {RESTARTS} times; name another one with --blender.")


def _passed_on(options: argparse.Namespace, report: Path) -> list[str]:
    """The words of this command line that Blender's side knows, and where to put its report."""
    kept = options.words[options.words.index("batch") + 1 :]
    for name in ("--blender", "--report"):
        while name in kept:
            del kept[kept.index(name) : kept.index(name) + 2]
    kept = [word for word in kept if not word.startswith(("--blender=", "--report="))]
    return [*kept, f"--report={report}"]


def _refused(options: argparse.Namespace, code: int, out: str) -> int:
    """Blender's side has said why on stderr, and in an object where one was asked for."""
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if options.json and lines:
        print(lines[-1])
    return code


def _mux(blend: dict[str, Any], report: dict[str, Any]) -> None:
    """The film that belongs to a file, with its new sound, beside the saved copy."""
    film, mix = blend.get("playblast"), blend.get("mix")
    if not film or not mix:
        return
    target = Path(blend["blend"]).with_name(Path(film).name)
    if target == Path(film):
        target = target.with_name(f"{target.stem}_with_sound{target.suffix}")
    try:
        mux_film(Path(film), Path(mix), target)
    except FootfallError as error:
        blend |= error.report()
        report |= {**error.report(), "exit_code": max(report["exit_code"], error.exit_code)}
        return
    blend["film"] = str(target)
    blend["files"].append(str(target))


def _tell(options: argparse.Namespace, report: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(report))
        return
    for path in report["files"]:
        print(path)
    for blend in report["blends"]:
        if blend.get("error"):
            print(f"footfall: {blend['file']}: {blend['error']}", file=sys.stderr)
        for shot in blend["shots"]:
            if shot["error"]:
                print(f"footfall: {blend['file']}, {shot['name']}: {shot['error']}", file=sys.stderr)
