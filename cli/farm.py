# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall farm``: a file's shots in three steps that share nothing but a folder (addon/batch/farm.py).

capture needs Blender and no graphics card, generate a graphics card and no Blender, place Blender again. The
farm/ folder of the repository has the job for OpenJD and the job type for Flamenco that call them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..addon.batch import asked as batch_jobs
from ..addon.batch import farm as jobs
from ..addon.batch import message_file
from ..addon.batch.farm import Farm, FarmShot
from ..addon.wire.errors import BadInput, FootfallError
from ..addon.worker.client import Launch
from . import farm_session
from .blender import check_exit, find_blender, run_in_blender, turn
from .jobs import run_job, worker_launch
from .progress import ProgressLine


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("farm", help="the same in three steps, for render farms")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    capture = steps.add_parser("capture", help="write a request for every shot of a .blend file")
    capture.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the job's shared folder")
    capture.add_argument("--blender", default="", metavar="PROGRAM", help="Blender's executable")
    batch_jobs.add_options(capture)
    generate = steps.add_parser("generate", help="make the sound of captured shots; no Blender")
    generate.add_argument("folder", type=Path, metavar="FOLDER", help="the job's shared folder")
    generate.add_argument("--shot", default="", metavar="N", help="which, as 3 or 2-5,9 (default: all)")
    generate.add_argument("--session", type=Path, metavar="DIR", help="use the worker of this open session")
    generate.add_argument("--models", type=Path, metavar="DIR", help="folder of the models")
    generate.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else")
    place = steps.add_parser("place", help="put the results into the file")
    place.add_argument("input", type=Path, metavar="FILE.blend", help="the file that was captured")
    place.add_argument("--from", dest="source", type=Path, required=True, metavar="FOLDER")
    place.add_argument(
        "--save-as", type=Path, required=True, metavar="OUT.blend", help="where to save the file"
    )
    place.add_argument("--blender", default="", metavar="PROGRAM", help="Blender's executable")
    place.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else")
    for name, words in (
        ("open", "start one worker for all generate steps of a session"),
        ("close", "end it"),
        ("keep", argparse.SUPPRESS),
    ):
        step = steps.add_parser(name, help=words) if words != argparse.SUPPRESS else steps.add_parser(name)
        step.add_argument(
            "folder", type=Path, metavar="DIR", help="the session's own folder, on this machine"
        )
        if name != "close":
            step.add_argument("--models", type=Path, metavar="DIR", help="folder of the models")
        if name == "open":
            step.add_argument(
                "--for", dest="job", type=Path, metavar="FOLDER", help="load the model of this job at once"
            )
        if name == "keep":
            step.add_argument("--while-pid", type=int, required=True, metavar="PID")


def run(options: argparse.Namespace) -> int:
    return _STEPS[options.step](options)


def _capture(options: argparse.Namespace) -> int:
    if len(options.files) > 1:
        raise BadInput("A farm job is one file; capture each into a folder of its own.")
    words = options.words[options.words.index("capture") + 1 :]
    return _in_blender(options, options.files[0] if options.files else None, "farm-capture", words)


def _place(options: argparse.Namespace) -> int:
    jobs.read_list(options.source)  # said here, it needs no Blender
    words = options.words[options.words.index("place") + 1 :]
    words.remove(next(word for word in words if Path(word) == options.input))
    return _in_blender(options, options.input, "farm-place", words)


def _in_blender(options: argparse.Namespace, blend: Path | None, verb: str, words: list[str]) -> int:
    while "--blender" in words:
        del words[words.index("--blender") : words.index("--blender") + 2]
    words = [word for word in words if not word.startswith("--blender=")]
    if verb == "farm-place" and blend is not None and not blend.is_file():
        raise BadInput(f"There is no file {blend}; check its name.")
    opened = blend if verb == "farm-place" else None  # capturing opens the file by itself, as batch does
    command = find_blender(options.blender).command(opened, verb, *words)
    if not options.json:
        return check_exit(turn(command)[0])
    print(json.dumps(run_in_blender(command)))
    return 0


def _generate(options: argparse.Namespace) -> int:
    farm = jobs.read_list(options.folder)
    shots = jobs.chosen(farm, options.shot)
    launch: Launch = (
        farm_session.session_launch(options.session) if options.session else worker_launch(options.models)
    )
    report: dict[str, Any] = {"ok": True, "made": [], "kept": [], "failed": {}}
    code = 0
    with ProgressLine(quiet=options.json) as line:
        for shot in shots:
            if farm.result(shot) is not None:
                report["kept"].append(shot.number)
                continue
            try:
                _make(farm, shot, launch, line)
            except FootfallError as error:
                if len(shots) == 1 or error.code == "cancelled":
                    raise
                report["failed"][shot.number] = error.sentence
                code = max(code, error.exit_code)
                continue
            report["made"].append(shot.number)
    report |= {"ok": code == 0}
    _tell(options, report)
    return code


def _make(farm: Farm, shot: FarmShot, launch: Launch, line: ProgressLine) -> None:
    submit = farm.request(shot)
    line.show(f"shot {shot.number} ({shot.name})", 0.0)
    message_file.write(farm.result_path(shot), run_job(submit.request, launch, line, job_id=submit.job_id))


def _tell(options: argparse.Namespace, report: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(report))
        return
    for name in ("made", "kept"):
        if report[name]:
            print(f"{name}: {', '.join(map(str, report[name]))}")
    for number, sentence in report["failed"].items():
        print(f"shot {number}: {sentence}", file=sys.stderr)


def _open(options: argparse.Namespace) -> int:
    print(farm_session.open_session(options.folder, options.models))
    if options.job is not None:
        with ProgressLine(quiet=False) as line:
            _warm_up(options.folder, jobs.read_list(options.job), line)
    return 0


def _warm_up(session: Path, farm: Farm, line: ProgressLine) -> None:
    """A moment of sound with the job's own model, so that it is loaded before the first task."""
    if not farm.shots:
        return
    asked = farm.request(farm.shots[0]).request
    moment = dataclasses.replace(
        asked,
        frames=asked.frames[:1],
        times_s=asked.times_s[:1],
        duration_s=Fraction(1, 2),
        events=(),
        layers=("bed",),
        motion=None,
        takes=1,
        quality="draft",
    )
    try:
        run_job(moment, farm_session.session_launch(session), line)
    except FootfallError:
        farm_session.close_session(session)
        raise


def _keep(options: argparse.Namespace) -> int:
    return farm_session.keep(options.folder, options.models, options.while_pid)


def _close(options: argparse.Namespace) -> int:
    farm_session.close_session(options.folder)
    return 0


_STEPS = {
    "capture": _capture,
    "generate": _generate,
    "place": _place,
    "open": _open,
    "keep": _keep,
    "close": _close,
}
