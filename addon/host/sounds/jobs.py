# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished jobs get their strips: in their own scene and file, or else on the list "finished, not placed"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...jobs import DONE, NOT_PLACED, PLACED, Job
from ...sounds.save import FOLDER
from ...wire.errors import BadInput, FootfallError, from_code
from .. import texts
from ..session import makes_pictures

if TYPE_CHECKING:
    from ..session import Session


PICTURES_S = 0.010  # of a tick, for adding pictures
HITS_S = 0.010  # and for merging hits
PATIENCE_S = 60.0  # where the user has asked for all at once


def step(session: Session) -> bool:
    """Place a little of one finished job; whether anything has changed."""
    if session.look_for_strips:
        session.look_for_strips = False
        return _look_for_strips(session)
    job = next((job for job in session.table.all() if job.state == DONE), None)
    if job is None:
        return False
    session.touched, session.did = job.job_id, "place"
    try:
        return _place_some(session, job)
    except FootfallError as error:
        session.placing = None
        session.fail(job.job_id, error)
        return True


def blocked() -> str:
    """Why strips must wait, in words; "" when they need not."""
    from .. import handlers
    from . import placing

    return handlers.blocked() or placing.blocked()


def _place_some(session: Session, job: Job) -> bool:
    from . import placing

    stored: Any = job.stored
    if stored is None:
        raise from_code(job.code, job.sentence, job.detail)  # it could not be saved; it waits in memory
    if not session.belongs_here(job):
        raise BadInput("This belongs to another file; open that file, then press Place.")
    if blocked():
        return False
    if _only_looked(session, job):
        return _list_hits(session, job, HITS_S) != ""
    if makes_pictures(job):
        done = _place_pictures(stored, home(session, job), PICTURES_S)
        if done is not None:
            _placed(session, job, done)
        return True
    if session.placing is None or session.placing.stored is not stored:
        session.placing = placing.Placing(stored, home(session, job))
    placed = session.placing.step()
    if placed is None:
        return False
    session.placing = None
    _placed(session, job, placed)
    return True


def home(session: Session, job: Job) -> Any:
    """The scene that a job's sound goes to, as placing.Where."""
    from . import placing

    order = session.works[job.job_id].order
    name, uid = order.home or (order.scene_name, order.scene_uid)
    return placing.Where(scene_name=name, uid=uid if order.file_id == session.file_id else 0)


def place_here(session: Session, job_id: str, scene: Any) -> str:
    """Place a finished job now, into its own scene if that is here, else into ``scene``. What was done, in
    words.

    Raises FootfallError; the sound is kept.
    """
    from .. import sequencer
    from . import placing

    job = session.table.get(job_id)
    if job is None or job.state not in (NOT_PLACED, DONE):
        raise BadInput("This sound is placed already.")
    if job.stored is None:
        session.store_again(job_id)
    why = blocked()
    if why:
        raise BadInput(f"{why}; then press Place again.")
    if _only_looked(session, job):
        return _list_hits(session, job, PATIENCE_S)
    where = home(session, job)
    if not session.belongs_here(job) or sequencer.find_scene(where.scene_name, where.uid) is None:
        where = placing.home(scene)
    stored: Any = job.stored
    placed = (
        _place_pictures(stored, where, PATIENCE_S) if makes_pictures(job) else placing.place(stored, where)
    )
    _placed(session, job, placed)
    return str(placed.sentence)


def _place_pictures(stored: Any, where: Any, budget_s: float) -> Any:
    from ..pictures import place as picture_place

    return picture_place.place(stored, where, budget_s)


def _only_looked(session: Session, job: Job) -> bool:
    return session.works[job.job_id].order.settings.get("layers") == ()


def _list_hits(session: Session, job: Job, budget_s: float) -> str:
    """The hits of a job that only looked for them go into its scene's list, in words; then it has done all
    that it can. "" while there is more to do. Raises BadInput when the scene is gone.
    """
    from .. import sequencer
    from ..hits import finding as hit_finding

    where = home(session, job)
    scene = sequencer.find_scene(where.scene_name, where.uid)
    if scene is None:
        raise BadInput(f"The scene “{where.scene_name}” is gone; find the hits of another one.")
    sentence = hit_finding.keep_found(session, job, scene, budget_s)
    if sentence is None:
        return ""
    session.table.move(job.job_id, PLACED, session.clock())
    session.remove(job.job_id)
    return sentence


def _placed(session: Session, job: Job, placed: Any) -> None:
    session.table.move(job.job_id, PLACED, session.clock())
    job.code = job.sentence = job.detail = ""
    job.result = None  # the sound is on disk
    work = session.works[job.job_id]
    stored: Any = job.stored
    beside = os.path.join(os.path.dirname(session.paths.get(work.order.file_id, "")), FOLDER)
    usual = all(os.path.dirname(strip.path) == beside for strip in stored.strips)
    notes = [*work.notes, "" if usual else stored.sentence, placed.sentence]
    work.notes = [texts.clean(note) for note in dict.fromkeys(notes) if note]


def _gone(stored: Any, where: Any, *, pictures: bool) -> bool:
    from ..pictures import place as picture_place
    from . import placing

    if pictures:
        return picture_place.gone(stored, where)
    return len(placing.missing(stored, where)) == len(stored.sounds)


def _look_for_strips(session: Session) -> bool:
    """After undo or redo: a job whose strips are all gone can be placed again; one that is back is placed."""
    changed = False
    for job in session.table.all():
        if job.state not in (PLACED, NOT_PLACED) or job.stored is None or not session.belongs_here(job):
            continue
        stored: Any = job.stored
        gone = _gone(stored, home(session, job), pictures=makes_pictures(job))
        if gone and job.state == PLACED:
            session.table.move(job.job_id, NOT_PLACED, session.clock())
            job.sentence = "It was taken away; its files are kept."
            changed = True
        elif not gone and job.state == NOT_PLACED:
            session.table.move(job.job_id, PLACED, session.clock())
            job.sentence = ""
            changed = True
    return changed
