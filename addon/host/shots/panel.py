# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel "Shots" of the Footfall tab; what it shows is in rows.py."""

from __future__ import annotations

from typing import Any

import bpy

from ..panel.tab import _Sidebar


class FOOTFALL_UL_shots(bpy.types.UIList):
    """Name, length and state; ticked is made with the others."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: Any,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
    ) -> None:
        from . import rows as shot_rows

        shot_rows.draw_row(layout, item)


class _Shots(_Sidebar):
    bl_label = "Shots"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 20

    def draw(self, context: bpy.types.Context) -> None:
        from . import rows as shot_rows

        shot_rows.draw(self.layout, context)


class FOOTFALL_PT_view3d_shots(_Shots, bpy.types.Panel):
    bl_space_type = "VIEW_3D"


class FOOTFALL_PT_sequencer_shots(_Shots, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


CLASSES = (FOOTFALL_UL_shots, FOOTFALL_PT_view3d_shots, FOOTFALL_PT_sequencer_shots)
