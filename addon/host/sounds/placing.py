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
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import bpy

from ...sounds import placement
from ...sounds.delivery import Stored, StoredStrip
from ...sounds.placement import PlannedMeta, PlannedStrip
from ...timeline import Rate
from ...wire.errors import BadInput, FootfallError
from .. import sequencer
from ..hits import drag
from ..takes import strips as take_strips
from . import mixdown
from .strips import add_sound

log = logging.getLogger(__name__)

BUDGET_S = 0.010
# Running operators that hold pointers to strips, or that would be cut in two by an undo step.
_HOLDING = ("TRANSFORM_OT_", "SEQUENCER_OT_", "SCULPT_OT_", "PAINT_OT_", "GREASE_PENCIL_OT_")


_Wanted = list[tuple[tuple[StoredStrip, ...], PlannedStrip]]  # takes of one sound, their strip


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
    if drag.holding():
        return "Waiting until you let go"
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
        self._joined: set[str] = set()
        self._rate: Rate | None = None  # that ``_fitting`` is for
        self._fitting: _Wanted = []

    def step(self, budget_s: float = BUDGET_S) -> Placed | None:
        """Add strips for ``budget_s`` seconds, at least one; None while there are more to come.

        The last step makes them one undo step. Raises BadInput (no such scene, linked, no room) or SaveError
        (a file is gone or damaged); what this job has added until then is taken away again.
        """
        scene = _require_scene(self.where)
        sequencer.ensure_editor(scene)
        wanted = self._wanted(scene)
        deadline = time.perf_counter() + budget_s
        waiting = self._join(scene, _missing(scene, wanted), deadline)
        if waiting is None:
            return None
        try:
            if not self._add(scene, waiting, _gathered(scene, wanted), deadline):
                return None
        except FootfallError:
            self._take_back(scene)
            raise
        if self._added or self._joined:
            _push_undo(len(self._added), len(self._joined))
        return _placed(self.stored, scene, wanted, self._joined)

    def _wanted(self, scene: Any) -> _Wanted:
        """All strips as they fit the scene, worked out once while it keeps its rate."""
        rate = sequencer.scene_rate(scene)
        if rate != self._rate:
            self._rate, self._fitting = rate, _moved(self.stored, self.where, rate)
        return self._fitting

    def _join(self, scene: Any, waiting: _Wanted, deadline: float) -> _Wanted | None:
        """New takes into the lists of their strips; what needs strips of its own, None when time is up."""
        left: _Wanted = []
        for items, strip in waiting:
            aim = items[0].aim
            found = take_strips.aimed(scene, aim) if aim is not None else []
            if aim is None or not found:
                left.append((items, strip))
                continue
            if self._joined and time.perf_counter() >= deadline:
                return None
            take_strips.join(scene, items, aim, found)
            self._joined.add(strip.uuid)
        return left

    def _add(
        self, scene: Any, waiting: _Wanted, gathered: Mapping[str, PlannedMeta], deadline: float
    ) -> bool:
        """Add until ``deadline``; whether that was all. Seats are sought for all of them first."""
        with sequencer.undisturbed(scene):
            metas = _metas(scene, {gathered[strip.uuid] for _, strip in waiting if strip.uuid in gathered})
            alone = [strip for _, strip in waiting if strip.uuid not in gathered]
            seats = iter(sequencer.take_seats(scene.sequence_editor, alone))
            for number, (items, strip) in enumerate(waiting, start=1):
                self._added.add(strip.uuid)
                meta = metas[gathered[strip.uuid].uuid] if strip.uuid in gathered else None
                seat = next(seats) if meta is None else sequencer.seat_in(meta, strip)
                made = add_sound(scene, items[0].path, strip, seat, items[0].story, meta)
                take_strips.begin(made, items, self.stored.shot)
                if time.perf_counter() >= deadline and number < len(waiting):
                    return False
            for meta in metas.values():
                sequencer.fit(meta)
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
    wanted = [(items, items[0].strip) for items in stored.sounds]
    left = wanted if scene is None else _missing(scene, wanted)
    return tuple(strip.uuid for _, strip in left)


def _require_scene(where: Where) -> Any:
    scene = sequencer.find_scene(where.scene_name, where.uid)
    if scene is None:
        raise BadInput(
            f"The scene “{where.scene_name}” is gone. The sound is kept; place it into another scene."
        )
    return scene


def _moved(stored: Stored, where: Where, rate: Rate) -> _Wanted:
    """The strips as they fit a scene: it may have another rate by now, or be another one altogether."""
    start = stored.shot.start_frame if where.start_frame is None else where.start_frame
    return [(items, placement.moved(items[0].strip, stored.shot, rate, start)) for items in stored.sounds]


def _gathered(scene: Any, wanted: _Wanted) -> dict[str, PlannedMeta]:
    """Which strips go into metas, if the user wants any; not those that only get another take."""
    settings = getattr(scene, "footfall", None)  # not there where the add-on is only a library
    if not getattr(settings, "metas", True):
        return {}
    return placement.gathered(strip for items, strip in wanted if items[0].aim is None)


def _metas(scene: Any, wanted: set[PlannedMeta]) -> dict[str, Any]:
    """UUID -> the metas that are needed: those that are there, and those made now."""
    there = sequencer.metas(scene)
    new = sorted((meta for meta in wanted if meta.uuid not in there), key=lambda meta: meta.start)
    seats = sequencer.take_seats(scene.sequence_editor, new)
    made = {meta.uuid: sequencer.add_meta(scene, meta, seat) for meta, seat in zip(new, seats, strict=True)}
    return {meta.uuid: (there | made)[meta.uuid] for meta in wanted}


def _missing(scene: Any, wanted: _Wanted) -> _Wanted:
    there = {sequencer.uuid_of(strip) for strip in sequencer.all_strips(scene)}
    if any(items[0].aim is not None for items, _ in wanted):
        there |= take_strips.ids_there(scene)
    return [(items, strip) for items, strip in wanted if strip.uuid not in there]


def _push_undo(added: int, joined: int) -> None:
    message = "Footfall Take" if not added else "Footfall Sound"
    count = added or joined
    if count > 1:
        message += f" ({count} strips)"
    if bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message=message)
    else:
        log.warning("no undo step could be made for %d strips", count)


def _placed(stored: Stored, scene: Any, wanted: _Wanted, joined: set[str]) -> Placed:
    sentences = []
    own = [strip for _, strip in wanted if strip.uuid not in joined]
    if joined:
        sentences.append(f"A new take for {_count(len(joined), 'strip')} in “{scene.name}”.")
    if own:
        first = min(strip.start for strip in own)
        sentences.append(f"{_count(len(own), 'strip')} in “{scene.name}” from frame {first}.")
    takes = max((len(items) for items, _ in wanted), default=1)
    if takes > 1:
        sentences.append(f"The first of {takes} takes is heard; step through the others under Takes.")
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
