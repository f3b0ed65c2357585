# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""What it hears: the words that the picture called to mind, each to be pushed up, down, or banned.

A push is kept on the strip and takes part in whatever new take is made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import FloatProperty, StringProperty

from .. import texts
from ..operators import Outcome
from ..panel.tab import CATEGORY
from .asks import Ask
from .operators import Act, active, chosen

if TYPE_CHECKING:
    from ...takes.history import Takes

SHOWN = 8
UP, DOWN, BAN = 0.5, -0.5, -1.0
_BUTTONS = ((UP, "TRIA_UP", "up"), (DOWN, "TRIA_DOWN", "down"), (BAN, "CANCEL", "out altogether"))


class FOOTFALL_OT_take_pull(Act):
    """Push these words in the next take; once more to leave them alone again"""

    bl_idname = "footfall.take_pull"
    bl_label = "Push Words"

    words: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    weight: FloatProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        how = next((word for weight, _, word in _BUTTONS if weight == properties.weight), "")
        return f"Push “{texts.clean(properties.words, 60)}” {how} in the next take. Click again to undo it"

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import strips as take_strips

        def act(strip: Any) -> str:
            takes = take_strips.takes_of(strip)
            if takes is not None:
                now = dict(takes.pulls).get(self.words, 0.0)
                take_strips.keep(strip, takes.pulled(self.words, 0.0 if now == self.weight else self.weight))
            return ""

        return self.each(chosen(context), act)


class FOOTFALL_OT_take_pulled(Ask):
    """Make a take with these pushes: the same words, seed and picture otherwise"""

    bl_idname = "footfall.take_pulled"
    bl_label = "Take with These Pushes"
    how = "nudge"

    def change(self, context: bpy.types.Context) -> Any:
        from . import jobs as take_jobs

        return take_jobs.nudged({})


class FOOTFALL_PT_hears(bpy.types.Panel):
    bl_label = "What It Hears"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_parent_id = "FOOTFALL_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        from . import strips as take_strips

        strip = active(context)
        takes = take_strips.takes_of(strip) if strip is not None else None
        if takes is not None:
            draw_heard(self.layout, takes)


def draw_heard(layout: bpy.types.UILayout, takes: Takes) -> None:
    """A row for each of the words: how strongly they are heard, and the pushes."""
    story = None if takes.playing is None else takes.playing.told
    heard = {} if story is None else {one.words: one.weight for one in story.heard[:SHOWN]}
    pulls = dict(takes.pulls)
    if not heard and not pulls:
        row = layout.row()
        row.active = False
        row.label(text="This take does not tell what it heard.")
        return
    column = layout.column(align=True)
    for words in (*heard, *(words for words in pulls if words not in heard)):
        row = column.row(align=True)
        row.progress(factor=heard.get(words, 0.0), text=texts.clean(words, 40))
        for weight, icon, _ in _BUTTONS:
            button = row.operator(
                "footfall.take_pull", text="", icon=icon, depress=pulls.get(words) == weight
            )
            button.words, button.weight = words, weight
    made_with = {} if story is None else {p.words: p.weight for p in story.settings.get("pulls", ())}
    row = layout.row()
    row.active = made_with != pulls
    row.operator("footfall.take_pulled", icon="PLAY_SOUND")


CLASSES: tuple[Any, ...] = (FOOTFALL_OT_take_pull, FOOTFALL_OT_take_pulled, FOOTFALL_PT_hears)
