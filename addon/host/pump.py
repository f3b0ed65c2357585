# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's heartbeat: a timer on Blender's main thread, which never waits and never raises.

Each tick draws at most one picture, takes in what the client has reported for at most BUDGET_S, and gives
at most
one finished job its strips. Timers do not run in background; there, commands/ calls ``step`` in a loop.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque

import bpy

from ..jobs import DONE
from ..wire.errors import FootfallError
from . import handlers, live
from .capture import jobs as capturing
from .hits import finding as hit_finding
from .session import Session, makes_pictures
from .sounds import jobs as placing_jobs
from .worker import setup as setup_worker

log = logging.getLogger(__name__)

NEXT_S = 0.01  # between two pictures, or two strips, so that the interface stays alive
ACTIVE_S = 0.05
IDLE_S = 1.0
IDLE_AFTER_S = 5.0
BUDGET_S = 0.005
SLOW_S = 0.05
CAPTURING_WORDS = "Footfall is taking pictures   Esc: Cancel"

AREAS = {"VIEW_3D", "SEQUENCE_EDITOR", "PREFERENCES"}

# (what it was about, seconds) of the last ticks: look, begin, picture, send, place. For reports and tests.
times: deque[tuple[str, float]] = deque(maxlen=4096)


def start() -> None:
    """Begin to beat, unless it does; in background nothing would."""
    if not bpy.app.background and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=NEXT_S, persistent=True)


def wake() -> None:
    """Beat at once: something was asked for."""
    stop()
    start()


def stop() -> None:
    """Stop beating."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def tick() -> float | None:
    """Called by Blender; seconds until the next call, None to end."""
    session = live.session()
    if session is None:
        return None
    began = time.perf_counter()
    try:
        pause = step(session)
    except Exception:  # the host's root: whatever happens, Blender goes on
        log.exception("A tick of Footfall failed")
        pause = ACTIVE_S if _blame(session, traceback.format_exc()) else IDLE_S
    took = time.perf_counter() - began
    times.append((session.did, took))
    if took > SLOW_S and session.did != "picture":
        log.warning("a tick (%s) took %.0f ms", session.did, took * 1000)
    return pause


def step(session: Session) -> float:
    """Do a little of what is to be done; seconds after which to come again."""
    began = time.perf_counter()
    session.touched, session.did = "", "look"
    changed = setup_worker.poll()
    if not handlers.blocked():
        if session.preview is not None:
            changed |= session.preview.step(session)
        changed |= hit_finding.step(session)
        changed |= _picture(session)
        if not hit_finding.drawing():
            changed |= capturing.step(session)
    changed |= _take_in(session, began)
    changed |= _turn_batch(session)  # before strips are placed: it makes room for them
    # A tick that did nothing else places something, however slow the machine: or it might never come to it.
    free = session.did == "look" or time.perf_counter() - began < BUDGET_S
    if free and not handlers.blocked() and not _elsewhere(session):
        changed |= placing_jobs.step(session)
    _tell(session)
    if changed:
        session.last_event = session.clock()
        redraw()
    return _pause(session)


def _picture(session: Session) -> bool:
    if not any(map(makes_pictures, session.table.active())):
        return False
    from .pictures import jobs as picture_jobs

    before = session.did
    changed = picture_jobs.step(session)
    if not changed:
        session.did = before
    return changed


def _turn_batch(session: Session) -> bool:
    if session.batch is None:
        return False
    from .shots import batch as shot_batch

    before, session.did = session.did, "batch"
    changed = shot_batch.step(session)
    session.did = before
    return changed


def _elsewhere(session: Session) -> bool:
    """Whether a scene shows another frame than the user's just now."""
    preview = session.preview is not None and session.preview.drawing
    return session.capture is not None or hit_finding.drawing() or preview


def _take_in(session: Session, began: float) -> bool:
    """What the client has reported: one event even in a tick that drew, more while there is time."""
    changed = False
    while session.client is not None and (events := session.client.drain(1)):
        session.take(events[0])
        changed = True
        if time.perf_counter() - began > BUDGET_S:
            break
    return changed


def _pause(session: Session) -> float:
    jobs = session.table.all()
    placing = any(job.state == DONE for job in jobs) and not placing_jobs.blocked()
    if _elsewhere(session) or placing:
        return NEXT_S
    busy = (
        hit_finding.running() is not None
        or any(job.active or job.state == DONE for job in jobs)
        or setup_worker.running()
        or session.preview is not None
    )
    if busy or session.clock() - session.last_event < IDLE_AFTER_S:
        return ACTIVE_S
    return IDLE_S


def _blame(session: Session, detail: str) -> bool:
    """What broke becomes one job's failure, in words, rather than a stuck list; whether there was a job."""
    error = FootfallError("Something went wrong inside Footfall; copy the details and report them.", detail)
    running = session.capture.job_id if session.capture is not None else ""
    job_id = session.touched or running
    if job_id:
        session.fail(job_id, error)
    session.capture = session.placing = None
    if session.did == "batch":  # or it would break again at each tick; the journal knows where it was
        session.batch = None
    redraw()
    return bool(job_id)


def _tell(session: Session) -> None:
    """What the status bar says while pictures are taken, or hits are looked for."""
    text = CAPTURING_WORDS if session.capture is not None else None
    if hit_finding.running() is not None:
        text = hit_finding.WORDS
    if text != session.status_text:
        session.status_text = text
        say(text)


def say(text: str | None) -> None:
    """Put ``text`` into the status bars; None gives them back to Blender."""
    if bpy.app.background:
        return  # the windows of a file are there without being open; writing on them crashes 5.2
    for window in bpy.context.window_manager.windows:
        window.workspace.status_text_set(text)


def redraw() -> None:
    """Have our panels drawn again: the sidebars only, not the views beside them."""
    if bpy.app.background:
        return
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in AREAS:
                for region in area.regions:
                    if region.type == "UI" or area.type == "PREFERENCES":
                        region.tag_redraw()
