# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of the panel that switches the live preview on and says what it does."""

from __future__ import annotations

from typing import Any

import bpy

from ...wire.errors import FootfallError
from .. import live, texts
from ..operators import FINISHED, REFUSED, Outcome, allowed, refuse, wake
from ..settings import current
from ..worker import setup as setup_worker

_WORDS = {
    "idle": "Change something to hear it",
    "waiting": "…",
    "drawing": "Taking pictures…",
    "making": "Making a draft…",
}


class FOOTFALL_OT_live_preview(bpy.types.Operator):
    """Hear a draft of two seconds at the playhead shortly after each change of the settings"""

    bl_idname = "footfall.live_preview"
    bl_label = "Live Preview"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return allowed(cls, setup_worker.why_not(current()))

    def execute(self, context: bpy.types.Context) -> Outcome:
        from .. import orders
        from . import live_preview

        session = live.get()
        try:
            if session.preview is None:
                live_preview.open_for(session, orders.panel_scene(context))
            else:
                live_preview.close(session)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED


class FOOTFALL_OT_live_replay(bpy.types.Operator):
    """Play the draft once more"""

    bl_idname = "footfall.live_replay"
    bl_label = "Play Draft"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> Outcome:
        session = live.session()
        if session is None or session.preview is None:
            return REFUSED
        try:
            session.preview.play()
        except FootfallError as error:
            return refuse(self, error)
        return FINISHED


def draw(layout: bpy.types.UILayout) -> None:
    """The switch, and the state of the draft beside it."""
    session = live.session()
    preview: Any = None if session is None else session.preview
    row = layout.row(align=True)
    row.operator("footfall.live_preview", icon="SPEAKER", depress=preview is not None)
    if preview is None:
        return
    if preview.draft is not None:
        row.operator("footfall.live_replay", text="", icon="PLAY")
    words = preview.sentence or _WORDS.get(preview.state, "")
    if preview.state == "ready" and not preview.sentence:
        words = f"Draft after {texts.seconds(preview.took_s)}"
    side = layout.column(align=True)
    side.active, side.scale_y = False, 0.85
    for line in texts.wrap(words, 40) if words else ():
        side.label(text=line)


CLASSES: tuple[Any, ...] = (FOOTFALL_OT_live_preview, FOOTFALL_OT_live_replay)
