# SPDX-License-Identifier: GPL-3.0-or-later
"""The Footfall tab in the sidebar of the 3D View and of the Sequencer.

Only the panels; what they show is in body.py, which is loaded when the tab is first looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from .. import live

CATEGORY = "Footfall"


class _Sidebar:
    if TYPE_CHECKING:
        layout: bpy.types.UILayout  # from bpy.types.Panel

    bl_region_type = "UI"
    bl_category = CATEGORY


class _Main(_Sidebar):
    bl_label = "Footfall"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        self.layout.menu("FOOTFALL_MT_presets", text="", icon="PRESET")

    def draw(self, context: bpy.types.Context) -> None:
        from . import body as panel_body

        panel_body.draw_main(self.layout, context)


class _Jobs(_Sidebar):
    bl_label = "Jobs"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        session = live.session()
        return session is not None and len(session.table) > 0

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        session = live.session()
        if session is not None and len(session.table.active()) > 1:
            self.layout.operator("footfall.cancel_all", text="", icon="CANCEL", emboss=False)

    def draw(self, context: bpy.types.Context) -> None:
        from . import body as panel_body

        panel_body.draw_jobs(self.layout, context)


class FOOTFALL_PT_view3d(_Main, bpy.types.Panel):
    bl_space_type = "VIEW_3D"


class FOOTFALL_PT_view3d_jobs(_Jobs, bpy.types.Panel):
    bl_space_type = "VIEW_3D"


class FOOTFALL_PT_sequencer(_Main, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


class FOOTFALL_PT_sequencer_jobs(_Jobs, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


CLASSES = (
    FOOTFALL_PT_view3d,
    FOOTFALL_PT_view3d_jobs,
    FOOTFALL_PT_sequencer,
    FOOTFALL_PT_sequencer_jobs,
)
