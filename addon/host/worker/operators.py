# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user does to the worker: set it up, restart it, read its log; and the demo shot."""

from __future__ import annotations

from typing import Any

import bpy

from ...wire.errors import FootfallError
from .. import live
from ..operators import FINISHED, REFUSED, Outcome, allowed, refuse, wake
from ..settings import PACKAGE, current
from . import setup as setup_worker

LOG_NAME = "Footfall worker log"


class FOOTFALL_OT_setup_worker(bpy.types.Operator):
    """Make the worker's own Python environment and download what it needs. Blender's Python is not touched"""

    bl_idname = "footfall.setup_worker"
    bl_label = "Set Up Worker"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return allowed(cls, "The worker is being set up already" if setup_worker.running() else "")

    def execute(self, _context: bpy.types.Context) -> Outcome:
        session = live.get()
        try:
            setup_worker.begin(current())
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED


class FOOTFALL_OT_cancel_setup(bpy.types.Operator):
    """Stop setting up the worker. What was downloaded is kept, so that it can go on later"""

    bl_idname = "footfall.cancel_setup"
    bl_label = "Cancel Setup"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> Outcome:
        setup_worker.cancel()
        return FINISHED


class FOOTFALL_OT_copy_setup_details(bpy.types.Operator):
    """Copy why the setup failed to the clipboard, to send it with a report"""

    bl_idname = "footfall.copy_setup_details"
    bl_label = "Copy Details"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import details

        context.window_manager.clipboard = details.of_setup()
        self.report({"INFO"}, "The details are on the clipboard.")
        return FINISHED


class FOOTFALL_OT_restart_worker(bpy.types.Operator):
    """End the worker and start it again. A job that it was making is made again"""

    bl_idname = "footfall.restart_worker"
    bl_label = "Restart Worker"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return allowed(cls, setup_worker.why_not(current()))

    def execute(self, _context: bpy.types.Context) -> Outcome:
        session = live.get()
        try:
            session.restart_worker()
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED


class FOOTFALL_OT_show_log(bpy.types.Operator):
    """Open the end of the worker's log in a text editor"""

    bl_idname = "footfall.show_log"
    bl_label = "Show Log"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import details

        lines = details.of_log(live.session())
        if not lines:
            self.report({"INFO"}, "The worker has not written a log yet.")
            return REFUSED
        text = bpy.data.texts.get(LOG_NAME) or bpy.data.texts.new(LOG_NAME)
        text.clear()
        text.write(lines)
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "TEXT_EDITOR"
        area.spaces.active.text = text
        return FINISHED


class FOOTFALL_OT_preferences(bpy.types.Operator):
    """Open Footfall's preferences: device, memory, folders"""

    bl_idname = "footfall.preferences"
    bl_label = "Preferences…"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> Outcome:
        bpy.ops.preferences.addon_show(module=PACKAGE)
        return FINISHED


class FOOTFALL_OT_demo_shot(bpy.types.Operator):
    """Add a scene with a short animation to try Footfall on: things that fall, roll and slide, rain at a
    window
    """

    bl_idname = "footfall.demo_shot"
    bl_label = "Add Demo Shot"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from .. import sequencer
        from ..demo import shot as demo_shot

        try:
            scene = demo_shot.build()
        except FootfallError as error:
            return refuse(self, error)
        if context.window is not None:
            context.window.scene = scene
            sequencer.show_scene(context, scene)
        self.report({"INFO"}, f"“{scene.name}” is ready; press Generate Foley.")
        return FINISHED


class FOOTFALL_MT_worker(bpy.types.Menu):
    bl_label = "Footfall"
    bl_description = "The demo shot, the sound folder, the worker and its log, preferences"

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("footfall.demo_shot", icon="SCENE_DATA")
        layout.operator("footfall.open_folder", icon="FILE_FOLDER")
        layout.separator()
        layout.operator("footfall.restart_worker", icon="FILE_REFRESH")
        layout.operator("footfall.show_log", icon="TEXT")
        layout.separator()
        layout.operator("footfall.preferences", icon="PREFERENCES")


CLASSES: tuple[Any, ...] = (
    FOOTFALL_OT_setup_worker,
    FOOTFALL_OT_cancel_setup,
    FOOTFALL_OT_copy_setup_details,
    FOOTFALL_OT_restart_worker,
    FOOTFALL_OT_show_log,
    FOOTFALL_OT_preferences,
    FOOTFALL_OT_demo_shot,
    FOOTFALL_MT_worker,
)
