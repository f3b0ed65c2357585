# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job's sound becomes strips, a few per tick, and one undo step in all.

Nothing is remembered between ticks but names, numbers and UUIDs: each step looks what is there and adds what
is missing. So it does not matter if undo, a file load or a deleted scene comes in between, and placing a job
twice adds nothing. Whatever stands in the way is a FootfallError in the user's words; the files stay, and the
caller keeps them as finished, not placed. Main thread only.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import bpy

from .. import placement
from ..delivery import Stored, StoredStrip
from ..placement import PlannedStrip
from ..wire.errors import BadInput, FootfallError
from . import mixdown, sequencer

log = logging.getLogger(__name__)

BUDGET_S = 0.010
# Running operators that hold pointers to strips, or that would be cut in two by an undo step.
_HOLDING = ("TRANSFORM_OT_", "SEQUENCER_OT_", "SCULPT_OT_", "PAINT_OT_", "GREASE_PENCIL_OT_")


_Wanted = list[tuple[StoredStrip, PlannedStrip]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The scene that sound goes to. ``uid``: its session_uid, good until a file is loaded; 0: by name alone.

    ``start_frame``: the frame of second 0, None for the shot's own.
    """

    scene_name: str
    uid: int = 0
    start_frame: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Strips that are there. ``sentence``: which, where, and what the user should know."""

    job_id: str
    scene_name: str
    uuids: tuple[str, ...]
    sentence: str


def home(scene: Any) -> Where:
    """``scene`` as a place to come back to in this session."""
    return Where(scene_name=scene.name, uid=scene.session_uid)


def blocked(context: Any = None) -> str:
    """Why strips must wait, in words, or "": a render or mixdown, or the user in the middle of a drag."""
    if bpy.app.is_job_running("RENDER"):
        return "Waiting for the render to finish"
    if mixdown.running():
        return "Waiting for the mixdown to finish"
    for window in (context or bpy.context).window_manager.windows:
        for operator in getattr(window, "modal_operators", ()):
            if operator.bl_idname.startswith(_HOLDING):
                return "Waiting until you let go"
    return ""


class Placing:
    """One job on its way into a scene. Holds the UUIDs that it added, nothing of Blender's."""

    def __init__(self, stored: Stored, where: Where) -> None:
        self.stored, self.where = stored, where
        self._added: set[str] = set()

    def step(self, budget_s: float = BUDGET_S) -> Placed | None:
        """Add strips for ``budget_s`` seconds, at least one; None while there are more to come.

        The last step makes them one undo step. Raises BadInput (no such scene, linked, no room) or SaveError
        (a file is gone or damaged); what this job has added until then is taken away again.
        """
        scene = _require_scene(self.where)
        sequencer.ensure_editor(scene)
        wanted = _moved(self.stored, self.where, scene)
        waiting = _missing(scene, wanted)
        try:
            if not self._add(scene, waiting, time.perf_counter() + budget_s):
                return None
        except FootfallError:
            self._take_back(scene)
            raise
        if self._added:
            _push_undo(len(self._added))
        return _placed(self.stored, scene, wanted)

    def _add(self, scene: Any, waiting: _Wanted, deadline: float) -> bool:
        """Add until ``deadline``; whether that was all. Seats are sought for all of them first."""
        seats = sequencer.take_seats(scene.sequence_editor, (strip for _, strip in waiting))
        with sequencer.undisturbed(scene):
            for number, ((item, strip), seat) in enumerate(zip(waiting, seats, strict=True), start=1):
                self._added.add(strip.uuid)
                sequencer.add_sound(scene, item.path, strip, seat, item.story)
                if time.perf_counter() >= deadline:
                    return number == len(waiting)
        return True

    def _take_back(self, scene: Any) -> None:
        with sequencer.undisturbed(scene):
            sequencer.remove(scene, self._added)
        self._added.clear()


def place(stored: Stored, where: Where) -> Placed:
    """All of it at once, for operators and background mode. Raises as ``Placing.step``."""
    placing = Placing(stored, where)
    while True:
        placed = placing.step(budget_s=60.0)
        if placed is not None:
            return placed


def missing(stored: Stored, where: Where) -> tuple[str, ...]:
    """UUIDs of those strips of a job that are not there (any more); all of them when the scene is gone."""
    scene = sequencer.find_scene(where.scene_name, where.uid)
    wanted = [(item, item.strip) for item in stored.strips]
    left = wanted if scene is None else _missing(scene, wanted)
    return tuple(strip.uuid for _, strip in left)


def _require_scene(where: Where) -> Any:
    scene = sequencer.find_scene(where.scene_name, where.uid)
    if scene is None:
        raise BadInput(
            f"The scene “{where.scene_name}” is gone. The sound is kept; place it into another scene."
        )
    return scene


def _moved(stored: Stored, where: Where, scene: Any) -> _Wanted:
    """The strips as they fit this scene: it may have another rate by now, or be another one altogether."""
    rate = sequencer.scene_rate(scene)
    start = stored.shot.start_frame if where.start_frame is None else where.start_frame
    return [(item, placement.moved(item.strip, stored.shot, rate, start)) for item in stored.strips]


def _missing(scene: Any, wanted: _Wanted) -> _Wanted:
    there = {sequencer.uuid_of(strip) for strip in sequencer.all_strips(scene)}
    return [(item, strip) for item, strip in wanted if strip.uuid not in there]


def _push_undo(count: int) -> None:
    message = "Footfall Sound" if count == 1 else f"Footfall Sound ({count} strips)"
    if bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message=message)
    else:
        log.warning("no undo step could be made for %d strips", count)


def _placed(stored: Stored, scene: Any, wanted: _Wanted) -> Placed:
    words = [_count(len(wanted), "strip"), f"in “{scene.name}”"]
    heard = [strip for _, strip in wanted if strip.audible]
    if heard:
        words.append(f"from frame {min(strip.start for strip in heard)}")
    sentences = [" ".join(words) + "."]
    if len(heard) < len(wanted):
        sentences.append("Take 1 is heard; the other takes are muted strips on channels of their own.")
    if sequencer.scene_rate(scene).per_second != stored.shot.rate.per_second:
        sentences.append("The frame rate is not the one that the sound was made for; generate it again.")
    return Placed(
        job_id=stored.job_id,
        scene_name=scene.name,
        uuids=tuple(strip.uuid for _, strip in wanted),
        sentence=" ".join(sentences),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
