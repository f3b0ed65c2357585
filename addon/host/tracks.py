# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits read from a scene's own motion: every frame is evaluated once, then the hits are narrowed down.

One evaluation a tick, as in a capture, and everything is put back afterwards. What is keyed or driven is
looked at between frames to find its hits' exact times; a simulation only exists on whole frames, and its arcs
foretell the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import bpy
import numpy as np

from .. import events as motion
from ..events import Contact, Meeting, Turn, Watch
from ..passes import Passes
from ..timeline import FrameRange, Rate, wire_seconds
from ..wire.messages import Event
from .capture_simulation import frames_to_play
from .capture_state import UserState, require_scene
from .track_contact import Contacts, Look, Touch
from .track_things import Things, find, gather

AROUND = 3  # frames before and after the shot that tell of hits at its ends
MARGIN = 1.1  # how far out of the picture a hit may lie, in half pictures
_TURNS = 48  # looked into at one frame: the sharpest
_LOOKS = 12  # frames kept
_LEAST_EVALUATIONS = 60  # between frames; a quarter of the shot's frames in longer ones
_STEPS = ("foot", "feet", "toe", "heel", "shoe", "boot", "paw", "hoof")

_ON_SAVE, _ON_LOAD = bpy.app.handlers.save_pre, bpy.app.handlers.load_pre


@dataclass(frozen=True, slots=True)
class _Found:
    """A contact, and what it takes to look at it more closely."""

    contact: Contact
    turn: Turn
    touch: Touch | None = None
    early: tuple[motion.Sample, ...] = ()
    late: tuple[motion.Sample, ...] = ()
    probe: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the mover's own space


class Reading:
    """A running reading. ``step`` until it returns False, then ``finish``; ``abort`` at any time instead.

    off_camera: also tell of hits outside the picture.
    """

    def __init__(self, scene: bpy.types.Scene, span: FrameRange, rate: Rate, *, off_camera: bool = False):
        self._uid, self._name, self._span, self._rate = scene.session_uid, scene.name, span, rate
        self._off_camera = off_camera
        self._fps = float(rate.per_second)
        around = FrameRange(span.start - AROUND, span.end + AROUND)
        played = frames_to_play(scene, around)
        first = min(played.start, around.start) if len(played) else around.start
        self._frames = range(max(first, -1_000_000), around.end + 1)
        self._count = 0
        self._looks: dict[int, Look] = {}
        self._things: Things | None = None
        self._found: list[_Found] = []
        self._work: Iterator[None] | None = None
        self._left = max(_LEAST_EVALUATIONS, span.count // 4)
        self._camera_name = ""
        self._state: UserState | None = UserState.remember(scene)
        _ON_SAVE.append(self._before_save)
        _ON_LOAD.append(self._before_load)

    @property
    def progress(self) -> float:
        """0 to 1; what is looked at between frames comes on top of the last few percent."""
        return 0.95 * self._count / len(self._frames)

    def step(self) -> bool:
        """Evaluate the scene once; False once all is found. Raises BadInput, with everything put back."""
        if self._state is None:
            return False
        if bpy.app.is_job_running("RENDER"):
            return True
        with ExitStack() as stack:
            stack.push(self._on_error)
            scene = require_scene(self._uid, self._name)
            if self._count < len(self._frames):
                self._read(scene, self._frames[self._count])
                self._count += 1
                return True
            if self._work is None:
                self._end()
                self._work = self._narrow()
            return next(self._work, _DONE) is not _DONE

    def finish(self) -> tuple[Event, ...]:
        """The hits of the shot in order of time, once ``step`` has returned False; puts everything back."""
        self.abort()
        inside = [
            one.contact for one in self._found if self._span.start <= one.contact.time < self._span.end + 1
        ]
        found = motion.merge(inside, max(motion.SAME_FRAMES, 0.02 * self._fps))
        return tuple(motion.to_events(found, lambda f: wire_seconds(self._span.time_s(f, self._rate))))

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

    def _read(self, scene: bpy.types.Scene, frame: int) -> None:
        depsgraph = _go(scene, frame)
        if self._things is None:
            self._things = gather(scene, depsgraph)
            self._radius = self._sizes(self._things, depsgraph)
            self._watch = Watch(self._radius, self._fps)
            self._passes = Passes(self._radius, self._fps)
            self._contacts = Contacts(self._things, self._radius, self._fps)
        look = self._look(scene, frame, depsgraph)
        if frame < self._span.start - AROUND:
            return  # physics on its way to the shot
        self._looks[frame] = look
        self._looks.pop(frame - _LOOKS, None)
        self._take(self._watch.push(frame, look.places, look.bases), depsgraph)
        if look.camera is None or scene.camera.name_full != self._camera_name:
            self._passes.forget()
            self._camera_name = scene.camera.name_full if scene.camera is not None else ""
        for passing in self._passes.push(frame, look.places, look.camera):
            self._pass(passing.body, passing.time, passing.speed)

    def _sizes(self, things: Things, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
        """(B,) half sizes of objects, then parts."""
        matrices = np.nan_to_num(things.matrices(depsgraph))
        with np.errstate(all="ignore"):
            scales = np.linalg.norm(matrices[:, :3, :3], axis=1)
            halves = np.linalg.norm(things.boxes[:, 0] * scales, axis=1)
        parts = [np.linalg.norm(np.ptp(points, axis=0)) / 2.0 for points in things.part_points(depsgraph)]
        sizes = np.concatenate((halves, np.array(parts, float)))
        return np.clip(np.nan_to_num(sizes), 0.0, motion.FARTHEST)

    def _look(self, scene: bpy.types.Scene, frame: int, depsgraph: bpy.types.Depsgraph) -> Look:
        things = self._things
        assert things is not None
        matrices, parts = things.matrices(depsgraph), things.part_points(depsgraph)
        with np.errstate(all="ignore"):
            centres = np.einsum("nij,nj->ni", matrices[:, :3, :3], things.boxes[:, 1]) + matrices[:, :3, 3]
            bases = matrices[:, :3, :3] / np.linalg.norm(matrices[:, :3, :3], axis=1, keepdims=True)
        seen = things.shown & np.isfinite(bases).all(axis=(1, 2))
        seen[[part.owner for part in things.parts]] = False  # their parts are followed instead
        centres = np.where(seen[:, None], centres, np.nan)
        middles = np.array([points.mean(axis=0) for points in parts]).reshape(-1, 3)
        owners = np.array([part.owner for part in things.parts], int)
        middles[~things.shown[owners]] = np.nan
        turned = np.broadcast_to(np.eye(3), (len(parts), 3, 3))
        places, rotations = np.concatenate((centres, middles)), np.concatenate((bases, turned))
        return Look(frame, matrices, places, rotations, parts, *_view(scene, depsgraph))

    def _end(self) -> None:
        """The last frames' turns, with nothing after them."""
        depsgraph = _go(require_scene(self._uid, self._name), self._frames[-1])
        for turns in self._watch.flush():
            self._take(turns, depsgraph)

    def _take(self, turns: list[Turn], depsgraph: bpy.types.Depsgraph) -> None:
        for turn in turns[:_TURNS]:
            found = self._look_into(turn, depsgraph)
            if found is not None:
                self._found.append(found)

    def _look_into(self, turn: Turn, depsgraph: bpy.types.Depsgraph) -> _Found | None:
        """A turn that is a hit and can be seen."""
        around = [self._looks.get(turn.frame + step) for step in range(-2, 4)]
        here = around[2]
        if here is None:
            return None
        places = np.array([one.places[turn.body] if one else (np.nan,) * 3 for one in around])
        early, late = motion.arcs(places, turn.size)
        if not early or not late:
            return None
        met = motion.meet(early, late, turn.offset, -0.2, 1.2)
        if turn.spin > 0.7:
            met = replace(met, time=turn.offset)
        touch = self._contacts.touch(turn, met, self._looks, depsgraph)
        if touch is None:
            return None
        probe = (0.0, 0.0, 0.0)
        things = self._things
        assert things is not None
        if turn.body < len(things.names):
            probe = tuple(things.boxes[turn.body, 1])
            if turn.spin > 0.7:  # it turns on the spot: the point that hits tells when
                matrix = here.matrices[turn.body]
                probe = tuple(np.linalg.solve(matrix, np.append(touch.point, 1.0))[:3])
                places = np.array(
                    [
                        (one.matrices[turn.body] @ (*probe, 1.0))[:3] if one else (np.nan,) * 3
                        for one in around
                    ]
                )
                early, late = motion.arcs(places, turn.size)
                if not early or not late:
                    return None
                met = motion.meet(early, late, turn.offset, -0.2, 1.2)
        seen, pan, distance = _in_picture(here, touch.point)
        if not (seen or self._off_camera):
            return None
        return self._tell(turn, touch, met, (pan, distance), (tuple(early), tuple(late), probe))

    def _tell(self, turn: Turn, touch: Touch, met: Meeting, where: tuple[float, float], arcs: Any) -> _Found:
        things = self._things
        assert things is not None
        owner = self._contacts.owner(turn.body)
        part = turn.body - len(things.names)
        name = things.words[owner]
        called = motion.clean_name(things.parts[part].name) if part >= 0 else name
        kind = touch.kind
        if kind == "hit" and any(word in called for word in _STEPS):
            kind = "step"
        words = f"{called if part >= 0 and called else name} on {things.words[touch.partner]}"
        contact = Contact(
            time=turn.frame + met.time,
            pair=(turn.body, touch.partner),
            force=touch.speed * self._fps * max(float(self._radius[turn.body]), 1e-9),
            kind=kind,
            words=words,
            pan=where[0],
            distance=where[1],
        )
        return _Found(contact, turn, touch, *arcs)

    def _pass(self, body: int, time: float, speed: float) -> None:
        assert self._things is not None
        here = self._looks[round(time)]
        _, pan, distance = _in_picture(here, here.places[body])
        owner = self._contacts.owner(body)
        force = 0.3 * speed * self._fps * float(self._radius[body])
        contact = Contact(
            time=time,
            pair=(body, -1),
            force=force,
            kind="whoosh",
            words=self._things.words[owner],
            pan=pan,
            distance=distance,
        )
        self._found.append(_Found(contact, Turn(body, here.frame, 0.0, np.zeros(3), 0.0, 0.0)))

    # Between frames ------------------------------------------------------------------------------------

    def _narrow(self) -> Iterator[None]:
        """Look more closely at each hit of what is keyed, the strongest first, while looks are left."""
        for number in sorted(range(len(self._found)), key=lambda i: -self._found[i].contact.force):
            one = self._found[number]
            if one.touch is None or self._simulated(one) or self._left <= 0:
                continue
            looking = motion.narrow(list(one.early), list(one.late), one.contact.time - one.turn.frame)
            met: Meeting | None = None
            place: np.ndarray | None = None
            while met is None:
                try:
                    time = looking.send(place)
                except StopIteration as ended:
                    met = ended.value
                    break
                self._left -= 1
                place = self._place(one, one.turn.frame + Fraction(time))
                yield
            still = _turns(met, one.touch)
            time_f = one.turn.frame + met.time
            self._found[number] = replace(
                one, contact=replace(one.contact, time=time_f if still else float("-inf"))
            )

    def _simulated(self, one: _Found) -> bool:
        things = self._things
        assert things is not None
        partner = one.touch.partner if one.touch is not None else 0
        return bool(things.simulated[self._contacts.owner(one.turn.body)] or things.simulated[partner])

    def _place(self, one: _Found, time: Fraction) -> np.ndarray | None:
        """Where the mover is between two frames."""
        things = self._things
        assert things is not None
        scene = require_scene(self._uid, self._name)
        depsgraph = _go(scene, time.numerator // time.denominator, float(time % 1))
        part = one.turn.body - len(things.names)
        if part >= 0:
            middle: np.ndarray = things.part_points(depsgraph)[part].mean(axis=0)
            return middle
        found = find(things.names[one.turn.body], depsgraph)
        if found is None:
            return None
        place: np.ndarray = (np.array(found.matrix_world, float) @ (*one.probe, 1.0))[:3]
        return place


_DONE = object()


def _turns(met: Meeting, touch: Touch) -> bool:
    """Whether the path still turns sharply when seen closely: a smooth swing looks sharp from afar only."""
    change = met.after - met.before
    if touch.kind == "hit":
        return float(change @ touch.normal) > 0.4 * touch.speed
    return float(np.linalg.norm(change)) > 0.7 * touch.speed


def _go(scene: bpy.types.Scene, frame: int, subframe: float = 0.0) -> bpy.types.Depsgraph:
    if (scene.frame_current, scene.frame_subframe) != (frame, subframe) or scene.view_layers[
        0
    ].depsgraph is None:
        scene.frame_set(frame, subframe=subframe)
    return scene.view_layers[0].depsgraph


def _view(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The matrix from the world into the picture, and where the camera is; None without a camera."""
    if scene.camera is None or scene.camera.type != "CAMERA":
        return None, None
    camera = scene.camera.evaluated_get(depsgraph)
    render = scene.render
    lens = camera.calc_matrix_camera(
        depsgraph,
        x=render.resolution_x,
        y=render.resolution_y,
        scale_x=render.pixel_aspect_x,
        scale_y=render.pixel_aspect_y,
    )
    matrix = np.array(camera.matrix_world, float)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return None, None
    return np.array(lens, float) @ np.linalg.inv(matrix), matrix[:3, 3]


def _in_picture(look: Look, point: np.ndarray) -> tuple[bool, float, float]:
    """(whether a place can be seen, -1 left to 1 right, distance); without a camera all is seen."""
    if look.view is None or look.camera is None:
        return True, 0.0, 0.0
    x, y, _, w = look.view @ (*point, 1.0)
    distance = float(np.linalg.norm(point - look.camera))
    if not w > 0.0:
        return False, 0.0, distance
    return bool(max(abs(x), abs(y)) <= MARGIN * w), float(np.clip(x / w, -1.0, 1.0)), distance


def read(
    scene: bpy.types.Scene, span: FrameRange, rate: Rate, *, off_camera: bool = False
) -> tuple[Event, ...]:
    """All of a reading at once, for use without a window. Raises BadInput."""
    running = Reading(scene, span, rate, off_camera=off_camera)
    while running.step():
        pass
    return running.finish()
