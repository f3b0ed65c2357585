# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""Hits from a JSON file into the list, and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...wire.errors import FootfallError
from .. import texts
from ..operators import FINISHED, Outcome, refuse
from . import store
from .operators import Edit, scene_of


class _File:
    """The panel's shot, which seconds in a file count from."""

    filename_ext = ".json"

    def shot(self, scene: Any) -> tuple[Any, Any]:
        """(span, rate). Raises BadInput."""
        from .. import orders, sequencer

        return orders.frame_range(scene, scene.footfall.range), sequencer.scene_rate(scene)


class FOOTFALL_OT_hits_import(_File, Edit, ImportHelper):
    """Add the hits of a JSON file to the list. Its seconds count from the start of the shot"""

    bl_idname = "footfall.hits_import"
    bl_label = "Import Hits"
    needs_hit = False

    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def act(self, scene: Any) -> None:
        from ...hits import file as hit_file
        from ...hits import listed as hit_list

        span, rate = self.shot(scene)
        events = hit_file.read_events(Path(self.filepath))
        new = [hit_list.from_event(event, span, rate, "artist") for event in events]
        old = store.read(scene)
        hits = hit_list.bounded(hit_list.added(old, new))
        store.write(scene, hits)
        self.report({"INFO"}, f"{texts.count(len(hits) - len(old), 'hit')} added.")


class FOOTFALL_OT_hits_export(_File, bpy.types.Operator, ExportHelper):
    """Write the hits of the shot that will sound to a JSON file, for --events or another scene"""

    bl_idname = "footfall.hits_export"
    bl_label = "Export Hits"
    bl_options = {"INTERNAL"}

    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = scene_of(context)
        return scene is not None and len(scene.footfall_hits.entries) > 0

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ...hits import file as hit_file
        from ...hits import listed as hit_list

        scene = scene_of(context)
        try:
            span, rate = self.shot(scene)
            events = hit_list.heard(store.read(scene), span, rate, scene.footfall.least_strength)
            hit_file.write_events(Path(self.filepath), events)
        except FootfallError as error:
            return refuse(self, error)
        self.report({"INFO"}, f"{texts.count(len(events), 'hit')} written.")
        return FINISHED


CLASSES: tuple[Any, ...] = (FOOTFALL_OT_hits_import, FOOTFALL_OT_hits_export)
