# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Picture This Sound below the Footfall tab of the Sequencer. Draws only."""

from __future__ import annotations

from typing import Any

import bpy

from ..panel.tab import CATEGORY


class FOOTFALL_PT_picture(bpy.types.Panel):
    bl_label = "Picture This Sound"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2  # below jobs and takes

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        from ..settings import current
        from ..takes.operators import scene_of
        from ..worker import bundles
        from . import operators as picture_operators

        scene = scene_of(context)
        if scene is None or not picture_operators.selected(scene):
            return False
        bundles.look_into(current().models_folder)
        return bool(picture_operators.painter(scene))

    def draw(self, context: bpy.types.Context) -> None:
        from ..panel import job_rows
        from ..takes.operators import scene_of
        from ..worker import bundles
        from . import operators as picture_operators

        layout, scene = self.layout, scene_of(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        chosen = scene.footfall_pictures
        row = layout.row()
        row.prop(chosen, "each", expand=True)
        if chosen.each == "windows":
            layout.prop(chosen, "window_s")
        layout.prop(chosen, "kind")
        layout.prop(chosen, "words", placeholder=picture_operators.WORDS)
        layout.prop(chosen, "takes")
        bundle = bundles.find(picture_operators.painter(scene))
        if bundle.name != scene.footfall.bundle_name or bundle.note:
            words = " · ".join(filter(None, (bundle.title, bundle.note)))
            job_rows.lines(layout, words, job_rows.characters(context), dim=True)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("footfall.picture", icon="IMAGE_DATA")


CLASSES: tuple[Any, ...] = (FOOTFALL_PT_picture,)
