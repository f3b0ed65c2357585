# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall farm-capture`` and ``farm-place`` inside Blender: the two ends of a farm job.

Capture draws every shot and writes its request instead of sending it; place takes the results in. Neither
starts a worker.
"""

from __future__ import annotations

import argparse
import os
import uuid
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy

from ... import folders, options
from ...batch import asked as batch_jobs
from ...batch import farm, message_file
from ...batch.asked import FileJob
from ...batch.farm import Farm, FarmShot
from ...batch.running import Wish
from ...jobs import PLACED
from ...shots import listed as shot_list
from ...sounds import delivery, save
from ...sounds.placement import Shot
from ...takes import provenance
from ...wire.errors import BadInput, Cancelled, FootfallError, from_code
from ...wire.messages import FoleyRequest, Result, Submit
from .. import live, orders, pump
from ..orders import Order
from ..session import Session
from ..shots import find as shot_find
from . import batch as batch_command

_NOTHING = shot_find.Asked(settings={"layers": ("bed",), "seed": 0})
WRITTEN = "unchanged"  # how a job ends whose follower wants nothing more


def add_parsers(verbs: Any) -> None:
    """The words of these commands."""
    capture = verbs.add_parser("farm-capture", help="write a request for every shot of the open file")
    capture.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the job's shared folder")
    batch_jobs.add_options(capture)
    place = verbs.add_parser("farm-place", help="put the results of a farm job into the open file")
    place.add_argument("--from", dest="source", type=Path, required=True, metavar="FOLDER")
    options.add_output_options(place)
    place.add_argument(
        "--save-as", type=Path, required=True, metavar="OUT.blend", help="where to save the file"
    )


class _Capturing(Session):
    """A session without a worker."""

    def warm_up(self) -> None:
        """There is nothing to start: requests go into files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """Follows one job (see session.Work) and writes its request in place of sending it."""

    job_id: str
    shot_key: str
    label: str
    path: Path

    def drawn(self, request: FoleyRequest) -> bool:
        """Raises SaveError. False: nothing more is to be done."""
        message_file.write(self.path, Submit(job_id=self.job_id, request=request))
        return False

    def delivered(self, stored: Any) -> None:
        """Never: nothing is sent."""


def capture(parsed: argparse.Namespace, console: Any, interrupt: Any) -> dict[str, Any]:
    """Requests for every shot, then the list. Raises BadInput, SaveError, Cancelled."""
    jobs = batch_jobs.file_jobs(parsed, open_file=True)
    if len(jobs) != 1:
        raise BadInput("A farm job is one file; capture each into a folder of its own.")
    (job,) = jobs
    if job.blend is not None:
        batch_command.open_file(job.blend)
    folder = Path(os.path.abspath(parsed.to))
    live.end()
    session = _Capturing()
    wishes = _wishes(job, session)
    problems = [wish.problem for wish in wishes if wish.problem is not None]
    if problems:
        raise problems[0]
    shots = [_number(wish, number) for number, wish in enumerate(wishes, start=1)]
    made = Farm(folder, os.path.basename(bpy.data.filepath), tuple(shots))
    for wish, shot in zip(wishes, shots, strict=True):
        console.show(f"shot {shot.number} of {len(shots)}: {shot.name}", (shot.number - 1) / len(shots), 0.0)
        _draw(session, wish, made.request_path(shot), shot, interrupt)
    farm.write_list(folder, made.file, shots)
    return {
        "ok": True,
        "files": [str(made.request_path(shot)) for shot in shots],
        "shots": [{"number": shot.number, "name": shot.name} for shot in shots],
    }


def _number(wish: Wish, number: int) -> FarmShot:
    return FarmShot(
        number=number,
        key=wish.shot.key,
        name=wish.shot.name,
        job_id=uuid.uuid4().hex,
        facts=wish.order.facts,
    )


def _wishes(job: FileJob, session: Session) -> list[Wish]:
    scene = orders.named_scene(job.scene, bpy.context)
    shots = [shot for shot in shot_find.find(scene, job.shots) if shot.name not in job.skip]
    name = os.path.basename(bpy.data.filepath)
    return shot_find.wishes(shots, session.file_id, name, lambda shot: batch_command._asked(job, shot))


def _draw(session: Session, wish: Wish, path: Path, shot: FarmShot, interrupt: Any) -> None:
    session.add(wish.order, watch=_Write(job_id=shot.job_id, shot_key=shot.key, label=shot.name, path=path))
    job = session.table.get(shot.job_id)
    assert job is not None
    while job.active:
        if interrupt.wanted:
            session.drop_capture(shot.job_id)
            raise Cancelled
        pump.step(session)
    if job.code != WRITTEN:
        raise from_code(job.code, job.sentence, job.detail)
    session.remove(shot.job_id)


def place(parsed: argparse.Namespace, console: Any, interrupt: Any) -> dict[str, Any]:
    """The results as strips, and the file saved. Shots without a result are told; the others are placed.

    Raises BadInput, SaveError, Cancelled.
    """
    from . import run as commands

    found = farm.read_list(Path(os.path.abspath(parsed.source)))
    commands.make_folder(parsed.save_as)
    session = live.get()
    session.file_saved(os.path.abspath(parsed.save_as))
    report: dict[str, Any] = {"ok": True, "files": [], "shots": [], "missing": []}
    sounds: list[str] = []
    try:
        for shot in found.shots:
            if interrupt.wanted:
                raise Cancelled
            console.show(f"placing {shot.name}", (shot.number - 1) / len(found.shots), 0.0)
            result = found.result(shot)
            if result is None:
                report["missing"].append(shot.number)
                console.note(f"shot {shot.number} ({shot.name}) has no result yet")
                continue
            sounds += _place(session, found.request(shot).request, result, shot)
            report["shots"].append(shot.number)
        commands.save_file(str(parsed.save_as), sounds)
    finally:
        live.end()
    report["files"] = [bpy.data.filepath, *sounds]
    if report["missing"]:
        numbers = ",".join(map(str, report["missing"]))
        report |= {
            "ok": False,
            "exit_code": BadInput.exit_code,
            "code": BadInput.code,
            "error": f"Shots {numbers} have no result yet; run footfall farm generate, then place again.",
        }
    return report


def _place(session: Session, request: FoleyRequest, result: Result, shot: FarmShot) -> list[str]:
    """The WAVs of one shot, whose strips are in the scene then."""
    order = _order(session, shot)
    # The shot may have moved since it was captured; how it was looked at is what it was.
    place = {"scene": order.scene_name, "start": order.span.start, "end": order.span.end}
    facts: dict[str, Any] = {**shot.facts, **place, "shot": shot.key}
    target = save.choose_folder(
        session.paths[session.file_id],
        str(session.output_folder or ""),
        folders.data_folder() / save.FALLBACK,
    )
    stored = delivery.deliver(
        result,
        Shot(start_frame=Fraction(order.span.start), rate=order.rate),
        provenance.asked(request, facts),
        target,
    )
    job_id = session.adopt(order, stored)
    job = session.table.get(job_id)
    assert job is not None
    while job.active or job.state == "done":
        pump.step(session)
    if job.state != PLACED:
        raise from_code(job.code or "error", job.sentence or "The sound could not be placed.", job.detail)
    return [str(strip.path) for strip in stored.strips]


def _order(session: Session, shot: FarmShot) -> Order:
    """Where the shot lies in the file that is open. Raises BadInput when it is no longer there."""
    kind, _, rest = shot.key.partition("/")
    scene = next((one for one in bpy.data.scenes if rest.startswith(f"{one.name}/")), None)
    if scene is not None and kind in shot_list.KINDS:
        for there in shot_find.find(scene, kind):
            if there.key == shot.key:
                (wish,) = shot_find.wishes([there], session.file_id, "", lambda _shot: _NOTHING)
                if wish.problem is not None:
                    raise wish.problem
                order: Order = wish.order
                return order
    raise BadInput(f"The shot “{shot.name}” is not in this file any more; capture it again.")


def run(parsed: argparse.Namespace, console: Any, interrupt: Any) -> dict[str, Any]:
    """Either command."""
    try:
        return (capture if parsed.verb == "farm-capture" else place)(parsed, console, interrupt)
    except FootfallError:
        live.end()
        raise
