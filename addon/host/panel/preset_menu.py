# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""Presets in Blender: the menu in the panel's header, and copying settings from strip to strip.

What is copied is a preset's text on the clipboard, so it may as well be sent to somebody or kept as a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ... import folders
from ...wire.errors import FootfallError
from .. import live, texts
from ..operators import FINISHED, REFUSED, Outcome, refuse, wake
from ..settings import PACKAGE
from ..takes.operators import Act, active, chosen

FOLDER = "presets"


def own_folder() -> Path:
    """Where the user's presets are: the extension's own folder, or ours where there is no extension."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=FOLDER))
    except ValueError:
        return folders.data_folder() / FOLDER


class FOOTFALL_MT_presets(bpy.types.Menu):
    bl_label = "Presets"
    bl_description = "Settings kept under a name: apply one, or keep those of the panel"

    def draw(self, _context: bpy.types.Context) -> None:
        from ... import presets

        layout = self.layout
        own, problems = presets.load(own_folder())
        shipped, _ = presets.load(presets.SHIPPED)
        for group in (own, shipped):
            for preset in group:
                button = layout.operator("footfall.preset_apply", text=texts.clean(preset.name, 60))
                button.file = str(preset.path)
            if group:
                layout.separator()
        for problem in problems[:5]:
            layout.label(text=texts.clean(problem, 120), icon="ERROR")
        layout.operator("footfall.preset_save", icon="ADD")
        layout.operator("footfall.preset_folder", icon="FILE_FOLDER")


class FOOTFALL_OT_preset_apply(bpy.types.Operator):
    """Put the settings of this preset into the panel; what it does not name stays"""

    bl_idname = "footfall.preset_apply"
    bl_label = "Apply Preset"
    bl_options = {"REGISTER", "UNDO"}

    file: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        from ... import presets

        try:
            return texts.clean(presets.load_file(Path(properties.file)).about, 300) or cls.__doc__ or ""
        except FootfallError as error:
            return texts.clean(error.sentence, 300)

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ... import presets
        from .. import orders
        from . import settings as panel_settings

        try:
            preset = presets.load_file(Path(self.file))
        except FootfallError as error:
            return refuse(self, error)
        panel_settings.put(orders.panel_scene(context).footfall, preset.settings)
        self.report({"INFO"}, texts.clean(f"{preset.name}: {preset.about}", 300))
        return FINISHED


class FOOTFALL_OT_preset_save(bpy.types.Operator):
    """Keep the panel's settings under a name, as a file that can be shared"""

    bl_idname = "footfall.preset_save"
    bl_label = "Save as Preset…"
    bl_options = {"INTERNAL"}

    name: StringProperty(name="Name", maxlen=60)
    about: StringProperty(name="About", maxlen=200)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Outcome:
        return set(context.window_manager.invoke_props_dialog(self))

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ... import presets
        from .. import orders
        from . import settings as panel_settings

        settings = panel_settings.taken(orders.panel_scene(context).footfall)
        try:
            preset = presets.of_settings(texts.clean(self.name, 60), settings, texts.clean(self.about, 200))
            path = presets.save(own_folder(), preset)
        except FootfallError as error:
            return refuse(self, error)
        self.report({"INFO"}, f"Kept as {path}.")
        return FINISHED


class FOOTFALL_OT_preset_folder(bpy.types.Operator):
    """Show your preset files; put others' files here, rename or delete them as you like"""

    bl_idname = "footfall.preset_folder"
    bl_label = "Open Preset Folder"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> Outcome:
        folder = own_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.report({"ERROR"}, f"{folder} cannot be made: {error.strerror or error}.")
            return REFUSED
        bpy.ops.wm.path_open(filepath=str(folder))
        return FINISHED


class FOOTFALL_OT_settings_copy(Act):
    """Copy what made this take to the clipboard, as a preset's text"""

    bl_idname = "footfall.settings_copy"
    bl_label = "Copy Settings"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ... import presets
        from .. import sequencer

        strip = active(context)
        story = None if strip is None else sequencer.story_of(strip)
        if strip is None or story is None:
            self.report({"WARNING"}, "This strip does not tell how it was made.")
            return REFUSED
        preset = presets.of_settings(texts.clean(strip.name, 60) or "Strip", story.made_with)
        context.window_manager.clipboard = preset.text()
        self.report({"INFO"}, "The settings are on the clipboard.")
        return FINISHED


class FOOTFALL_OT_settings_paste(Act):
    """Make new takes of the selected strips with the copied settings; seeds and layers stay their own"""

    bl_idname = "footfall.settings_paste"
    bl_label = "Paste Settings"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ... import presets
        from ..takes import jobs as take_jobs

        session = live.get()
        try:
            preset = presets.read(context.window_manager.clipboard.encode(), "What is on the clipboard")
            words = {name: value for name, value in preset.settings.items() if name != "layers"}
            wanted = [take_jobs.asking(strip) for strip in chosen(context)]
            for order in take_jobs.place_orders(session, wanted, "nudge", take_jobs.nudged(words)):
                session.add(order)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED


class FOOTFALL_OT_settings_to_panel(Act):
    """Put what made this take into the panel: words, seed, model and layers"""

    bl_idname = "footfall.settings_to_panel"
    bl_label = "Settings to Panel"

    def execute(self, context: bpy.types.Context) -> Outcome:
        from .. import orders, sequencer
        from . import settings as panel_settings

        strip = active(context)
        story = None if strip is None else sequencer.story_of(strip)
        if story is None:
            self.report({"WARNING"}, "This strip does not tell how it was made.")
            return REFUSED
        panel_settings.put(orders.panel_scene(context).footfall, story.made_with)
        self.report({"INFO"}, "The panel has the settings of this take.")
        return FINISHED


CLASSES: tuple[Any, ...] = (
    FOOTFALL_MT_presets,
    FOOTFALL_OT_preset_apply,
    FOOTFALL_OT_preset_save,
    FOOTFALL_OT_preset_folder,
    FOOTFALL_OT_settings_copy,
    FOOTFALL_OT_settings_paste,
    FOOTFALL_OT_settings_to_panel,
)
