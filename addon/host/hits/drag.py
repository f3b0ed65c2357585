# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits taken by the mouse where they are drawn: the pointer tells what one is, a click selects it, a drag
moves it, a double click or Ctrl click switches it on or off.

One operator lives from the moment that the pointer comes upon a hit until it leaves it. While the button
is up it lets every event go on to Blender; where no hit is drawn it is not there at all, so strips and
keyframes below keep their clicks. It remembers names and numbers, nothing of Blender's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

from .. import live
from ..operators import Outcome
from . import marks, overlay, store

FRAME = store.FRAME
LAST_FRAME = 1_048_574  # Blender's own end of time
FINE = 0.1  # of the mouse's way, with Shift
STILL = 3.0  # pixels that a click may move, in units of the interface
HOVER = "Hit   Click: Select   Drag: Move   Double Click: On or Off"
DRAGGING = "Drag: Move Hit   Shift: Finer   Ctrl: Whole Frames   Esc: Cancel"
AHEAD: Outcome = {"PASS_THROUGH"}
STAY: Outcome = {"RUNNING_MODAL"}
LISTEN: Outcome = {"RUNNING_MODAL", "PASS_THROUGH"}
LEAVE: Outcome = {"CANCELLED", "PASS_THROUGH"}


@dataclass(slots=True)
class Way:
    """How far the mouse has dragged a hit. ``start``: millionths of a frame; ``per_frame``: pixels."""

    start: int
    x: float
    per_frame: float
    still: float = STILL
    moved: bool = False
    _way: float = 0.0
    _from: float | None = None

    def to(self, x: float, *, fine: bool = False, whole: bool = False) -> int:
        """Where the hit is with the mouse at ``x``: on a whole frame with ``whole``, slower with ``fine``."""
        self._from = self.x if self._from is None else self._from
        self._way += (x - self.x) * (FINE if fine else 1.0)
        self.x = x
        self.moved = self.moved or abs(x - self._from) >= self.still
        if not self.moved:
            return self.start
        at = self.start + round(self._way / self.per_frame * FRAME)
        at = min(max(at, -LAST_FRAME * FRAME), LAST_FRAME * FRAME)
        return (at + FRAME // 2) // FRAME * FRAME if whole else at


@dataclass(slots=True)
class _Held:
    """A hit under a pressed button. ``at``: where it was put last; ``before``: what was selected before."""

    scene_uid: int
    number: int
    at: int
    way: Way
    before: int
    switches: bool
    over: bool = False  # nothing more until the button is up


class _State:
    turn = 0  # a new operator takes over from one that was left behind in another window
    seen: tuple[Any, ...] = ()  # the event that the operator has had already
    holding = False
    clicked: tuple[int, float, float] = (-1, 0.0, 0.0)  # the last click: which hit, where, when


def holding() -> bool:
    """Whether a hit is being dragged, so that nobody else should change the list or push an undo step."""
    if not _State.holding or bpy.app.background:
        return _State.holding
    windows = bpy.context.window_manager.windows  # a window that was closed takes its operators along
    running = (one.bl_idname for window in windows for one in getattr(window, "modal_operators", ()))
    return FOOTFALL_OT_hit_drag.__name__ in running


class Pointer:
    """What the operator does; apart from it so that tests can make one."""

    turn = 0
    held: _Held | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = overlay.scene_of(context)
        return scene is not None and scene.library is None and scene.override_library is None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        number = None if _State.seen == _stamp(context, event) else _under(context, event)
        if number is None:
            return AHEAD
        _leave(context)  # whatever another window was pointing at
        _State.turn += 1
        self.turn, self.held = _State.turn, None
        context.window.cursor_modal_set("HAND")
        context.window_manager.modal_handler_add(self)  # type: ignore[arg-type]
        return self._hover(context, event, number)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        if self.turn != _State.turn:  # the pointer is in another window
            context.window.cursor_modal_restore()
            return LEAVE
        _State.seen = _stamp(context, event)
        if not self.poll(context):
            self.cancel(context)
            return LEAVE
        if self.held is not None:
            return self._hold(context, event, self.held)
        number = _under(context, event)
        if number is None or event.type == "WINDOW_DEACTIVATE":
            _leave(context)
            return LEAVE
        return self._hover(context, event, number)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file, or the add-on is disabled."""
        if self.turn == _State.turn:
            self.held = None
            _leave(context)

    def _hover(self, context: bpy.types.Context, event: bpy.types.Event, number: int) -> Outcome:
        scene = overlay.scene_of(context)
        if overlay.point_at(context.region, scene, number):
            context.workspace.status_text_set(HOVER)
        if event.type != "LEFTMOUSE" or event.value not in {"PRESS", "DOUBLE_CLICK"}:
            return LISTEN
        self._take(context, event, scene, number)
        return STAY

    def _take(self, context: bpy.types.Context, event: bpy.types.Event, scene: Any, number: int) -> None:
        """The button goes down on a hit."""
        group, region = scene.footfall_hits, context.region
        at = _at(group.entries[number])
        view, size = overlay.frames_at_edges(region), (region.width, region.height)
        still = STILL * context.preferences.system.ui_scale
        way = Way(at, event.mouse_x, marks.per_frame(view, size), still)
        self.held = _Held(scene.session_uid, number, at, way, group.active, event.ctrl)
        group.active = number
        if event.value == "DOUBLE_CLICK" or _again(context, event, number):
            _switch(scene, number)
            self.held.over = True
        _State.holding = True
        overlay.redraw()

    def _hold(self, context: bpy.types.Context, event: bpy.types.Event, held: _Held) -> Outcome:
        """The button is down."""
        if event.type.startswith("TIMER"):
            return LISTEN
        scene = overlay.scene_of(context)
        ours = scene is not None and _is_there(scene, held)
        if event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._drop(context, scene if ours else None, held)
        elif held.over or not ours:
            held.over = True
        elif event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            _put(scene, held, held.way.start)
            _finish(context)
            held.over = True
        else:
            at = held.way.to(event.mouse_x, fine=event.shift, whole=event.ctrl)
            if held.way.moved:
                _put(scene, held, at)
                context.window.cursor_modal_set("SCROLL_X")
                context.area.header_text_set(told(scene, held))
                context.workspace.status_text_set(DRAGGING)
        return STAY

    def _drop(self, context: bpy.types.Context, scene: Any | None, held: _Held) -> None:
        """The button goes up: what was done is one undo step."""
        self.held = None
        _finish(context)
        if scene is None or held.over:
            return
        if held.way.moved:
            if held.at != held.way.start:
                _push("Move Hit")
        elif held.switches:
            _switch(scene, held.number)
        else:
            _State.clicked = (held.number, held.way.x, time.monotonic())
            if held.before != held.number:
                _push("Select Hit")


class FOOTFALL_OT_hit_drag(Pointer, bpy.types.Operator):
    """Select, move or switch the hit under the pointer"""

    bl_idname = "footfall.hit_drag"
    bl_label = "Drag Hit"
    bl_options = {"INTERNAL"}


def told(scene: Any, held: _Held) -> str:
    """Where a hit is while it is dragged, to a thousandth of a frame."""
    from .. import sequencer

    seconds = float(sequencer.scene_rate(scene).seconds(1)) * held.at / FRAME
    way = (held.at - held.way.start) / FRAME
    return f"Hit at frame {held.at / FRAME:.3f}   ({seconds:.3f} s)   moved {way:+.3f}"


def _again(context: bpy.types.Context, event: bpy.types.Event, number: int) -> bool:
    """Whether this is the second of two clicks; Blender does not tell operators that run already."""
    last, x, at = _State.clicked
    _State.clicked = (-1, 0.0, 0.0)
    soon = time.monotonic() - at <= context.preferences.inputs.mouse_double_click_time / 1000.0
    return soon and last == number and abs(event.mouse_x - x) <= STILL * context.preferences.system.ui_scale


def _stamp(context: bpy.types.Context, event: bpy.types.Event) -> tuple[Any, ...]:
    return context.window.as_pointer(), event.type, event.value, event.mouse_x, event.mouse_y


def _under(context: bpy.types.Context, event: bpy.types.Event) -> int | None:
    """The hit under the pointer, unless a sidebar lies over it."""
    scene, region = overlay.scene_of(context), context.region
    if scene is None:
        return None
    x, y = event.mouse_x, event.mouse_y
    if not _inside(region, x, y) or any(
        other.type != "WINDOW" and _inside(other, x, y) for other in context.area.regions
    ):
        return None
    scale, size = context.preferences.system.ui_scale, (region.width, region.height)
    point = (x - region.x, y - region.y)
    if not marks.reaches(size, scale, point):
        return None
    view = overlay.frames_at_edges(region)
    return marks.under(store.picture(scene), view, size, scale, point, scene.footfall_hits.active)


def _inside(region: Any, x: int, y: int) -> bool:
    wide, high = int(region.width), int(region.height)
    return min(wide, high) > 1 and 0 <= x - int(region.x) < wide and 0 <= y - int(region.y) < high


def _at(entry: Any) -> int:
    return int(entry.frame) * FRAME + int(entry.millionths)


def _is_there(scene: Any, held: _Held) -> bool:
    """Whether the hit that was taken still lies where it was put: undo or a search may have come between."""
    entries = scene.footfall_hits.entries
    there = scene.session_uid == held.scene_uid and held.number < len(entries)
    return there and _at(entries[held.number]) == held.at


def _put(scene: Any, held: _Held, at: int) -> None:
    if at != held.at:
        entry = scene.footfall_hits.entries[held.number]
        entry.frame, entry.millionths = divmod(at, FRAME)
        held.at = at
        overlay.redraw()


def _switch(scene: Any, number: int) -> None:
    entry = scene.footfall_hits.entries[number]
    entry.on = not entry.on
    _push("Switch Hit")
    overlay.redraw()


def _push(message: str) -> None:
    if bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message=message)


def _finish(context: bpy.types.Context) -> None:
    """What was said while the hit moved is said no more."""
    _State.holding = False
    if context.area is not None:
        context.area.header_text_set(None)
    context.window.cursor_modal_set("HAND")
    context.workspace.status_text_set(HOVER)


def _leave(context: bpy.types.Context) -> None:
    """The pointer is on no hit any more."""
    _State.holding = False
    overlay.point_at(None, None, -1)
    if context.window is not None:
        _silence(context.window, context.workspace, [] if context.area is None else [context.area])


def _silence(window: Any, workspace: Any, areas: Iterable[Any]) -> None:
    """Blender gets back its pointer, and the bars that we have written on."""
    session = live.session()
    window.cursor_modal_restore()
    workspace.status_text_set(None if session is None else session.status_text)
    for area in areas:
        area.header_text_set(None)


CLASSES = (FOOTFALL_OT_hit_drag,)
# Blender asks the key map of everything with a time line before those of its tools.
_MAP = {"name": "Animation", "space_type": "EMPTY"}
_ITEMS = (("MOUSEMOVE", "ANY"), ("LEFTMOUSE", "PRESS"), ("LEFTMOUSE", "DOUBLE_CLICK"))


def register() -> None:
    """Listen to the mouse; in background there are no key maps."""
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        return
    items = keys.keymaps.new(**_MAP).keymap_items
    for kind, value in _ITEMS:
        items.new(FOOTFALL_OT_hit_drag.bl_idname, kind, value, any=True)


def unregister() -> None:
    keys = bpy.context.window_manager.keyconfigs.addon
    found = None if keys is None else keys.keymaps.get(_MAP["name"])
    if found is not None:
        for item in [one for one in found.keymap_items if one.idname == FOOTFALL_OT_hit_drag.bl_idname]:
            found.keymap_items.remove(item)
    _State.holding = False
    if overlay.pointing():  # Blender does not tell the operator that it ends
        overlay.point_at(None, None, -1)
        for window in bpy.context.window_manager.windows:
            ours = (area for area in window.screen.areas if area.type in overlay.AREAS)
            _silence(window, window.workspace, ours)
