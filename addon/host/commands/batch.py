# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall batch`` inside Blender: files opened one after another, all their shots through one warm worker.

The client and its worker live on while files come and go. Of each file a copy with the new strips is saved,
with stems and a timeline for other editors beside it. What one file does wrong does not stop the others.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ... import options
from ...batch import asked as batch_jobs
from ...batch import journal
from ...batch.asked import FileJob
from ...batch.running import DONE, FAILED, ONLY_FAILED, Batch, Entry
from ...shots.listed import Shot
from ...wire.errors import BY_CODE, BadInput, Cancelled, FootfallError, SaveError
from .. import live, orders, pump
from ..shots import batch as shot_batch
from ..shots import export as batch_export
from ..shots import find as shot_find
from ..shots.hands import SessionHands, journal_folder

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

TURN_S = 0.05
PATIENCE_S = 10.0  # how long cancelled jobs may take to say so


def add_parser(verbs: Any) -> None:
    """The words of this command."""
    parser = verbs.add_parser("batch", help="give every shot of the open file, or of several, its sound")
    batch_jobs.add_options(parser)


def run(parsed: argparse.Namespace, console: Any, interrupt: Any) -> dict[str, Any]:
    """Do what was asked; the report, with an exit code of its own. Raises WrongUsage, BadInput."""
    jobs = batch_jobs.file_jobs(parsed, open_file=bool(bpy.data.filepath))
    session = live.get()
    session.models_folder = options.model_choice(parsed.model)[1]
    reports = []
    try:
        for number, job in enumerate(jobs, start=1):
            if interrupt.wanted:
                break
            console.note(f"{number} of {len(jobs)}: {job.blend or bpy.data.filepath}")
            reports.append(_guarded(job, parsed, session, console, interrupt))
    finally:
        live.end()
    report = summary(reports, cancelled=interrupt.wanted)
    if parsed.report is not None:
        batch_export.write_text(parsed.report, json.dumps(report, indent=1))
    return report


def summary(reports: list[dict[str, Any]], *, cancelled: bool) -> dict[str, Any]:
    """One object for all files. ``exit_code``: 0 only when every shot of every file is done."""
    codes = [code for report in reports for code in _codes(report)]
    exits = [BY_CODE.get(code, FootfallError).exit_code for code in codes]
    exit_code = Cancelled.exit_code if cancelled else max(exits, default=0)
    report: dict[str, Any] = {
        "ok": exit_code == 0,
        "exit_code": exit_code,
        "files": [path for one in reports for path in one["files"]],
        "blends": reports,
    }
    if exit_code:
        worst = next((code for code, found in zip(codes, exits, strict=True) if found == exit_code), "")
        shots = sum(len(_codes(one)) for one in reports)
        report["code"] = Cancelled.code if cancelled else worst
        report["error"] = (
            "Cancelled; the same command goes on where it was."
            if cancelled
            else f"{shots} of what was asked for could not be done; the report says why, "
            "and the same command tries it again."
        )
    return report


def _codes(report: dict[str, Any]) -> list[str]:
    own = [report["code"]] if report.get("code") else []
    return own + [shot["code"] for shot in report["shots"] if shot["state"] == FAILED]


def _guarded(
    job: FileJob, parsed: argparse.Namespace, session: Session, console: Any, interrupt: Any
) -> dict[str, Any]:
    """One file's report, whatever goes wrong with it."""
    report: dict[str, Any] = {"file": str(job.blend or bpy.data.filepath), "files": [], "shots": []}
    try:
        _one(job, parsed, session, console, interrupt, report)
    except FootfallError as error:
        console.note(f"footfall: {error.sentence}")
        report |= error.report()
        _give_up(session)
    report.setdefault("ok", all(shot["state"] != FAILED for shot in report["shots"]))
    return report


def _one(
    job: FileJob,
    parsed: argparse.Namespace,
    session: Session,
    console: Any,
    interrupt: Any,
    report: dict[str, Any],
) -> None:
    from . import run as commands

    if job.blend is not None:
        open_file(job.blend)
    source = Path(bpy.data.filepath)
    result = batch_jobs.result_path(source, job.out)
    if result == source:
        raise BadInput(f"The result would overwrite {source}; choose another folder with --out.")
    commands.make_folder(result)
    session.file_saved(str(result))  # the sound belongs beside the file that will play it
    folder = journal_folder(session, result)
    book = journal.Journal(folder / journal.NAME)
    try:
        batch = _batch(job, parsed, session, book, journal.file_key(str(source), folder))
        running = session.batch = shot_batch.Running(batch, book, session.file_id)
        _turn(running, session, console, interrupt)
        report["shots"] = [shot_report(entry) for entry in in_order(batch)]
        if running.trouble:
            raise SaveError(running.trouble)
    finally:
        session.batch = None
        book.close()
    if not interrupt.wanted and any(entry.state == DONE for entry in batch.entries):
        batch_export.export(result, {wish.shot.scene for wish in batch.wishes}, job.playblast, report)
        commands.save_file(str(result), report.pop("sounds"))
        report["blend"] = str(result)
        report["files"].insert(0, str(result))


def _batch(
    job: FileJob, parsed: argparse.Namespace, session: Session, book: journal.Journal, file: str
) -> Batch:
    scene = orders.named_scene(job.scene, bpy.context)
    found = shot_find.find(scene, job.shots)
    strange = job.named - {shot.name for shot in found}
    if strange:
        names = ", ".join(shot.name for shot in found[:20])
        raise BadInput(f"There is no shot {sorted(strange)[0]!r} in this file; it has {names}.")
    shots = [shot for shot in found if shot.name not in job.skip]
    name = os.path.basename(bpy.data.filepath)
    wishes = shot_find.wishes(shots, session.file_id, name, lambda shot: _asked(job, shot))
    return Batch(
        file=file,
        wishes=wishes,
        journal=book,
        hands=SessionHands(session, book),
        clock=session.clock,
        which=parsed.only,
        place_rest=True,
    )


def _asked(job: FileJob, shot: Shot) -> shot_find.Asked:
    wanted = job.asked(shot.name)
    settings = options.request_settings(wanted)
    return shot_find.Asked(
        settings={**settings, "seed": wanted.seed},
        source=wanted.source,
        per_second=wanted.per_second,
        hits=options.hit_source(wanted),
    )


def _turn(running: shot_batch.Running, session: Session, console: Any, interrupt: Any) -> None:
    """Turn the pump until every shot has ended, or until the user's patience has."""
    batch = running.batch
    give_up_at: float | None = None
    if not batch.entries:
        console.note("no shot has failed" if batch.which == ONLY_FAILED else "there is nothing to do")
    while not running.over:
        now = session.clock()
        if interrupt.wanted and not batch.stopped:
            batch.stop()
            give_up_at = now + PATIENCE_S
        if give_up_at is not None and now > give_up_at:
            return
        if pump.step(session) > pump.NEXT_S:
            _wait(session)
        progress = batch.progress()
        console.show(
            f"shot {min(progress.ended + 1, progress.total)} of {progress.total}", progress.fraction, now
        )


def _wait(session: Session) -> None:
    """For the worker's next word, or a moment."""
    if session.client is None:
        time.sleep(TURN_S)
        return
    for event in session.client.wait(TURN_S):
        session.take(event)


def _give_up(session: Session) -> None:
    """Nothing of a file that went wrong may go on beside the next one."""
    for job in session.table.active():
        session.cancel(job.job_id)
    deadline = session.clock() + PATIENCE_S
    while session.table.active() and session.clock() < deadline:
        pump.step(session)
        _wait(session)


def in_order(batch: Batch) -> list[Entry]:
    """The entries as they were found."""
    places = {wish.shot.key: number for number, wish in enumerate(batch.wishes)}
    return sorted(batch.entries, key=lambda entry: places[entry.wish.shot.key])


def shot_report(entry: Entry) -> dict[str, Any]:
    """What the report says of one shot."""
    shot, order = entry.wish.shot, entry.wish.order
    return {
        "name": shot.name,
        "scene": shot.scene,
        "start": shot.span.start,
        "end": shot.span.end,
        "state": entry.state,
        "kept": entry.kept,
        "seed": None if order is None else order.settings.get("seed"),
        "took_s": round(entry.took_s, 3),
        "code": entry.code if entry.state == FAILED else "",
        "error": entry.sentence if entry.state == FAILED else "",
    }


def open_file(path: Path) -> None:
    """Open ``path`` in place of what is open. Raises BadInput."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}; check its name.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
    except RuntimeError as error:
        raise BadInput(
            f"{path} could not be opened; it is damaged, or made by a newer Blender.", str(error)
        ) from error
