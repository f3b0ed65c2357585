# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""The buttons that ask the worker for new takes: Again, More Like This, Nudge, Make Again."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import FloatProperty, PointerProperty, StringProperty

from ...wire import limits
from ...wire.errors import FootfallError
from .. import live, texts
from ..operators import FINISHED, REFUSED, Outcome, allowed, refuse, wake
from ..settings import current
from ..worker import setup as setup_worker
from .operators import NONE_SELECTED, active, chosen, scene_of

NOTHING = "No unlocked strip here was made by Footfall."
_WORDS = ("prompt", "background", "negative_prompt", "nudge")


class FOOTFALL_PG_desk(bpy.types.PropertyGroup):
    """What the Takes panel remembers while Blender runs; nothing of it is saved or undone."""

    vary: FloatProperty(
        name="Difference",
        description="How far More Like This goes: 0.1 is nearly the same sound, 1 is another one",
        min=0.02,
        max=1.0,
        default=0.25,
        subtype="FACTOR",
        precision=2,
    )


class Ask(bpy.types.Operator):
    """Base of what makes new takes for the active and the selected strips."""

    bl_options = {"INTERNAL"}
    how = "again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        why = "" if active(context) is not None else NONE_SELECTED
        return allowed(cls, why or setup_worker.why_not(current()))

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import jobs as take_jobs

        session = live.get()
        try:
            wanted = [take_jobs.asking(strip) for strip in self.strips(context)]
            count = scene_of(context).footfall.takes if self.how == "again" else 1
            found = take_jobs.place_orders(session, wanted, self.how, self.change(context), count)
            for order in found:
                session.add(order)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED

    def strips(self, context: bpy.types.Context) -> list[Any]:
        return chosen(context)

    def change(self, context: bpy.types.Context) -> Any:
        """What is to be different, as in jobs.py."""
        raise NotImplementedError


class FOOTFALL_OT_take_again(Ask):
    """Make new takes of the selected strips: the same words and picture, another seed"""

    bl_idname = "footfall.take_again"
    bl_label = "Again"

    def change(self, context: bpy.types.Context) -> Any:
        from . import jobs as take_jobs

        return take_jobs.again


class FOOTFALL_OT_take_more(Ask):
    """Make a take that resembles the one which is heard; Difference says how far it goes"""

    bl_idname = "footfall.take_more"
    bl_label = "More Like This"
    how = "more"

    def change(self, context: bpy.types.Context) -> Any:
        from . import jobs as take_jobs

        return take_jobs.more_like_this(context.window_manager.footfall_desk.vary)


class FOOTFALL_OT_take_nudge(Ask):
    """Make a take with other words; the fields begin with those that made this one"""

    # From a script, what is not given stays as each take has it.

    bl_idname = "footfall.take_nudge"
    bl_label = "Nudge"
    how = "nudge"

    prompt: StringProperty(name="Sounds Like", maxlen=limits.PROMPT)
    background: StringProperty(name="Background", maxlen=limits.PROMPT)
    negative_prompt: StringProperty(name="Keep Out", maxlen=limits.PROMPT)
    nudge: FloatProperty(
        name="Nudge",
        description="How far the words pull the sound: 0 is the picture alone, 1 is the words alone",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
        precision=2,
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Outcome:
        from . import jobs as take_jobs

        try:
            made_with = take_jobs.asking(active(context)).story.made_with
        except FootfallError as error:
            return refuse(self, error)
        for name in _WORDS:
            setattr(self, name, made_with[name])
        return set(context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Make a Take"))

    def draw(self, context: bpy.types.Context) -> None:
        from .. import sequencer

        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        stories = [story for strip in chosen(context) if (story := sequencer.story_of(strip)) is not None]
        follows = any(story.layer == "spots" or story.settings.get("in_sync") for story in stories)
        row = layout.row()
        row.active = follows or not self.background.strip()  # which takes the bed over
        row.prop(self, "prompt", placeholder="The picture decides")
        if any(story.layer == "bed" for story in stories):
            layout.prop(self, "background", placeholder="The picture decides")
        layout.prop(self, "negative_prompt", placeholder="music, speech")
        layout.prop(self, "nudge", slider=True)

    def change(self, context: bpy.types.Context) -> Any:
        from ...wire.texts import scrub
        from . import jobs as take_jobs

        given = {name: getattr(self, name) for name in _WORDS if self.properties.is_property_set(name)}
        return take_jobs.nudged(
            {
                name: scrub(value, limits.PROMPT) if isinstance(value, str) else float(value)
                for name, value in given.items()
            }
        )


class FOOTFALL_OT_take_remake(bpy.types.Operator):
    """Make a take anew whose file is gone: with its own words and its own seed"""

    bl_idname = "footfall.take_remake"
    bl_label = "Make Again"
    bl_options = {"INTERNAL"}

    take_id: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import jobs as take_jobs

        strip = active(context)
        if strip is None:
            return REFUSED
        session = live.get()
        try:
            wanted = [take_jobs.asking(strip, self.take_id)]
            for order in take_jobs.place_orders(session, wanted, "again", take_jobs.nudged({})):
                session.add(order)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        self.report({"INFO"}, texts.clean(f"{strip.name}: the take is being made again.", 200))
        return FINISHED


class FOOTFALL_OT_update_changed(bpy.types.Operator):
    """Look at the shots again and redo only the sounds whose picture or hits have changed.
    Moved hits move their spots; seeds, words and locked strips stay as they are"""

    bl_idname = "footfall.update_changed"
    bl_label = "Update Changed"
    bl_description = (
        "Look at the shots again and redo only the sounds whose picture or hits have changed.\n"
        "Moved hits move their spots; seeds, words and locked strips stay as they are"
    )
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = scene_of(context)
        why = "" if scene is not None and scene.sequence_editor is not None else "There is no sound yet"
        return allowed(cls, why or setup_worker.why_not(current()))

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import update_changed

        session = live.get()
        try:
            count = update_changed.start(session, scene_of(context))
        except FootfallError as error:
            return refuse(self, error)
        if not count:
            self.report({"WARNING"}, next(iter(update_changed.tally.notes), NOTHING))
            return REFUSED
        wake(session)
        return FINISHED


CLASSES: tuple[Any, ...] = (
    FOOTFALL_PG_desk,
    FOOTFALL_OT_take_again,
    FOOTFALL_OT_take_more,
    FOOTFALL_OT_take_nudge,
    FOOTFALL_OT_take_remake,
    FOOTFALL_OT_update_changed,
)


def register() -> None:
    bpy.types.WindowManager.footfall_desk = PointerProperty(type=FOOTFALL_PG_desk)


def unregister() -> None:
    del bpy.types.WindowManager.footfall_desk
