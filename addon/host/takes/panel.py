# SPDX-License-Identifier: GPL-3.0-or-later
"""The Takes panel below the Footfall tab of the Sequencer, for the active strip. Draws only."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import bpy

from .. import texts
from ..panel.tab import CATEGORY

if TYPE_CHECKING:
    from ...takes.history import Take, Takes


class FOOTFALL_PT_takes(bpy.types.Panel):
    bl_label = "Takes"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        from . import operators as take_operators

        return take_operators.active(context) is not None

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        from . import operators as take_operators
        from . import strips as take_strips

        strip = take_operators.active(context)
        if strip is not None:
            locked = take_strips.is_locked(strip)
            icon = "LOCKED" if locked else "UNLOCKED"
            self.layout.operator("footfall.take_lock", text="", icon=icon, emboss=False, depress=locked)

    def draw(self, context: bpy.types.Context) -> None:
        from . import operators as take_operators
        from . import strips as take_strips

        strip = take_operators.active(context)
        takes = take_strips.takes_of(strip) if strip is not None else None
        if strip is None or takes is None:
            self.layout.label(text="This strip does not tell how it was made.", icon="INFO")
            return
        draw_takes(self.layout, context, strip, takes)


def draw_takes(layout: bpy.types.UILayout, context: bpy.types.Context, strip: Any, takes: Takes) -> None:
    """Stepping, and what makes new takes."""
    from .. import live
    from ..panel import job_rows
    from . import collect as take_collect
    from . import gather as take_gather
    from . import operators as take_operators
    from . import strips as take_strips
    from . import update_changed

    number, count = takes.place
    take = takes.playing
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator("footfall.take_step", text="", icon="TRIA_LEFT").by = -1
    words = f"Take {number} of {count}" if number else f"A deleted take, of {count}"
    strips = len(take_operators.chosen(context))
    if strips > 1:
        words += f"  ·  {strips} strips"
    row.operator("footfall.take_compare", text=words)
    row.operator("footfall.take_step", text="", icon="TRIA_RIGHT").by = 1
    row.separator()
    starred = take is not None and take.starred
    row.operator("footfall.take_star", text="", icon="SOLO_ON" if starred else "SOLO_OFF", depress=starred)
    row.operator("footfall.take_delete", text="", icon="TRASH")
    if take_strips.is_locked(strip):
        side = layout.row()
        side.active = False
        side.label(text="Locked: its sound stays as it is", icon="LOCKED")
    if take_gather.siblings(take_operators.scene_of(context), strip):
        layout.operator("footfall.take_gather", text="Gather Takes from Muted Channels", icon="IMPORT")
    if take_collect.is_outside(strip):
        layout.operator("footfall.take_collect", icon="FILE_PARENT")
    column = layout.column(align=True)
    column.enabled = not take_strips.is_locked(strip)
    row = column.row(align=True)
    row.operator("footfall.take_again", icon="FILE_REFRESH")
    row.operator("footfall.take_nudge", text="Nudge…", icon="GREASEPENCIL")
    row = column.row(align=True)
    row.operator("footfall.take_more", icon="MOD_NOISE")
    row.prop(context.window_manager.footfall_desk, "vary", text="", slider=True)
    row = layout.row(align=True)
    row.operator("footfall.settings_copy", text="Copy", icon="COPYDOWN")
    row.operator("footfall.settings_paste", text="Paste", icon="PASTEDOWN")
    row.operator("footfall.settings_to_panel", text="To Panel", icon="TRIA_DOWN_BAR")
    layout.operator("footfall.update_changed", icon="FILE_REFRESH")
    for sentence in update_changed.words(live.session()):
        for part in texts.wrap(sentence, job_rows.characters(context)) if sentence else ():
            side = layout.row()
            side.active = False
            side.label(text=part)


class FOOTFALL_PT_take_history(bpy.types.Panel):
    bl_label = "History"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_parent_id = "FOOTFALL_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1  # below what it hears

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        self.layout.operator("footfall.take_purge", text="", icon="TRASH", emboss=False)

    def draw(self, context: bpy.types.Context) -> None:
        from . import operators as take_operators
        from . import strips as take_strips

        strip = take_operators.active(context)
        takes = take_strips.takes_of(strip) if strip is not None else None
        if takes is not None:
            draw_history(self.layout, takes)


def draw_history(layout: bpy.types.UILayout, takes: Takes) -> None:
    """The tree, newest first: number, time, words, seed, model; and what can be done with each."""
    numbers = {take.id: str(number) for number, take in enumerate(takes.playable, 1)}
    column = layout.column(align=True)
    for depth, take in takes.rows():
        row = column.row(align=True)
        if depth:
            row.separator(factor=1.5 * min(depth, 6))
        heard = take.id == takes.current
        label = row.row(align=True)
        label.alignment = "LEFT"
        label.active = heard or take.playable
        icon = "PLAY_SOUND" if heard else "RADIOBUT_OFF" if take.playable else "TRASH"
        words = "  ".join(filter(None, (numbers.get(take.id), line(take))))
        label.operator("footfall.take_play", text=words, icon=icon, emboss=False).take_id = take.id
        row = row.row(align=True)
        row.alignment = "RIGHT"
        if not take.path:
            row.operator("footfall.take_remake", text="", icon="FILE_REFRESH", emboss=False).take_id = take.id
            continue
        star = "SOLO_ON" if take.starred else "SOLO_OFF"
        row.operator("footfall.take_star", text="", icon=star, emboss=False).take_id = take.id
        if not take.deleted:
            row.operator("footfall.take_delete", text="", icon="X", emboss=False).take_id = take.id


_HOW = {"again": "again", "more": "like it", "nudge": "nudged", "update": "updated", "file": "own file"}


def line(take: Take, most: int = 32) -> str:
    """One line of the history: "14:02  nudged  ·  wet gravel  ·  seed 7  ·  starter"; at most ``most``
    characters of words.
    """
    words, seed, bundle = _facts(take.story, most)
    facts = (_HOW.get(take.how, ""), words, seed, bundle)
    return "  ".join(filter(None, [_when(take.made), "  ·  ".join(filter(None, facts))]))


@functools.lru_cache(maxsize=512)
def _facts(story: str, most: int) -> tuple[str, str, str]:
    """Words, seed and model of a story, for people. Reads no more of it than that."""
    from ...takes.story_parts import shorten

    plain, _ = shorten(story)
    request, model = (_object(plain.get(part)) for part in ("request", "model"))
    named = ("background", "prompt") if plain.get("layer") == "bed" else ("prompt",)
    said = next((request[name] for name in named if request.get(name)), "")
    found = [said or plain.get("label") or plain.get("layer"), model.get("bundle")]
    words, bundle = (texts.clean(text, most) if isinstance(text, str) else "" for text in found)
    seed = request.get("seed")
    return words, f"seed {seed}" if type(seed) is int else "", bundle


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _when(made: int) -> str:
    """The time of today, the date of another day; "" when it is not known."""
    if not made:
        return ""
    then, now = time.localtime(made), time.localtime()
    same_day = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d", then)


CLASSES: tuple[Any, ...] = (FOOTFALL_PT_takes, FOOTFALL_PT_take_history)
