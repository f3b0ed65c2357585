# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""What the buttons of the list of hits do. Each is one undo step, and tells what is not seen at once."""

from __future__ import annotations

import sys
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from ...wire import limits
from ...wire.errors import BadInput, FootfallError
from .. import live
from ..operators import FINISHED, REFUSED, Outcome, allowed, refuse, wake
from . import store

FRAME = store.FRAME


def scene_of(context: bpy.types.Context) -> Any:
    """The scene that the panel is about."""
    from .. import orders

    return orders.panel_scene(context)


def _editable(scene: Any) -> bool:
    return scene is not None and scene.library is None and scene.override_library is None


class Edit(bpy.types.Operator):
    """Base of what changes the list of the scene that the user looks at."""

    bl_options = {"REGISTER", "UNDO"}
    needs_hit = True  # one must be selected

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = scene_of(context)
        if not _editable(scene):
            cls.poll_message_set("The scene is linked from another file")
            return False
        if cls.needs_hit and store.active(scene) is None:
            cls.poll_message_set("No hit is selected")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import overlay as hit_overlay

        try:
            self.act(scene_of(context))
        except FootfallError as error:
            return refuse(self, error)
        store.touch()
        hit_overlay.redraw()
        return FINISHED

    def act(self, scene: Any) -> None:
        """Do it. Raises FootfallError with what to do instead."""
        raise NotImplementedError


class FOOTFALL_OT_hits_find(bpy.types.Operator):
    """Starts a search, which the pump goes on with."""

    bl_idname = "footfall.hits_find"
    bl_label = "Find Hits"
    bl_description = (
        "Look for hits in the shot. What you have switched off, moved, added or named stays as you left it; "
        "the rest is replaced by what is found now.\nEsc cancels"
    )
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        from . import finding as hit_finding

        scene = scene_of(context)
        why = ""
        if not _editable(scene):
            why = "The scene is linked from another file"
        elif scene.footfall.events == "list":
            why = "Hits come from your own list only"
        elif hit_finding.running() is not None:
            why = "A search is running"
        return allowed(cls, why)

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import finding as hit_finding

        session = live.get()
        try:
            hit_finding.begin(context, session)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Outcome:
        """Start, and listen for Esc while the pump searches; everything else passes through."""
        outcome = self.execute(context)
        if outcome == FINISHED:
            context.window_manager.modal_handler_add(self)
            return {"RUNNING_MODAL"}
        return outcome

    def modal(self, _context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        from . import finding as hit_finding

        if hit_finding.running() is None:
            return FINISHED
        if event.type == "ESC" and event.value == "PRESS":
            bpy.ops.footfall.hits_stop()
            return REFUSED
        return {"PASS_THROUGH"}


class FOOTFALL_OT_hits_stop(bpy.types.Operator):
    """Stop the search. The list stays as it was"""

    bl_idname = "footfall.hits_stop"
    bl_label = "Cancel Search"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> Outcome:
        from . import finding as hit_finding

        session = live.session()
        hit_finding.cancel(session)
        if session is not None:
            wake(session)
        return FINISHED


class FOOTFALL_OT_hit_add(Edit):
    """Add a hit at the playhead. Works during playback, too: press it in time with the picture"""

    bl_idname = "footfall.hit_add"
    bl_label = "Add Hit at Playhead"
    needs_hit = False

    kind: StringProperty(name="Kind", default="hit")
    words: StringProperty(name="Words")

    def act(self, scene: Any) -> None:
        group = scene.footfall_hits
        if len(group.entries) >= limits.EVENTS:
            raise BadInput(f"A list holds at most {limits.EVENTS} hits; delete some first.")
        entry = group.entries.add()
        entry.frame, entry.millionths = divmod(_playhead(scene), FRAME)
        entry.kind, entry.words = self.kind, self.words
        group.active = len(group.entries) - 1


class FOOTFALL_OT_hit_delete(Edit):
    """Takes the selected hit off the list."""

    bl_idname = "footfall.hit_delete"
    bl_label = "Delete Hit"
    bl_description = (
        "Take the selected hit off the list. One that Footfall finds comes back with the next search: "
        "switch it off instead"
    )

    def act(self, scene: Any) -> None:
        group = scene.footfall_hits
        order = list(store.picture(scene).order)
        place = order.index(group.active)
        beside = order[place + 1] if place + 1 < len(order) else order[place - 1]
        group.entries.remove(group.active)
        group.active = max(int(beside) - (beside > group.active), 0)


class FOOTFALL_OT_hit_toggle(Edit):
    """Let hits sound, or keep them silent without losing them"""

    bl_idname = "footfall.hit_toggle"
    bl_label = "Switch Hits On or Off"
    needs_hit = False

    which: EnumProperty(
        name="Which",
        items=(
            ("active", "Selected", "Switch the selected hit"),
            ("on", "All On", "Let every hit sound"),
            ("off", "All Off", "Keep every hit silent"),
            ("invert", "Invert", "Switch every hit"),
        ),
    )

    def act(self, scene: Any) -> None:
        import numpy as np

        group = scene.footfall_hits
        if self.which == "active":
            entry = _selected(scene)
            entry.on = not entry.on
            return
        on = store.picture(scene).on
        chosen = ~on if self.which == "invert" else np.full(len(on), self.which == "on")
        group.entries.foreach_set("on", chosen)


class FOOTFALL_OT_hit_move(Edit):
    """Move the selected hit in time"""

    bl_idname = "footfall.hit_move"
    bl_label = "Move Hit"

    to_playhead: BoolProperty(name="To the Playhead", options={"SKIP_SAVE"})
    frames: FloatProperty(
        name="Frames", description="By so many frames; parts of a frame count", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        if properties.to_playhead:
            return "Move the selected hit to the playhead"
        way = "later" if properties.frames > 0 else "earlier"
        return f"Move the selected hit {abs(properties.frames):g} of a frame {way}"

    def act(self, scene: Any) -> None:
        entry = _selected(scene)
        at = _playhead(scene)
        if not self.to_playhead:
            at = entry.frame * FRAME + entry.millionths + round(self.frames * FRAME)
        entry.frame, entry.millionths = divmod(at, FRAME)


class FOOTFALL_OT_hit_reset(Edit):
    """Undo what you have changed on this hit: as it was found"""

    bl_idname = "footfall.hit_reset"
    bl_label = "As It Was Found"

    def act(self, scene: Any) -> None:
        from ...hits import listed as hit_list

        entry = _selected(scene)
        hit = store.read_one(entry)
        if hit.found is None:
            raise BadInput("This hit was added by hand; there is nothing to go back to.")
        store.write_one(entry, hit_list.as_found(hit))


class FOOTFALL_OT_hits_clear(Edit):
    """Take all hits off the list, those that you have added too"""

    bl_idname = "footfall.hits_clear"
    bl_label = "Clear List"
    needs_hit = False

    def act(self, scene: Any) -> None:
        from . import finding as hit_finding

        scene.footfall_hits.entries.clear()
        scene.footfall_hits.active = 0
        hit_finding.forget()


class FOOTFALL_OT_hit_jump(bpy.types.Operator):
    """Put the playhead on a hit and select it"""

    bl_idname = "footfall.hit_jump"
    bl_label = "Jump to Hit"
    bl_options = {"REGISTER", "UNDO"}

    to: EnumProperty(
        name="To",
        items=(
            ("previous", "Previous", "The last hit before the playhead"),
            ("next", "Next", "The first hit after the playhead"),
            ("active", "Selected", "The selected hit"),
        ),
        default="next",
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        return {
            "previous": "Jump to the hit before the playhead",
            "next": "Jump to the hit after the playhead",
            "active": "Put the playhead on the selected hit",
        }[str(properties.to)]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = scene_of(context)
        return scene is not None and len(scene.footfall_hits.entries) > 0

    def execute(self, context: bpy.types.Context) -> Outcome:
        scene = scene_of(context)
        group = scene.footfall_hits
        picture = store.picture(scene)
        frames = picture.times // 1
        here = scene.frame_current
        number = group.active
        if self.to == "next":
            number = next((i for i in picture.order if frames[i] > here), None)
        elif self.to == "previous":
            number = next((i for i in picture.order[::-1] if frames[i] < here), None)
        if number is None or not 0 <= number < len(frames):
            self.report({"INFO"}, f"No hit {'after' if self.to == 'next' else 'before'} frame {here}.")
            return REFUSED
        group.active = int(number)
        scene.frame_current = int(frames[number])
        return FINISHED


def _selected(scene: Any) -> Any:
    """The selected entry. Raises BadInput."""
    entry = store.active(scene)
    if entry is None:
        raise BadInput("No hit is selected; click one in the list.")
    return entry


def _playhead(scene: Any) -> int:
    """In millionths of a frame."""
    return int(scene.frame_current) * FRAME + min(round(scene.frame_subframe * FRAME), FRAME - 1)


CLASSES: tuple[Any, ...] = (
    FOOTFALL_OT_hits_find,
    FOOTFALL_OT_hits_stop,
    FOOTFALL_OT_hit_add,
    FOOTFALL_OT_hit_delete,
    FOOTFALL_OT_hit_toggle,
    FOOTFALL_OT_hit_move,
    FOOTFALL_OT_hit_reset,
    FOOTFALL_OT_hits_clear,
    FOOTFALL_OT_hit_jump,
)


def unregister() -> None:
    """End a search that is running; where none ever was, nothing is loaded for it."""
    hit_finding = sys.modules.get(f"{__package__}.finding")
    if hit_finding is not None:
        hit_finding.close()
