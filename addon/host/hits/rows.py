# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the list of hits, and its menu."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty

from .. import texts
from . import store

ICONS = {
    "hit": "OUTLINER_OB_FORCE_FIELD",
    "step": "MOD_DYNAMICPAINT",
    "slide": "TRACKING_FORWARDS",
    "whoosh": "FORCE_WIND",
    "splash": "MOD_FLUIDSIM",
    "flash": "LIGHT_SUN",
    "other": "SOUND",
}


class _Sorted:
    """The last order and filter of the list, until something changes."""

    key: tuple[object, ...] = ()
    flags: list[int] = []
    order: list[int] = []


class FOOTFALL_UL_hits(bpy.types.UIList):
    """Hits in order of time: on or off, kind, frame, words, strength."""

    sounding: BoolProperty(  # type: ignore[valid-type]
        name="Only Those That Sound", description="Leave out what is switched off or below the threshold"
    )

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flag: int = 0,
    ) -> None:
        draw_row(layout, item)

    def draw_filter(self, _context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        row = layout.row(align=True)
        row.prop(self, "filter_name", text="", icon="VIEWZOOM")
        row.prop(self, "use_filter_invert", text="", icon="ARROW_LEFTRIGHT")
        row.prop(self, "sounding", text="", icon="PLAY_SOUND")

    def filter_items(
        self, _context: bpy.types.Context, data: Any, _property: str
    ) -> tuple[list[int], list[int]]:
        wanted = (self.filter_name.lower(), self.use_filter_invert, self.sounding)
        return arrange(data, *wanted, shown=self.bitflag_filter_item)


def arrange(
    group: Any, words: str, inverted: bool, sounding: bool, *, shown: int
) -> tuple[list[int], list[int]]:
    """(flag of each entry, its place in the list): by time; ``words`` and ``sounding`` leave some out."""
    scene = group.id_data
    picture, least = store.picture(scene), scene.footfall.least_strength
    key = (store.revision(), scene.session_uid, len(picture.on), words, inverted, sounding, least)
    if key != _Sorted.key:
        places = [0] * len(picture.order)
        for place, number in enumerate(picture.order.tolist()):
            places[number] = place
        fits = picture.sounding(least).tolist() if sounding else [True] * len(places)
        if words:
            for number, entry in enumerate(group.entries):
                there = words in entry.words.lower() or words in entry.kind.lower()
                fits[number] = fits[number] and there != inverted
        _Sorted.key, _Sorted.order = key, places
        _Sorted.flags = [shown if fit else 0 for fit in fits]
    return _Sorted.flags, _Sorted.order


def draw_row(layout: bpy.types.UILayout, hit: Any) -> None:
    """One line of the list."""
    from ...hits.listed import family

    row = layout.row(align=True)
    row.prop(hit, "on", text="", emboss=False, icon="CHECKBOX_HLT" if hit.on else "CHECKBOX_DEHLT")
    row = row.row(align=True)
    row.active = hit.on and hit.strength >= hit.id_data.footfall.least_strength
    row.label(text="", icon=ICONS[family(hit.kind)])
    time = row.row(align=True)
    time.ui_units_x = 2.2
    time.label(text=place(hit))
    row.prop(hit, "words", text="", emboss=False, placeholder=texts.clean(hit.kind, 30) or "hit")
    bar = row.row(align=True)
    bar.ui_units_x = 1.0  # the words want the room
    bar.progress(factor=min(max(hit.strength, 0.0), 1.0), text="")


def place(hit: Any) -> str:
    """Where it lies, to a tenth of a frame: "123", or "123.4" between two."""
    tenths = round(hit.millionths / 100_000)
    if tenths == 10:
        return str(hit.frame + 1)
    return f"{hit.frame}.{tenths}" if tenths else str(hit.frame)


class FOOTFALL_MT_hits(bpy.types.Menu):
    bl_label = "Hits"
    bl_description = "Switch all hits, or read, write and clear the list"

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        for which, text in (("on", "All On"), ("off", "All Off"), ("invert", "Invert")):
            layout.operator("footfall.hit_toggle", text=text).which = which
        layout.separator()
        layout.operator("footfall.hits_import", icon="IMPORT")
        layout.operator("footfall.hits_export", icon="EXPORT")
        layout.separator()
        layout.operator("footfall.hits_clear", icon="TRASH")


CLASSES = (FOOTFALL_UL_hits, FOOTFALL_MT_hits)
