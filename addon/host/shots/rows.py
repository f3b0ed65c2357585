# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel "Shots" shows. Draws only; loaded when it is first looked at."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live, orders, sequencer, texts
from ..panel import job_rows
from . import batch as shot_batch
from . import pictures as shot_pictures
from . import properties as shot_properties

ROWS = (3, 8)
THUMBNAIL = 4.0

ICONS = {  # of the states in addon/batch/running.py, and of shots that no batch has begun
    "new": "RADIOBUT_OFF",
    "made": "CHECKMARK",
    "waiting": "TIME",
    "claiming": "TIME",
    "taken": "LOCKED",
    "working": "PLAY",
    "placing": "PLAY",
    "done": "CHECKMARK",
    "unchanged": "CHECKMARK",
    "failed": "ERROR",
    "cancelled": "RADIOBUT_OFF",
}


def draw_row(layout: Any, item: Any) -> None:
    """One shot of the list."""
    shot = shot_properties.shot_of(item)
    state, _sentence = shot_batch.state(live.session(), shot)
    row = layout.row(align=True)
    row.prop(item, "use", text="")
    words = row.row()
    words.active = item.use
    words.alert = state == "failed"
    words.label(text=texts.clean(item.name, 60), icon=ICONS[state])
    side = row.row(align=True)
    side.alignment = "RIGHT"
    side.active = False
    if item.prompt:
        side.label(text="", icon="TEXT")
    side.label(text=_length(shot))


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The whole of the panel."""
    layout.use_property_decorate = False
    scene = orders.panel_scene(context)
    listed = scene.footfall_shots
    row = layout.row(align=True)
    row.prop(listed, "kind", text="")
    row.operator("footfall.shots_find", text="Find", icon="VIEWZOOM")
    if len(listed.entries):
        rows = min(ROWS[1], max(ROWS[0], len(listed.entries)))
        layout.template_list(
            "FOOTFALL_UL_shots", "", listed, "entries", listed, "active", rows=rows, maxrows=ROWS[1]
        )
        if 0 <= listed.active < len(listed.entries):
            _draw_active(layout, context, listed.entries[listed.active])
        _draw_buttons(layout, context, listed)
    layout.operator("footfall.export_sound", icon="EXPORT")


def _draw_active(layout: bpy.types.UILayout, context: bpy.types.Context, entry: Any) -> None:
    """The shot that is chosen: its picture, its words, what is wrong with it."""
    shot = shot_properties.shot_of(entry)
    box = layout.box()
    picture = shot_pictures.icon(shot.key)
    if picture:
        box.template_icon(icon_value=picture, scale=THUMBNAIL)
    row = box.row(align=True)
    label = row.row()
    label.active = False
    label.label(text=f"Frames {shot.span.start}-{shot.span.end}")
    row.operator("footfall.shot_show", text="", icon="ZOOM_SELECTED")
    again = row.operator("footfall.shots_generate", text="", icon="FILE_REFRESH")
    again.which, again.key = "again", shot.key
    box.prop(entry, "prompt", text="", placeholder="Words of this shot's own")
    _, sentence = shot_batch.state(live.session(), shot)
    if sentence:
        _lines(box, sentence, job_rows.characters(context) - 2)


def _draw_buttons(layout: bpy.types.UILayout, context: bpy.types.Context, listed: Any) -> None:
    session = live.session()
    progress = shot_batch.progress(session)
    if progress is not None:
        _draw_progress(layout, progress)
        return
    trouble = "" if session is None or session.batch is None else session.batch.trouble
    if trouble:
        _lines(layout, trouble, job_rows.characters(context))
    _lines(layout, _summary(session, listed), job_rows.characters(context), dim=True)
    row = layout.row()
    row.scale_y = 1.4
    row.operator("footfall.shots_generate", text="Generate Shots", icon="PLAY_SOUND").which = "all"
    row = layout.row(align=True)
    row.operator("footfall.shots_generate", text="Failed Only").which = "failed"
    row.operator("footfall.shots_generate", text="Changed Only").which = "changed"


def _draw_progress(layout: bpy.types.UILayout, progress: Any) -> None:
    row = layout.row(align=True)
    left = "" if progress.left_s is None else texts.time_left(progress.left_s)
    words = f"Shot {min(progress.ended + 1, progress.total)} of {progress.total}"
    row.progress(factor=progress.fraction, text="  ".join(part for part in (words, left) if part))
    row.operator("footfall.shots_cancel", text="", icon="X")


def _summary(session: Any, listed: Any) -> str:
    """How many there are, how many are made, and how long the rest will take."""
    wanted = [shot_properties.shot_of(entry) for entry in listed.entries if entry.use]
    states = [shot_batch.state(session, shot)[0] for shot in wanted]
    parts = [texts.count(len(wanted), "shot")]
    made, failed = states.count("made"), states.count("failed")
    parts += [f"{made} made"] * bool(made) + [f"{failed} failed"] * bool(failed)
    pace = shot_batch.refresh().pace
    missing = [shot for shot, state in zip(wanted, states, strict=True) if state != "made"]
    rest_s = pace * sum(float(_seconds(shot)) for shot in missing)
    if rest_s:
        parts.append(f"about {texts.seconds(rest_s)} to make")
    return ", ".join(part.replace(" ", texts.UNBROKEN) for part in parts)


def _lines(layout: bpy.types.UILayout, text: str, width: int, *, dim: bool = False) -> None:
    column = layout.column(align=True)
    column.active = not dim
    column.scale_y = 0.85
    for line in texts.wrap(text, width):
        column.label(text=line)


def _seconds(shot: Any) -> float:
    scene = bpy.data.scenes.get(shot.scene)
    return 0.0 if scene is None else float(shot.span.duration_s(sequencer.scene_rate(scene)))


def _length(shot: Any) -> str:
    return texts.seconds(_seconds(shot))
