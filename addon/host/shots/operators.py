# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""What the buttons of the list of shots do, and the export of its sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from ...wire.errors import FootfallError
from .. import live, texts
from ..operators import FINISHED, REFUSED, Outcome, allowed, refuse, wake
from ..settings import current
from ..worker import setup as setup_worker
from . import properties as shot_properties


class FOOTFALL_OT_shots_find(bpy.types.Operator):
    """Find the shots of this scene or file. Words of shots that are found again are kept"""

    bl_idname = "footfall.shots_find"
    bl_label = "Find Shots"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from .. import orders
        from . import batch as shot_batch
        from . import find as shot_find

        scene = orders.panel_scene(context)
        try:
            found = shot_find.find(scene, scene.footfall_shots.kind)
        except FootfallError as error:
            return refuse(self, error)
        shot_properties.write(scene, found)
        shot_batch.forget()
        self.report({"INFO"}, f"{texts.count(len(found), 'shot')} found.")
        return FINISHED


class FOOTFALL_OT_shots_generate(bpy.types.Operator):
    """Give the shots of the list their sound, one after another. You can go on working, and quit: it goes on
    where it was
    """

    bl_idname = "footfall.shots_generate"
    bl_label = "Generate Shots"
    bl_options = {"REGISTER"}

    which: EnumProperty(
        name="Which",
        items=(
            ("all", "All", "Those that are not made yet, or are asked for something else now"),
            ("failed", "Failed Only", "Those that could not be made the last time"),
            ("changed", "Changed Only", "Those whose picture or hits have changed since; each is drawn"),
            ("again", "Again", "This shot once more; what it sounds like now stays, muted"),
        ),
    )
    key: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return allowed(cls, setup_worker.why_not(current()))

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        words = {
            "all": "Give every shot of the list its sound that has none yet, or is asked for something else",
            "failed": "Try those shots again that could not be made",
            "changed": "Draw every shot that is made; make those again whose picture or hits have changed",
            "again": "Make this shot once more; what it sounds like now stays, muted",
        }
        return words[properties.which]

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import batch as shot_batch

        session = live.get()
        try:
            running = shot_batch.begin(context, session, self.which, [self.key] if self.key else None)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        self.report({"INFO"}, f"{texts.count(len(running.batch.entries), 'shot')} to look at.")
        return FINISHED


class FOOTFALL_OT_shots_cancel(bpy.types.Operator):
    """Begin no more shots and cancel those in the works. What is made stays"""

    bl_idname = "footfall.shots_cancel"
    bl_label = "Cancel Shots"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import batch as shot_batch

        session = live.session()
        if session is None:
            return REFUSED
        shot_batch.cancel(session)
        wake(session)
        return FINISHED


class FOOTFALL_OT_shot_show(bpy.types.Operator):
    """Go to this shot: its scene, its first frame, and its range as preview range"""

    bl_idname = "footfall.shot_show"
    bl_label = "Show Shot"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from .. import orders

        listed = orders.panel_scene(context).footfall_shots
        if not 0 <= listed.active < len(listed.entries):
            return REFUSED
        shot = shot_properties.shot_of(listed.entries[listed.active])
        scene = bpy.data.scenes.get(shot.scene)
        if scene is None:
            self.report({"WARNING"}, f"The scene “{texts.clean(shot.scene, 60)}” is gone; find shots again.")
            return REFUSED
        if shot.kind == "scenes" and context.window is not None:
            context.window.scene = scene
        scene.use_preview_range = True
        scene.frame_preview_start, scene.frame_preview_end = shot.span.start, shot.span.end
        scene.frame_current = shot.span.start
        return FINISHED


class FOOTFALL_OT_export_sound(bpy.types.Operator):
    """Write the sound of this scene as stems and a mix, with time stamps, and a timeline for other editors"""

    bl_idname = "footfall.export_sound"
    bl_label = "Export Sound…"
    bl_options = {"REGISTER"}

    filepath: StringProperty(subtype="FILE_PATH")
    filename_ext = ".wav"
    filter_glob: StringProperty(default="*.wav", options={"HIDDEN"})
    _work: Any = None  # stems.Export
    _timer: Any = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        from .. import orders, sequencer

        there = context.scene is not None and any(
            sequencer.uuid_of(strip) for strip in sequencer.all_strips(orders.panel_scene(context))
        )
        return allowed(cls, "" if there else "There is no sound of Footfall's in this scene yet")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Outcome:
        blend = Path(bpy.data.filepath) if bpy.data.filepath else Path.home() / "sound.blend"
        self.filepath = str(blend.with_suffix(".wav"))
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ...sounds import stems
        from .. import orders
        from ..sounds import export as sound_export
        from . import export as batch_export

        target = Path(bpy.path.abspath(self.filepath))
        target = target if target.suffix.lower() == ".wav" else target.with_name(f"{target.name}.wav")
        scene = orders.panel_scene(context)
        found = sound_export.sounds(scene)
        try:
            self._work = stems.Export(sound_export.plan(scene, found, target))
            timeline = sound_export.timeline(scene, found, target.parent)
            batch_export.write_text(target.with_suffix(".otio"), timeline)
            for sound in found:
                if sound.doubt:
                    self.report({"WARNING"}, f"{texts.clean(sound.name)}: {sound.doubt} is not in the stems.")
            if not bpy.app.background and context.window is not None:
                self._timer = context.window_manager.event_timer_add(0.01, window=context.window)
                context.window_manager.modal_handler_add(self)
                context.window_manager.progress_begin(0, 100)
                return {"RUNNING_MODAL"}
            while self._work.step():
                continue
        except FootfallError as error:
            return refuse(self, error)
        return self._done()

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        """A piece of a few seconds at each tick of the timer; Esc ends it, and nothing half-written stays."""
        if event.type == "ESC":
            self._end(context)
            self._work.close()
            return REFUSED
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            going_on = self._work.step()
        except FootfallError as error:
            self._end(context)
            return refuse(self, error)
        context.window_manager.progress_update(int(100 * self._work.progress))
        if going_on:
            return {"PASS_THROUGH"}
        self._end(context)
        return self._done()

    def _end(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()

    def _done(self) -> Outcome:
        names = ", ".join(path.name for path in self._work.files.values())
        quieter = "" if self._work.gain == 1.0 else " All were turned down alike, since the mix would clip."
        self.report({"INFO"}, texts.clean(f"Written: {names}.{quieter}", 500))
        return FINISHED


CLASSES: tuple[Any, ...] = (
    FOOTFALL_OT_shots_find,
    FOOTFALL_OT_shots_generate,
    FOOTFALL_OT_shots_cancel,
    FOOTFALL_OT_shot_show,
    FOOTFALL_OT_export_sound,
)
