# SPDX-License-Identifier: GPL-3.0-or-later
"""The job list: phase, progress, time left; errors in plain words with what to do next; what the last one
heard.
"""

from __future__ import annotations

from typing import Any

import bpy

from ...jobs import CANCELLED, CAPTURING, DONE, FAILED, NOT_PLACED, PLACED, QUEUED, RUNNING, Job
from .. import handlers, texts
from ..session import Session, makes_pictures
from ..sounds import jobs as placing_jobs

SHOWN = 6  # ended jobs; older ones are forgotten soon
HEARD = 4
ICON = 3  # characters that an icon before a line takes


def characters(context: bpy.types.Context) -> int:
    """How many characters fit on a line of this sidebar, about."""
    scale = context.preferences.system.ui_scale or 1.0
    return max(18, int(context.region.width / (6.7 * scale)) - 6)


def draw(layout: bpy.types.UILayout, width: int, session: Session) -> None:
    """Active jobs first, in the order in which they will be done; then ended ones, newest first."""
    jobs = session.table.all()
    active = [job for job in jobs if job.active or job.state == DONE]
    ended = [job for job in reversed(jobs) if job not in active]
    for job in active:
        _draw_active(layout, job, session)
    if active and ended:
        layout.separator(factor=0.5)
    newest = next((job for job in ended if job.state == PLACED), None)
    for job in ended[:SHOWN]:
        _draw_ended(layout, job, session, width, newest=job is newest)


def _draw_active(layout: bpy.types.UILayout, job: Job, session: Session) -> None:
    column = layout.column(align=True)
    row = column.row(align=True)
    row.label(text=texts.clean(job.label, 60))
    left = texts.time_left(_left(job, session))
    if left:
        side = row.row()
        side.alignment = "RIGHT"
        side.active = False
        side.label(text=left)
    row = column.row(align=True)
    row.progress(factor=_fraction(job), text=words(job))
    button = row.operator("footfall.cancel", text="", icon="X")
    button.job_id = job.job_id


def _left(job: Job, session: Session) -> float:
    left_s = job.left_s(session.clock())
    return -1.0 if left_s is None else left_s


def _fraction(job: Job) -> float:
    return 0.0 if job.state == QUEUED else min(1.0, max(0.0, job.fraction))


def words(job: Job) -> str:
    """Phase in words, and how far."""
    pictures = makes_pictures(job)
    if job.state == RUNNING and job.phase:
        phases = texts.PICTURE_PHASES if pictures else texts.PHASES
        return f"{phases.get(job.phase, texts.STATES[RUNNING])}  {job.fraction:.0%}"
    if job.state == CAPTURING:
        return f"{'Reading the sound' if pictures else texts.STATES[CAPTURING]}  {job.fraction:.0%}"
    if job.state == QUEUED:
        return handlers.blocked() or texts.STATES[QUEUED]
    if job.state == DONE:
        return placing_jobs.blocked() or texts.STATES[DONE]
    return texts.STATES[job.state]


def _draw_ended(layout: bpy.types.UILayout, job: Job, session: Session, width: int, *, newest: bool) -> None:
    if job.state == FAILED:
        _draw_failed(layout, job, width)
    elif job.state == NOT_PLACED:
        _draw_not_placed(layout, job, width)
    elif job.state == PLACED:
        _draw_placed(layout, job, session, width, newest=newest)
    elif job.state == CANCELLED:
        row = layout.row(align=True)
        words = row.row()
        words.active = False
        words.label(text=f"Cancelled: {texts.clean(job.label, 40)}", icon="CANCEL")
        _button(row, "footfall.retry", job, icon="FILE_REFRESH")
        _button(row, "footfall.remove", job, icon="X")


def _draw_failed(layout: bpy.types.UILayout, job: Job, width: int) -> None:
    box = layout.box()
    row = box.row(align=True)
    words = row.row()
    words.alert = True
    words.label(text=texts.clean(job.label, 40), icon="ERROR")
    _button(row, "footfall.remove", job, icon="X")
    lines(box, job.sentence or "Something went wrong.", width - 2)
    advice = texts.next_step(job.code)
    if advice:
        lines(box, advice, width - 2, dim=True)
    row = box.row(align=True)
    _button(row, "footfall.retry", job, text="Try Again", icon="FILE_REFRESH")
    _button(row, "footfall.copy_details", job, text="Copy Details", icon="COPYDOWN")


def _draw_not_placed(layout: bpy.types.UILayout, job: Job, width: int) -> None:
    box = layout.box()
    row = box.row(align=True)
    row.label(text=f"Finished, not placed: {texts.clean(job.label, 40)}", icon="IMPORT")
    _button(row, "footfall.remove", job, icon="X")
    if job.sentence:
        lines(box, job.sentence, width - 2, dim=True)
    row = box.row(align=True)
    _button(row, "footfall.place", job, text="Place", icon="ADD")
    if job.detail:
        _button(row, "footfall.copy_details", job, text="Copy Details", icon="COPYDOWN")


def _draw_placed(layout: bpy.types.UILayout, job: Job, session: Session, width: int, *, newest: bool) -> None:
    work = session.works.get(job.job_id)
    row = layout.row(align=True)
    facts = [texts.clean(job.label, 40)]
    if work is not None:
        facts.append(texts.seconds(work.took_s))
    row.label(text="  ·  ".join(facts), icon="CHECKMARK")
    _button(row, "footfall.remove", job, icon="X")
    if work is None or not newest:
        return
    for note in work.notes:  # first: they may say that something is missing
        lines(layout, note, width, dim=True)
    if work.heard:
        words = ", ".join(texts.clean(heard.words, 40) for heard in work.heard[:HEARD])
        lines(layout, f"Heard: {words}", width, dim=True)


def lines(layout: bpy.types.UILayout, text: str, width: int, *, dim: bool = False) -> None:
    """A sentence as labels, broken where the sidebar ends."""
    column = layout.column(align=True)
    column.active = not dim
    column.scale_y = 0.85
    for line in texts.wrap(text, width):
        column.label(text=line)


def _button(row: bpy.types.UILayout, name: str, job: Job, **look: Any) -> None:
    look.setdefault("text", "")
    row.operator(name, **look).job_id = job.job_id
