# SPDX-License-Identifier: GPL-3.0-or-later
"""The line at the top of the tab: how the worker is, on what it computes, with which model."""

from __future__ import annotations

import bpy

from ...worker.reports import BUSY, FAILED, LOADING, OFF, READY, RESTARTING, STARTING
from .. import texts
from ..panel.job_rows import ICON
from ..session import Session
from . import bundles

_BESIDE = 3  # characters: the dot between, and a part of the menu
# state -> (words, icon)
STATES = {
    OFF: ("Starts when needed", "RADIOBUT_OFF"),
    STARTING: ("Starting", "SORTTIME"),
    LOADING: ("Loading the model", "SORTTIME"),
    READY: ("Ready", "CHECKMARK"),
    BUSY: ("Working", "PLAY"),
    RESTARTING: ("Starting again", "SORTTIME"),
    FAILED: ("Worker has stopped", "ERROR"),
}


def draw(layout: bpy.types.UILayout, width: int, session: Session | None, bundle: str) -> None:
    """``width``: characters that fit on a line; ``bundle``: the one that the scene has chosen."""
    state = session.status.state if session is not None else OFF
    words, icon = STATES.get(state, STATES[OFF])
    if session is not None and state == LOADING:
        words += _percent(session)
    facts = " · ".join(_facts(session, bundle))
    beside = len(words) + len(facts) + _BESIDE <= width
    row = layout.row(align=True)
    row.label(text=" · ".join(part for part in (words, facts if beside else "") if part), icon=icon)
    row.menu("FOOTFALL_MT_worker", text="", icon="DOWNARROW_HLT")
    if facts and not beside:
        layout.label(text=facts, icon="BLANK1")
    chosen = bundles.find(bundle)
    if not chosen.commercial and chosen.note:
        column = layout.column(align=True)
        for number, line in enumerate(texts.wrap(chosen.note, width - ICON)):
            column.label(text=line, icon="BLANK1" if number else "INFO")
    if session is not None and session.status.sentence and state != OFF:  # why it ended, its job has said
        _draw_sentence(layout, session.status.sentence, width, failed=state == FAILED)


def _percent(session: Session) -> str:
    for job in session.table.active():
        if job.phase == "loading":
            return f" {job.fraction:.0%}"
    return ""


def _facts(session: Session | None, bundle: str) -> list[str]:
    device = texts.clean(session.status.device, 30) if session is not None else ""
    return [part for part in (device, bundles.find(bundle).title) if part]


def _draw_sentence(layout: bpy.types.UILayout, sentence: str, width: int, *, failed: bool) -> None:
    column = layout.column(align=True)
    column.alert = failed
    for line in texts.wrap(sentence, width - ICON):
        column.label(text=line, icon="BLANK1")
    if failed:
        row = layout.row(align=True)
        row.operator("footfall.restart_worker", icon="FILE_REFRESH")
        row.operator("footfall.show_log", icon="TEXT")
