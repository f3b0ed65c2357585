# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Footfall tab shows. Draws only: it changes nothing and waits for nothing."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live, orders, texts
from ..hits import panel as hit_panel
from ..settings import current
from ..sounds import live_row
from ..worker import bundles
from ..worker import line as worker_line
from ..worker import setup as setup_worker
from . import job_rows
from . import ready as shots


def draw_shot(layout: bpy.types.UILayout, context: bpy.types.Context, chosen: Any) -> None:
    """Where the picture comes from, which frames, and what that amounts to."""
    column = layout.column()
    column.prop(chosen, "source")
    column.prop(chosen, "range")
    seen = shots.look(context)
    lines = layout.column(align=True)
    lines.scale_y = 0.85
    lines.active = not seen.fits
    width = job_rows.characters(context) - (0 if seen.fits else job_rows.ICON)
    for number, line in enumerate(texts.wrap(seen.sentence, width)):
        lines.label(text=line, icon="NONE" if seen.fits else "BLANK1" if number else "ERROR")


def draw_sound(layout: bpy.types.UILayout, chosen: Any) -> None:
    """The words, how far they pull, and how many versions."""
    column = layout.column()
    alone = chosen.source == "words"
    row = column.row()
    row.active = chosen.spots or chosen.in_sync or not chosen.behind()  # which takes the bed over
    row.prop(chosen, "prompt", placeholder="What is to be heard" if alone else "The picture decides")
    if chosen.bed and (chosen.spots or chosen.behind()):  # without spots one field for words is enough
        column.prop(chosen, "background", placeholder="As Sounds Like" if alone else "The picture decides")
    column.prop(chosen, "negative_prompt", placeholder="music, speech")
    row = column.row()
    row.active = bool(chosen.prompt or chosen.negative_prompt) and not alone
    row.prop(chosen, "nudge", slider=True)
    layout.separator(factor=0.5)
    column = layout.column(align=True)
    column.prop(chosen, "takes")
    row = column.row(align=True)
    seed = row.row(align=True)
    seed.active = not chosen.random_seed
    seed.prop(chosen, "seed")
    row.prop(chosen, "random_seed", text="", icon="FILE_REFRESH")
    layout.prop(chosen, "quality")
    live_row.draw(layout)


def draw_advanced(layout: bpy.types.UILayout, chosen: Any, width: int) -> None:
    """Model, mapper, layers: what most people never touch."""
    header, body = layout.panel("footfall_advanced", default_closed=True)
    header.label(text="Advanced")
    if body is None:
        return
    hit_panel.draw_layers(body, chosen)
    body.prop(chosen, "bundle")
    note = bundles.find(chosen.bundle_name).note
    if note:
        job_rows.lines(body, f"Licence: {note}", width, dim=True)
    if chosen.source == "words":
        body.prop(chosen, "words_through")
    body.prop(chosen, "mapper")
    row = body.row()
    row.active = chosen.source != "words"
    row.prop(chosen, "per_second", text="Pictures / s")  # the whole name has no room


def draw_main(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The whole of the first panel."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    chosen = orders.panel_scene(context).footfall
    width, settings = job_rows.characters(context), current()
    bundles.look_into(settings.models_folder)
    setup_worker.draw(layout, settings, width)
    if setup_worker.ready(settings):
        worker_line.draw(layout, width, live.session(), chosen.bundle_name)
    draw_shot(layout, context, chosen)
    layout.separator(factor=0.5)
    draw_sound(layout, chosen)
    hit_panel.draw(layout, context, chosen)
    draw_advanced(layout, chosen, width)
    row = layout.row()
    row.scale_y = 1.8
    row.operator("footfall.generate", icon="PLAY_SOUND")


def draw_jobs(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The whole of the second panel."""
    session = live.session()
    if session is not None:
        job_rows.draw(layout, job_rows.characters(context), session)
