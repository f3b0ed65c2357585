# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""Stepping through takes, comparing, starring, deleting and locking them: what happens at once, on the strips
themselves. New takes are made by jobs.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import IntProperty, StringProperty

from ...wire.errors import BadInput, FootfallError, SaveError
from .. import texts

if TYPE_CHECKING:
    from ...takes.history import Takes

Outcome = set[str]
FINISHED: Outcome = {"FINISHED"}
REFUSED: Outcome = {"CANCELLED"}
NONE_SELECTED = "Select a sound strip that Footfall made"


def scene_of(context: bpy.types.Context) -> Any:
    """The scene whose strips the user sees."""
    from .. import sequencer

    return sequencer.seq_scene(context)


def active(context: bpy.types.Context) -> Any | None:
    """The active strip, when it is ours; of a meta of ours, the first strip in it."""
    scene = scene_of(context)
    editor = None if scene is None else scene.sequence_editor
    strip = None if editor is None else editor.active_strip
    return None if strip is None else next(iter(_ours(strip)), None)


def _ours(strip: Any) -> list[Any]:
    """``strip`` itself, or what a meta of ours holds, as far as it is ours."""
    from .. import sequencer
    from . import strips as take_strips

    inside = list(sequencer.strips(strip)) if sequencer.META_KEY in strip else [strip]
    return [one for one in inside if take_strips.is_ours(one)]


def chosen(context: bpy.types.Context) -> list[Any]:
    """The active strip of ours and the selected ones, each once, the active one first."""
    from .. import sequencer

    scene = scene_of(context)
    shown = [strip for strip in sequencer.shown_strips(scene) if strip.select]
    found: list[Any] = []
    for strip in (scene.sequence_editor.active_strip, *shown):
        found += [one for one in (_ours(strip) if strip is not None else ()) if one not in found]
    return found


class Act(bpy.types.Operator):
    """Base of what is done to strips of ours: one report, no traceback, one undo step."""

    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active(context) is None:
            cls.poll_message_set(NONE_SELECTED)
            return False
        return True

    def each(self, strips: list[Any], act: Callable[[Any], str]) -> Outcome:
        """Do ``act`` to each strip; what it says, or what went wrong, in one report."""
        said: list[str] = []
        problems: list[str] = []
        for strip in strips:
            try:
                said.append(act(strip))
            except FootfallError as error:
                problems.append(error.sentence)
        words = list(dict.fromkeys(filter(None, problems or said)))
        if words:
            more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
            self.report({"WARNING"} if problems else {"INFO"}, texts.clean(words[0] + more, 500))
        return FINISHED if said else REFUSED


class FOOTFALL_OT_take_step(Act):
    """Play the next or the previous take in the selected strips. Place, trims, volume and fades stay"""

    bl_idname = "footfall.take_step"
    bl_label = "Next Take"
    bl_options = {"INTERNAL", "UNDO_GROUPED"}

    by: IntProperty(default=1, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        which = "next" if properties.by > 0 else "previous"
        return (
            f"Play the {which} take in the selected strips. Place, trims, volume and fades stay as they are"
        )

    def execute(self, context: bpy.types.Context) -> Outcome:
        return self.each(chosen(context), lambda strip: _turn(context, strip, self.by))


class FOOTFALL_OT_take_compare(Act):
    """Change between this take and the one heard before, in the selected strips"""

    bl_idname = "footfall.take_compare"
    bl_label = "Compare Takes"
    bl_options = {"INTERNAL", "UNDO_GROUPED"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        return self.each(chosen(context), lambda strip: _turn(context, strip, 0))


def _turn(context: bpy.types.Context, strip: Any, by: int) -> str:
    """Play a neighbour (``by``) or what to compare with (0), past takes whose files are gone; which one.

    Raises FootfallError when none can be played.
    """
    from . import strips as take_strips

    takes = take_strips.takes_of(strip)
    if takes is None:
        return ""
    if take_strips.is_locked(strip):
        return f"{strip.name} is locked and stays as it is."
    found = (
        [takes.rival()]
        if not by
        else [takes.neighbour(by * step) for step in range(1, len(takes.playable) + 1)]
    )
    others = [take for take in found if take is not None and take.id != takes.current]
    if not others:
        return "There is only one take: Again and More Like This make others."
    problem: FootfallError | None = None
    for take in others:
        try:
            take_strips.play(scene_of(context), strip, take.id)
        except SaveError as error:
            problem = problem or error  # its file is gone; the next one may be there
            continue
        number, count = take_strips.place(strip)
        return f"Take {number} of {count}" + (f". {problem.sentence}" if problem else "")
    raise problem or BadInput("No other take can be played.")


class _TakeOperator(Act):
    """Base of what is done to one take of the active strip, or to what is heard of all selected ones."""

    take_id: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import strips as take_strips

        def act(strip: Any) -> str:
            takes = take_strips.takes_of(strip)
            if takes is None:
                return ""
            return self.act(context, strip, takes, self.take_id or takes.current)

        return self.each([active(context)] if self.take_id else chosen(context), act)

    def act(self, context: bpy.types.Context, strip: Any, takes: Takes, take_id: str) -> str:
        """Do it; what was done, in words. Raises FootfallError."""
        raise NotImplementedError


class FOOTFALL_OT_take_play(_TakeOperator):
    """Bring this take back into the strip. The one that is heard now stays in the list"""

    bl_idname = "footfall.take_play"
    bl_label = "Bring Back"

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        """What the list has no room for, too."""
        from . import panel
        from . import strips as take_strips

        strip = active(context)
        takes = take_strips.takes_of(strip) if strip is not None else None
        take = None if takes is None else takes.get(properties.take_id)
        return "\n".join(filter(None, [panel.line(take, 200) if take is not None else "", cls.__doc__]))

    def act(self, context: bpy.types.Context, strip: Any, takes: Takes, take_id: str) -> str:
        from . import strips as take_strips

        take_strips.play(scene_of(context), strip, take_id)
        return ""


class FOOTFALL_OT_take_star(_TakeOperator):
    """Mark this take as a good one. A starred take is never forgotten"""

    bl_idname = "footfall.take_star"
    bl_label = "Star"

    def act(self, context: bpy.types.Context, strip: Any, takes: Takes, take_id: str) -> str:
        from . import strips as take_strips

        take = takes.get(take_id)
        if take is not None:
            take_strips.keep(strip, takes.changed(take_id, starred=not take.starred))
        return ""


class FOOTFALL_OT_take_delete(_TakeOperator):
    """Take this one off the list and play another. Its file stays until Purge, and it can be brought back"""

    bl_idname = "footfall.take_delete"
    bl_label = "Delete Take"

    def act(self, context: bpy.types.Context, strip: Any, takes: Takes, take_id: str) -> str:
        from . import strips as take_strips

        if take_id == takes.current:
            rival = takes.rival()
            if rival is None:
                return "It is the only take; delete the strip instead."
            take_strips.play(scene_of(context), strip, rival.id)
            takes = take_strips.takes_of(strip) or takes
        take_strips.keep(strip, takes.changed(take_id, deleted=True, starred=False))
        return "Deleted; its file stays until Purge."


class FOOTFALL_OT_take_lock(Act):
    """Leave the sound of the selected strips as it is: no batch, no update and no new take changes it"""

    bl_idname = "footfall.take_lock"
    bl_label = "Lock Sound"

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import strips as take_strips

        strips = chosen(context)
        locked = not bool(strips[0].get(take_strips.LOCK_KEY, False))
        for strip in strips:
            take_strips.lock(strip, locked)
        return FINISHED


class FOOTFALL_OT_take_gather(Act):
    """Put takes that an older version laid on muted channels into the list of this strip"""

    bl_idname = "footfall.take_gather"
    bl_label = "Gather Takes"

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import gather as take_gather

        scene = scene_of(context)

        def act(strip: Any) -> str:
            count = take_gather.gather(scene, strip)
            return f"{texts.count(count, 'take')} gathered." if count else "There is nothing to gather."

        return self.each(chosen(context), act)


class FOOTFALL_OT_take_collect(Act):
    """Copy all sound files of this .blend beside it, so that it can go to another computer"""

    bl_idname = "footfall.take_collect"
    bl_label = "Bring Files Beside the .blend"

    def execute(self, _context: bpy.types.Context) -> Outcome:
        from . import collect as take_collect

        try:
            count, problems = take_collect.collect()
        except FootfallError as error:
            self.report({"ERROR"}, error.sentence)
            return REFUSED
        words = problems[0] if problems else f"{texts.count(count, 'file')} copied; save the .blend again."
        self.report({"WARNING"} if problems else {"INFO"}, texts.clean(words, 500))
        return FINISHED if count else REFUSED


class FOOTFALL_OT_take_purge(bpy.types.Operator):
    """Delete the sound files of deleted takes for good, in this whole .blend"""

    bl_idname = "footfall.take_purge"
    bl_label = "Purge Deleted Takes"
    bl_options = {"INTERNAL", "UNDO"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        from . import purge as take_purge

        count, size = take_purge.measure()
        if not count:
            self.report({"INFO"}, "No deleted take has a file.")
            return REFUSED
        words = (
            f"{texts.count(count, 'file')}, {texts.size(size)}. This cannot be undone, and other .blend "
            "files that play them lose them too."
        )
        manager = context.window_manager
        kind = manager.bl_rna.functions["invoke_confirm"].parameters
        if "message" in kind:
            return set(
                manager.invoke_confirm(
                    self, event, title="Purge Deleted Takes", message=words, confirm_text="Purge"
                )
            )
        return set(manager.invoke_confirm(self, event))

    def execute(self, _context: bpy.types.Context) -> Outcome:
        from . import purge as take_purge

        count, problems = take_purge.purge()
        if problems:
            self.report({"WARNING"}, texts.clean(problems[0], 500))
        else:
            self.report({"INFO"}, f"{texts.count(count, 'file')} purged.")
        return FINISHED if count else REFUSED


CLASSES: tuple[Any, ...] = (
    FOOTFALL_OT_take_step,
    FOOTFALL_OT_take_compare,
    FOOTFALL_OT_take_play,
    FOOTFALL_OT_take_star,
    FOOTFALL_OT_take_delete,
    FOOTFALL_OT_take_lock,
    FOOTFALL_OT_take_gather,
    FOOTFALL_OT_take_collect,
    FOOTFALL_OT_take_purge,
)
