# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits read from a scene's own motion: every frame is evaluated once, many are searched together.

One frame after the other is visited, as a capture does it, and both may go through the same pass. What is
keyed or driven is looked at between frames where that is needed to find a hit's time; a simulation only
exists on whole frames, and its arcs foretell the rest. Everything is put back afterwards.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from ...hits import merge, watch
from ...hits.merge import Contact
from ...hits.window import Window
from ...timeline import FrameRange, Rate, wire_seconds
from ...wire.messages import Event
from ..capture.simulation import frames_to_play
from ..capture.state import UserState
from .bursts import bursts
from .looks import settle
from .search import Search
from .sources import Bending, Key, Now, key_of
from .things import Things, gather
from .view import NOWHERE, Eyes, cut_frames

AROUND = 3  # frames before and after the shot that tell of hits at its ends
BUDGET_S = 0.03  # of one step, besides the evaluation of a frame
_PIECE = 50  # events made between two looks at the clock, some 20 microseconds each
_NEARLY = 0.05  # frames: a hit just before the first is that frame's own
_LEAST_LOOKS = 120  # between frames; a tenth of the shot's frames in longer ones
_ON_SAVE, _ON_LOAD = bpy.app.handlers.save_pre, bpy.app.handlers.load_pre


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
        self._found: list[Contact] = []
        self._events: list[Event] = []
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
        return tuple(self._events)

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
                yield from self._search.run(self._now)
        self.next_frame = None
        self._window.end()
        yield from self._search.run(self._now)
        yield from self._narrow()
        yield from self._burst()
        self.notes += sorted(self._search.notes)
        yield from self._tell()

    def _begin(self, frame: int) -> None:
        """Gather what there is, once it is known what moves."""
        scene = self._now.scene
        scene.frame_set(frame)  # after a change of the scene everything is evaluated once
        updated = _updated(scene, frame)
        self._things = things = gather(self._now, updated, hidden=self._hidden)
        self.notes += things.notes
        self._bending = _bending_sources(things)
        self._window = Window(frame, things.bodies, {row: len(one.points) for row, one in self._bending})
        self._search = Search(
            things, self._sizes(things), self._window, self._eyes, self._fps, off_camera=self._off_camera
        )

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

    # Between frames ------------------------------------------------------------------------------------

    def _narrow(self) -> Generator[None, None, None]:
        """Look more closely at the hits in doubt, the strongest first, while looks are left."""
        found = sorted(self._search.found, key=lambda one: -one.contact.force)
        doubts = [one.doubt for one in found if one.doubt is not None]
        most = max(_LEAST_LOOKS, self._span.count // 10)
        settled = iter((yield from settle(doubts, self._now.show, self._things.one, most)))
        told = (one if one.doubt is None else one.settled(next(settled)) for one in found)
        self._found = [one.contact for one in told if one is not None]

    def _burst(self) -> Iterator[None]:
        """Lights that flash and particles that are let go at once, where they are seen."""
        strongest = max((one.force for one in self._found), default=1.0)
        for burst in bursts(self._now.scene, self._span, self._fps):
            yield
            frame = math.floor(burst.frame)
            one = self._now.show(frame).find(burst.key)
            if one is None or (one.hide_render and not self._hidden):
                continue
            self._eyes.note(frame, self._now.scene, self._now.depsgraph)
            view = self._eyes.view(frame)
            seen = NOWHERE if view is None else view.see(np.array(one.matrix_world.translation), 0.0)
            if seen.inside or self._off_camera:
                self._found.append(burst.contact(strongest, seen))

    def _tell(self) -> Iterator[None]:
        """What was found, as events."""
        first, last = self._span.start, self._span.end + 1
        inside = [
            replace(one, time=max(one.time, float(first)))
            for one in self._found
            if first - _NEARLY <= one.time < last
        ]
        within = max(merge.SAME_FRAMES, 0.02 * self._fps)
        found = merge.merge(inside, within, merge.SAME_STEP * self._fps)
        yield
        for event in merge.to_events(found, lambda f: wire_seconds(self._span.time_s(f, self._rate))):
            self._events.append(event)
            if not len(self._events) % _PIECE:
                yield


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
