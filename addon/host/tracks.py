# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits read from a scene's own motion: every frame is evaluated once, many are searched together.

One frame after the other is visited, as a capture does it, and both may go through the same pass. What is
keyed or driven is looked at between frames where that is needed to find a hit's time; a simulation only
exists on whole frames, and its arcs foretell the rest. Everything is put back afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from ..hits import arcs, merge, passes, watch
from ..hits.merge import Contact
from ..hits.watch import Turn
from ..hits.window import AFTER, BEFORE, Window
from ..hits.words import is_foot, together
from ..timeline import FrameRange, Rate, wire_seconds
from ..wire.messages import Event
from . import track_movers as movers
from .capture_simulation import frames_to_play
from .capture_state import UserState
from .track_contact import Contacts, Touch
from .track_looks import Doubt, settle
from .track_sources import Bending, Key, Now, key_of
from .track_things import Things, gather
from .track_view import NOWHERE, Eyes, cut_frames

AROUND = 3  # frames before and after the shot that tell of hits at its ends
BUDGET_S = 0.02  # of one step, besides the evaluation of a frame
_TURNS = 64  # looked into at one frame: the sharpest
_TOGETHER = 256  # turns prepared at once
_COLUMNS = 1_000  # things searched at once
_LEAST_LOOKS = 120  # between frames; a tenth of the shot's frames in longer ones
_SPINNING = 0.1  # of a turn's size: where a thing turns or grows that much, the place that touches tells when

_CROWDED = f"More than {_TURNS} things turn sharply at once; hits are read from the heaviest."

_ON_SAVE, _ON_LOAD = bpy.app.handlers.save_pre, bpy.app.handlers.load_pre


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A contact, and what it takes to look at it more closely."""

    contact: Contact
    touch: Touch | None = None
    doubt: Doubt | None = None


class Reading:
    """A running reading. ``step`` until it returns False, then ``finish``; ``abort`` at any time instead.

    off_camera: also hits outside the picture; hidden: also of things that are not rendered.
    next_frame: which the next step will show, None after the last; cuts: seconds; notes: sentences about what
    was left out.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        span: FrameRange,
        rate: Rate,
        *,
        off_camera: bool = False,
        hidden: bool = False,
    ) -> None:
        self._uid, self._name, self._span, self._rate = scene.session_uid, scene.name, span, rate
        self._off_camera, self._hidden = off_camera, hidden
        self._fps = float(rate.per_second)
        around = FrameRange(span.start - AROUND, span.end + AROUND)
        played = frames_to_play(scene, around)
        first = min(played.start, around.start) if len(played) else around.start
        self._frames = range(max(first, -1_000_000), around.end + 1)
        self.next_frame: int | None = self._frames[0]
        self.cuts = tuple(wire_seconds(span.time_s(frame, rate)) for frame in cut_frames(scene, span))
        self.notes: list[str] = []
        self._eyes, self._now = Eyes(), Now(self._uid, self._name)
        self._found: list[_Found] = []
        self._work = self._run()
        self._state: UserState | None = UserState.remember(scene)
        _ON_SAVE.append(self._before_save)
        _ON_LOAD.append(self._before_load)

    @property
    def progress(self) -> float:
        """0 to 1; what is looked at between frames comes on top of the last few percent."""
        if self.next_frame is None:
            return 0.95
        return 0.95 * (self.next_frame - self._frames[0]) / len(self._frames)

    def step(self, until: int | None = None, budget_s: float = BUDGET_S) -> bool:
        """Go on for about ``budget_s``, but not beyond frame ``until``; False once all is found.

        Raises BadInput, with everything put back.
        """
        if self._state is None:
            return False
        if bpy.app.is_job_running("RENDER"):
            return True
        began = time.perf_counter()
        with ExitStack() as stack:
            stack.push(self._on_error)
            stack.callback(self._now.forget)
            while until is None or self.next_frame is None or self.next_frame <= until:
                if next(self._work, _DONE) is _DONE:
                    return False
                if time.perf_counter() - began >= budget_s:
                    break
        return True

    def finish(self) -> tuple[Event, ...]:
        """The hits of the shot in order of time, once ``step`` has returned False; puts everything back."""
        self.abort()
        inside = [
            one.contact for one in self._found if self._span.start <= one.contact.time < self._span.end + 1
        ]
        within = max(merge.SAME_FRAMES, 0.02 * self._fps)
        found = merge.merge(inside, within, merge.SAME_STEP * self._fps)
        return tuple(merge.to_events(found, lambda f: wire_seconds(self._span.time_s(f, self._rate))))

    def abort(self) -> None:
        """End, and give frame and poses back; may be called at any time, also twice."""
        for handlers, ours in ((_ON_SAVE, self._before_save), (_ON_LOAD, self._before_load)):
            if ours in handlers:
                handlers.remove(ours)
        state, self._state = self._state, None
        if state is not None:
            state.restore()

    def pause(self) -> None:
        """Give the user's frame and poses back for now; the next ``step`` goes on."""
        if self._state is not None:
            self._state.restore()

    def _on_error(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if error is not None:
            self.abort()
        return False

    def _before_save(self, *_: Any) -> None:
        self.pause()

    def _before_load(self, *_: Any) -> None:
        self.abort()

    # Whole frames --------------------------------------------------------------------------------------

    def _run(self) -> Iterator[None]:
        """All the work; goes on after each ``yield``, where a tick may end."""
        begin = self._span.start - AROUND
        for frame in self._frames:
            self.next_frame = frame
            yield
            self._now.show(frame)
            if frame < begin:
                continue  # physics on its way to the shot
            if frame == begin:
                self._begin(frame)
            self._read(frame)
            if self._window.full:
                yield from self._search()
        self.next_frame = None
        self._window.end()
        yield from self._search()
        yield from self._narrow()

    def _begin(self, frame: int) -> None:
        """Gather what there is, once it is known what moves."""
        scene = self._now.scene
        scene.frame_set(frame)  # after a change of the scene everything is evaluated once
        updated = _updated(scene, frame)
        self._things = things = gather(self._now, updated, hidden=self._hidden)
        self.notes += things.notes
        self._bending = _bending_sources(things)
        self._window = Window(frame, things.bodies, {row: len(one.points) for row, one in self._bending})
        self._radius = self._sizes(things)
        self._contacts = Contacts(things, self._window, self._fps)

    def _sizes(self, things: Things) -> np.ndarray:
        """(N,) half sizes of all things."""
        matrices = things.still.copy()
        things.read(self._now, matrices[: things.bodies])
        with np.errstate(all="ignore"):
            scales = np.linalg.norm(np.nan_to_num(matrices[:, :3, :3]), axis=1)
            halves = np.linalg.norm(things.boxes[:, 0] * scales, axis=1)
        return np.clip(np.nan_to_num(halves), 0.0, watch.FARTHEST)

    def _read(self, frame: int) -> None:
        self._things.read(self._now, self._window.put())
        for row, source in self._bending:
            self._window.points[row][self._window.filled - 1] = source.points
        self._eyes.note(frame, self._now.scene, self._now.depsgraph)

    def _search(self) -> Iterator[None]:
        """Look for hits in the frames that are kept, and make room for more."""
        window, bodies, fps = self._window, self._things.bodies, self._fps
        matrices = window.matrices[: window.filled].astype(np.float64)
        middles, radius = self._things.boxes[:bodies, 1], self._radius[:bodies]
        places = watch.places_of(matrices, middles)
        skip = BEFORE - watch.BEFORE
        self._contacts.begin(matrices)
        turns: list[Turn] = []
        for first in range(0, bodies, _COLUMNS):
            some = slice(first, first + _COLUMNS)
            found = watch.find(
                window.first + skip, matrices[skip:, some], places[skip:, some], radius[some], fps
            )
            turns += [replace(turn, body=turn.body + first) for turn in found] if first else found
            yield
        ends = watch.growing(matrices, self._things.boxes[:bodies])
        for first in range(0, len(ends), _COLUMNS):
            some = ends[first : first + _COLUMNS]
            rows, arms = [body for body, _ in some], np.array([arm for _, arm in some])
            own = matrices[skip:, rows]
            found = watch.find(window.first + skip, own, watch.places_of(own, arms), radius[rows], fps)
            turns += [replace(turn, body=rows[turn.body], arm=arms[turn.body]) for turn in found]
            yield
        turns = self._sharpest(turns)
        for first in range(0, len(turns), _TOGETHER):
            group = turns[first : first + _TOGETHER]
            arms = np.array([middles[turn.body] if turn.arm is None else turn.arm for turn in group])
            ways, met = movers.paths(window, group, arms)
            known = movers.movers(window, group, arms, met, self._things.boxes, self._radius)
            for mover, way in zip(known, ways, strict=True):
                if mover is not None:
                    self._look_into(mover, way)
                    yield
        skip = BEFORE - passes.BEFORE
        last = window.filled - AFTER + passes.AFTER
        eyes = self._eyes.places(window.first + skip, last - skip)
        for one in passes.find(window.first + skip, places[skip:last], eyes, radius, self._fps):
            self._pass(one, places[round(one.time) - window.first, one.body])
        window.roll()
        self._eyes.forget(window.first)

    def _sharpest(self, turns: list[Turn]) -> list[Turn]:
        """Of one frame's turns only as many as can be looked into."""
        frames: dict[int, list[Turn]] = {}
        for turn in turns:
            frames.setdefault(turn.frame, []).append(turn)
        kept: list[Turn] = []
        for group in frames.values():
            if len(group) > _TURNS:
                self._note(_CROWDED)
                group = sorted(group, key=lambda turn: -turn.size * self._radius[turn.body])[:_TURNS]
            kept += group
        return kept

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    # Hits ----------------------------------------------------------------------------------------------

    def _look_into(self, mover: movers.Mover, way: np.ndarray) -> None:
        """A turn that is a hit and can be seen is told."""
        things, turn, met = self._things, mover.turn, mover.met
        touch = self._contacts.touch(mover, self._now)
        if touch is None:
            return
        view = self._eyes.view(turn.frame)
        seen = NOWHERE if view is None else view.see(touch.point, float(self._radius[turn.body]))
        if not (seen.inside or self._off_camera):
            return
        arm = things.boxes[turn.body, 1] if turn.arm is None else turn.arm
        if mover.points is None and mover.changes() > _SPINNING * turn.size:
            own = mover.own(touch.point[None])
            ways, closer = movers.paths(self._window, [turn], own, touching=True)
            if closer.known[0]:
                arm, way, met = own[0], ways[0], closer[0]
        doubt = None
        if met.doubt > arcs.CERTAIN and not things.simulated[[turn.body, touch.partner]].any():
            doubt = Doubt(turn.body, turn.frame, met, *arcs.sides(way, turn.size), arm)
        self._found.append(_Found(self._contact(turn, touch, turn.frame + met.time, seen), touch, doubt))

    def _contact(self, turn: Turn, touch: Touch, moment: float, seen: Any) -> Contact:
        things = self._things
        force = touch.speed * self._fps * max(float(self._radius[turn.body]), 1e-9)
        kind, name = touch.kind, things.words(turn.body)
        if kind == "hit" and is_foot(name):
            kind = "step"
        return Contact(
            time=moment,
            pair=(turn.body, touch.partner),
            force=0.5 * force if turn.halts else force,
            kind=kind,
            words=together(name, things.words(touch.partner)),
            pan=seen.pan,
            distance=seen.distance,
            place=seen.place,
            family=int(things.families[turn.body]),
            spot=tuple(touch.point.tolist()),
            size=float(self._radius[turn.body]),
        )

    def _pass(self, one: passes.Pass, place: np.ndarray) -> None:
        view = self._eyes.view(round(one.time))
        seen = NOWHERE if view is None else view.see(place, float(self._radius[one.body]))
        force = 0.3 * one.speed * self._fps * float(self._radius[one.body])
        contact = Contact(
            time=one.time,
            pair=(one.body, -1),
            force=force,
            kind="whoosh",
            words=self._things.words(one.body),
            pan=seen.pan,
            distance=seen.distance,
            place=seen.place,
        )
        self._found.append(_Found(contact))

    # Between frames ------------------------------------------------------------------------------------

    def _narrow(self) -> Generator[None, None, None]:
        """Look more closely at the hits in doubt, the strongest first, while looks are left."""
        doubtful = [number for number, one in enumerate(self._found) if one.doubt is not None]
        doubtful.sort(key=lambda number: -self._found[number].contact.force)
        doubts = [self._found[number].doubt for number in doubtful]
        most = max(_LEAST_LOOKS, self._span.count // 10)
        settled = yield from settle(
            [one for one in doubts if one is not None], self._now.show, self._things.one, most
        )
        for number, met in zip(doubtful, settled, strict=True):
            one = self._found[number]
            assert one.doubt is not None
            assert one.touch is not None
            moment = one.doubt.frame + met.time if _turns(met, one.touch) else float("-inf")
            self._found[number] = replace(one, contact=replace(one.contact, time=moment))


_DONE = object()


def _updated(scene: bpy.types.Scene, frame: int) -> dict[Key, bool]:
    """The objects that are evaluated with every frame, and whether their shape is."""
    found: dict[Key, bool] = {}

    def note(shown: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None) -> None:
        if shown.session_uid != scene.session_uid or depsgraph is None:
            return
        for one in depsgraph.updates:
            if isinstance(one.id, bpy.types.Object) and (one.is_updated_transform or one.is_updated_geometry):
                found[key_of(one.id)] = found.get(key_of(one.id), False) or one.is_updated_geometry

    bpy.app.handlers.frame_change_post.append(note)
    try:
        scene.frame_set(frame)
    finally:
        bpy.app.handlers.frame_change_post.remove(note)
    return found


def _bending_sources(things: Things) -> list[tuple[int, Bending]]:
    found, row = [], 0
    for source in things.sources:
        if isinstance(source, Bending):
            found.append((row, source))
        row += source.count
    return found


def _turns(met: arcs.Meeting, touch: Touch) -> bool:
    """Whether the path still turns sharply when seen closely: a smooth swing looks sharp from afar only."""
    change = met.after - met.before
    if touch.kind == "hit":
        return float(change @ touch.normal) > 0.4 * touch.speed
    return float(np.linalg.norm(change)) > 0.7 * touch.speed


def read(
    scene: bpy.types.Scene,
    span: FrameRange,
    rate: Rate,
    *,
    off_camera: bool = False,
    hidden: bool = False,
) -> tuple[Event, ...]:
    """All of a reading at once, for use without a window. Raises BadInput."""
    running = Reading(scene, span, rate, off_camera=off_camera, hidden=hidden)
    while running.step():
        pass
    return running.finish()
