# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits in the Footfall tab, and how bed and spots go together. Draws only."""

from __future__ import annotations

from typing import Any

import bpy

from ...wire.errors import FootfallError
from .. import live, texts
from ..panel import job_rows
from . import store

ROWS = 6
CLOSED = True  # until the user opens it
LOOKS = {
    "scene": "Generate looks for hits in the scene's motion and its markers.",
    "markers": "Generate takes the markers of the timeline, as: hit wooden box.",
    "pixels": "Generate looks for hits in the pictures.",
    "list": "Without a hit in the list, nothing is heard but the bed.",
}


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, chosen: Any) -> None:
    """The part of the panel that is about hits."""
    scene = chosen.id_data
    header, body = layout.panel("footfall_hits", default_closed=CLOSED)
    header.label(text="Hits")
    sound, all_of_them = count(scene, chosen)
    if all_of_them:
        side = header.row()
        side.alignment = "RIGHT"
        side.active = False
        side.label(text=f"{sound} of {all_of_them}")
    if body is None:
        return
    width = job_rows.characters(context)
    _draw_search(body, scene, chosen, width)
    _draw_list(body, scene)
    entry = store.active(scene)
    if entry is not None:
        _draw_one(body, entry)
    _draw_threshold(body, scene, chosen, width)


def count(scene: Any, chosen: Any) -> tuple[int, int]:
    """(hits that will sound, hits of the list) in the shot of the panel; all where that has no frames."""
    if not len(scene.footfall_hits.entries):
        return 0, 0
    picture, span = store.picture(scene), _span(scene, chosen)
    sounding = picture.sounding(chosen.least_strength)
    if span is None:
        return int(sounding.sum()), len(sounding)
    inside = (picture.times >= span.start) & (picture.times < span.end + 1)
    return int((sounding & inside).sum()), int(inside.sum())


def _span(scene: Any, chosen: Any) -> Any | None:
    from .. import orders

    try:
        return orders.frame_range(scene, chosen.range)
    except FootfallError:
        return None  # said further up in the panel


def _draw_search(layout: bpy.types.UILayout, scene: Any, chosen: Any, width: int) -> None:
    """Where hits are looked for, and the search: its button, or how far it is."""
    from . import finding as hit_finding

    layout.prop(chosen, "events")
    column = layout.column(heading="Also")
    column.active = chosen.events == "scene"
    column.prop(chosen, "off_screen")
    column.prop(chosen, "hidden")
    search = hit_finding.running()
    if search is None:
        layout.operator("footfall.hits_find", icon="VIEWZOOM")
    else:
        _draw_progress(layout, search)
    told, failed = hit_finding.told(scene)
    if told and search is None:
        job_rows.lines(layout, told, width, dim=not failed)


def _draw_progress(layout: bpy.types.UILayout, search: Any) -> None:
    session = live.session()
    left_s = search.left.value(session.clock()) if session is not None else None
    left = texts.time_left(-1.0 if left_s is None else left_s)
    row = layout.row(align=True)
    row.progress(factor=min(max(search.progress, 0.0), 1.0), text=left or "Finding hits")
    row.operator("footfall.hits_stop", text="", icon="X")


def _draw_list(layout: bpy.types.UILayout, scene: Any) -> None:
    group = scene.footfall_hits
    row = layout.row()
    rows = ROWS if len(group.entries) else 3
    row.template_list("FOOTFALL_UL_hits", "", group, "entries", group, "active", rows=rows)
    side = row.column(align=True)
    side.operator("footfall.hit_add", text="", icon="ADD")
    side.operator("footfall.hit_delete", text="", icon="REMOVE")
    side.separator(factor=0.5)
    side.menu("FOOTFALL_MT_hits", text="", icon="DOWNARROW_HLT")
    if len(group.entries):
        side.separator(factor=0.5)
        side.operator("footfall.hit_jump", text="", icon="PREV_KEYFRAME").to = "previous"
        side.operator("footfall.hit_jump", text="", icon="NEXT_KEYFRAME").to = "next"


def _draw_one(layout: bpy.types.UILayout, entry: Any) -> None:
    """The selected hit."""
    box = layout.box().column()
    row = box.row(align=True)
    row.prop(entry, "kind")
    if entry.found:
        button = row.row(align=True)
        button.enabled = store.read_one(entry).touched
        button.operator("footfall.hit_reset", text="", icon="LOOP_BACK")
    box.prop(entry, "words", placeholder="As the picture says")
    row = box.row(align=True)
    row.prop(entry, "frame")
    row.operator("footfall.hit_jump", text="", icon="TIME").to = "active"
    row = box.row(align=True)
    row.prop(entry, "subframe", text="Subframe", slider=True)
    row = box.row(align=True)
    for frames, text in ((-1.0, "-1"), (-0.1, "-0.1")):
        row.operator("footfall.hit_move", text=text).frames = frames
    row.operator("footfall.hit_move", text="", icon="TRIA_DOWN_BAR").to_playhead = True
    for frames, text in ((0.1, "+0.1"), (1.0, "+1")):
        row.operator("footfall.hit_move", text=text).frames = frames
    column = box.column(align=True)
    column.prop(entry, "strength", slider=True)
    column.prop(entry, "pan", slider=True)
    column.prop(entry, "distance_m")


def _draw_threshold(layout: bpy.types.UILayout, scene: Any, chosen: Any, width: int) -> None:
    layout.prop(chosen, "least_strength", slider=True)
    sound, all_of_them = count(scene, chosen)
    if all_of_them:
        words = f"{sound} of {texts.count(all_of_them, 'hit')} will sound."
        if not (chosen.spots or chosen.in_sync):
            words = "Switch on Spots to hear the hits."
    else:
        words = LOOKS[chosen.events]
    job_rows.lines(layout, words, width, dim=True)
    layout.prop(scene.footfall_hits, "show")


def draw_layers(layout: bpy.types.UILayout, chosen: Any) -> None:
    """Bed and spots, and how they go together."""
    row = layout.row(heading="Layers", align=True)
    row.prop(chosen, "bed", toggle=True)
    row.prop(chosen, "spots", toggle=True)
    row = layout.row()
    row.active = chosen.spots
    row.prop(chosen, "spots_as")
    row = layout.row()
    row.active = chosen.spots and chosen.spots_as == "each"
    row.prop(chosen, "metas")
    column = layout.column(heading="Bed")
    column.active = chosen.bed
    row = column.row()
    row.active = chosen.spots
    row.prop(chosen, "duck_db")
    column.prop(chosen, "in_sync", text="In Sync")
    column.prop(chosen, "hard_cuts")
    column.prop(chosen, "loop", text="Loop")
