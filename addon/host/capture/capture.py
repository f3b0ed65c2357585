# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a shot out of Blender, one a tick: choosing the route, stepping, and putting everything back.

The routes: ``camera`` draws the scene camera off screen (capture_offscreen), ``sequencer`` shows what the
sequencer shows (capture_sequencer), ``rendered`` reads the output path (capture_files), ``render`` renders
small pictures (capture_render), ``words`` looks at nothing (capture_none). All of them take whole frames, and
each picture carries the exact time of its frame. Where hits are to be found in the picture, every frame is
taken, once, and kept small and grey as well.

No object of Blender's is kept between two ticks. Whatever ends a capture (the last frame, the user, an
error, a deleted scene, another file), the user gets frame, camera, unkeyed poses and view back; render
settings, selection and Render Result are never touched, since renders come from throwaway copies of the
scene.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import bpy
import numpy as np

from ...shots.frames import SHORT_SIDE, ShotFrames, model_size, most_frames
from ...shots.motion import MotionFrames, plan_motion
from ...timeline import FrameRange, Moment, moments, sample_times
from ...wire import limits
from ...wire.errors import BadInput, Cancelled, FootfallError
from ..orders import named_scene
from ..override import NotNow
from ..sequencer import scene_rate
from . import files as capture_files
from . import offscreen as capture_offscreen
from . import render as capture_render
from . import sequencer as capture_sequencer
from .none import ROUTE as NO_ROUTE
from .none import NoPictures
from .simulation import frames_to_play
from .state import UserState, find_scene, require_scene

ROUTES = ("auto", "camera", "sequencer", "rendered", "render")
PER_SECOND = {"draft": 2.0, "good": 4.0, "best": 8.0}  # pictures a second by quality

_ON_SAVE, _ON_LOAD = bpy.app.handlers.save_pre, bpy.app.handlers.load_pre


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """What to capture. Zero or empty means: as the scene has it.

    ``scene``: name; ``start``, ``end``: frames, both included (None: the scene's own range, or its preview
    range if that is switched on); ``per_second``: pictures a second; ``side``: pixels of the short side;
    ``shading``: auto, solid or material (route ``camera``); ``engine``: auto, workbench or cycles, and
    ``samples`` (renders); ``motion``: when small grey pictures of every frame are taken too: never,
    footage (where the route is the sequencer) or always.
    """

    scene: str = ""
    start: int | None = None
    end: int | None = None
    per_second: float = PER_SECOND["good"]
    route: str = "auto"
    side: int = SHORT_SIDE
    shading: str = "auto"
    engine: str = "auto"
    samples: int = 1
    motion: str = "never"


class Choice(NamedTuple):
    """A route, and why, in words for the panel."""

    route: str
    reason: str


class Source(Protocol):
    """One way to a picture.

    ``size``: (height, width) for the model; ``disturbed``: ``session_uid`` of scenes whose frame moves.
    """

    size: tuple[int, int]
    bottom_up: bool
    disturbed: tuple[int, ...]

    def picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray: ...

    def close(self) -> None: ...


def scene_range(scene: bpy.types.Scene, start: int | None = None, end: int | None = None) -> FrameRange:
    """``start`` to ``end``; where one is None, what the scene plays. Raises BadInput: empty, or too long."""
    first, last = scene.frame_start, scene.frame_end
    if scene.use_preview_range:
        first, last = scene.frame_preview_start, scene.frame_preview_end
    span = FrameRange(first if start is None else start, last if end is None else end)
    if span.duration_s(scene_rate(scene)) > limits.DURATION_S:
        raise BadInput(f"The range is longer than {limits.DURATION_S // 60} minutes; choose a shorter one.")
    return span


def choose_route(scene: bpy.types.Scene, span: FrameRange, *, window: bool) -> Choice:
    """The quickest route that shows what a render of ``scene`` would show. Raises BadInput if there is none.

    ``window``: whether there is a window to draw in.
    """
    if scene.render.use_sequencer and any(capture_sequencer.shown_strips(scene, span, made=False)):
        return Choice("sequencer", "The sequencer shows footage in this range.")
    stale = capture_files.why_not_fresh(scene, span)
    if not stale:
        return Choice("rendered", "The range is rendered, and nothing has changed since.")
    has_camera = scene.camera is not None or any(marker.camera for marker in scene.timeline_markers)
    if not has_camera and any(capture_sequencer.shown_strips(scene, span)):
        return Choice("sequencer", "There is no camera, but the sequencer shows a picture.")
    capture_render.require_camera(scene)
    if window and capture_offscreen.find_view(scene) is not None:
        return Choice("camera", "The scene camera, drawn by the 3D viewport.")
    if window:
        return Choice("render", "No 3D viewport is open, so small pictures are rendered.")
    return Choice("render", "There is no window, so small pictures are rendered.")


def begin(context: bpy.types.Context, options: CaptureOptions) -> Capture | NoPictures:
    """Start a capture of ``options.scene``, or of the context's scene. Raises BadInput."""
    if options.route == NO_ROUTE:
        return NoPictures()
    return Capture(named_scene(options.scene, context), options)


def _open(
    route: str, scene: bpy.types.Scene, span: FrameRange, plan: list[Moment], options: CaptureOptions
) -> Source:
    if route == "camera":
        if bpy.app.background:
            raise BadInput("There is no window to draw in; choose Small Render as the picture's source.")
        return capture_offscreen.OffscreenDraw(scene, options.side, options.shading)
    if route == "sequencer":
        return capture_sequencer.SequencerPicture(
            scene, span, plan, options.side, options.engine, options.samples
        )
    if route == "rendered":
        return capture_files.RenderedFrames(scene, span, plan, options.side)
    return capture_render.SmallRender(scene, options.side, options.engine, options.samples)


class Capture:
    """A running capture. ``step`` until it returns False, then ``finish``; ``abort`` at any time instead."""

    def __init__(self, scene: bpy.types.Scene, options: CaptureOptions) -> None:
        if scene.library is not None:
            raise BadInput(
                f"The scene “{scene.name}” is linked from another file; open that file, or make it local."
            )
        if options.route not in ROUTES:
            raise BadInput(f"There is no source “{options.route}”; choose one of {', '.join(ROUTES)}.")
        self.span = scene_range(scene, options.start, options.end)
        self.rate = scene_rate(scene)
        self.duration_s = self.span.duration_s(self.rate)
        self.route, self.reason = Choice(options.route, "Chosen by hand.")
        if options.route == "auto":
            self.route, self.reason = choose_route(scene, self.span, window=not bpy.app.background)
        self._uid, self._name, self._options = scene.session_uid, scene.name, options
        plan = self._plan(scene, options)
        self.times = tuple(moment.time_s for moment in plan)  # of the pictures, from the start of the shot
        self._places = {moment.frame: place for place, moment in enumerate(plan)}
        self.motion = self._plan_motion(scene, options)
        self._moments = plan if self.motion is None else self._every(self.motion.plan.step)
        self._done = 0
        self._end: FootfallError | None = None
        self._states: tuple[UserState, ...] = ()
        with ExitStack() as stack:
            self._source = _open(self.route, scene, self.span, self._moments, options)
            stack.push(self._on_error)
            found = (find_scene(uid) for uid in self._source.disturbed)
            self._states = tuple(UserState.remember(one) for one in found if one is not None)
            self._placed = (scene.frame_current, scene.frame_subframe)
            self._frames = ShotFrames(len(plan), *self._source.size)
            needed = FrameRange(self.span.start, self._moments[-1].frame)
            self._to_play = list(frames_to_play(scene, needed)) if self._states else []
            self._played = 0
            _ON_SAVE.append(self._before_save)
            _ON_LOAD.append(self._before_load)

    def _plan(self, scene: bpy.types.Scene, options: CaptureOptions) -> list[Moment]:
        """Which frames to take. Only rendered files are bound to the frame step."""
        step = scene.frame_step if self.route == "rendered" else 1
        size = model_size(*capture_render.display_size(scene), short=options.side)
        times = sample_times(self.duration_s, options.per_second, most_frames(*size))
        return moments(times, self.span, self.rate, step=step)

    def _plan_motion(self, scene: bpy.types.Scene, options: CaptureOptions) -> MotionFrames | None:
        if options.motion == "never" or (options.motion == "footage" and self.route != "sequencer"):
            return None
        step = scene.frame_step if self.route == "rendered" else 1
        taken = len(range(self.span.start, self.span.end + 1, step))
        plan = plan_motion(taken, self.rate.per_second / step, *capture_render.display_size(scene))
        return MotionFrames(replace(plan, step=plan.step * step))

    def _every(self, step: int) -> list[Moment]:
        """Every ``step``-th frame, and those whose pictures are wanted."""
        frames = {*range(self.span.start, self.span.end + 1, step), *self._places}
        return [Moment(frame, self.span.time_s(frame, self.rate)) for frame in sorted(frames)]

    @property
    def progress(self) -> float:
        """0 to 1; playing a frame of physics counts as much as a picture."""
        return (self._played + self._done) / (len(self._to_play) + len(self._moments))

    def step(self) -> bool:
        """Take one picture, or play one frame of unbaked physics; False once all pictures are there.

        Does nothing while Blender renders. Raises BadInput, and has then put everything back.
        """
        if self._end is not None:
            raise self._end
        if self._done == len(self._moments):
            return False
        if bpy.app.is_job_running("RENDER"):
            return True
        with ExitStack() as stack, suppress(NotNow):
            stack.push(self._on_error)
            self._advance(require_scene(self._uid, self._name))
        return self._done < len(self._moments)

    @property
    def next_frame(self) -> int | None:
        """The frame of the next picture; None while physics are played, and after the last picture."""
        if self._played < len(self._to_play) or self._done == len(self._moments):
            return None
        return self._moments[self._done].frame

    def beside(self, work: Callable[[], bool], *, plays: bool = False) -> bool:
        """Let others of ours move the scene's frame in this tick, without taking them for the user.

        plays: they show every frame in turn, physics too, so none need be played for the pictures.
        """
        scene = require_scene(self._uid, self._name)
        self._notice_user(scene)
        if plays:
            self._to_play = []
        try:
            return work()
        finally:
            self._placed = (scene.frame_current, scene.frame_subframe)

    def _advance(self, scene: bpy.types.Scene) -> None:
        self._notice_user(scene)
        if self._played < len(self._to_play):
            scene.frame_set(self._to_play[self._played])  # also where it stands there: the first frame resets
            self._played += 1
        else:
            moment = self._moments[self._done]
            pixels = self._picture(scene, moment)
            self._keep(moment, pixels)
            self._done += 1
        self._placed = (scene.frame_current, scene.frame_subframe)

    def _picture(self, scene: bpy.types.Scene, moment: Moment) -> np.ndarray:
        """Raises NotNow where the next tick goes on by small renders: no 3D viewport is open any more."""
        try:
            return self._source.picture(scene, moment)
        except capture_offscreen.NoView as error:
            self._source.close()
            self._source = _open("render", scene, self.span, self._moments, self._options)
            raise NotNow from error

    def _keep(self, moment: Moment, pixels: np.ndarray) -> None:
        place = self._places.get(moment.frame)
        if place is not None:
            self._frames.put(place, pixels, bottom_up=self._source.bottom_up)
        if self.motion is not None:
            number, rest = divmod(moment.frame - self.span.start, self.motion.plan.step)
            if not rest:
                self.motion.put(number, pixels, bottom_up=self._source.bottom_up)

    def _notice_user(self, scene: bpy.types.Scene) -> None:
        """Where the user has moved to another frame meanwhile, that is the one to give back."""
        if self._states and (scene.frame_current, scene.frame_subframe) != self._placed:
            own = UserState.remember(scene)
            self._states = tuple(own if state.scene_uid == self._uid else state for state in self._states)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """(frames: (T, H, W, 3) uint8 sRGB, times_s: (T,) float64), once ``step`` has returned False; then
        ``motion`` is whole too.
        """
        if self._done < len(self._moments):
            raise self._end or BadInput("Not all pictures of the shot are taken yet.")
        self._close(Cancelled())
        return self._frames.frames, np.array([float(time) for time in self.times], np.float64)

    def abort(self) -> None:
        """End early and put everything back; may be called at any time, also twice."""
        self._close(Cancelled())

    def pause(self) -> None:
        """Give the user's frame and poses back for now; the next ``step`` goes on."""
        for state in self._states:
            state.restore()
        scene = find_scene(self._uid)
        if scene is not None:
            self._placed = (scene.frame_current, scene.frame_subframe)

    def _on_error(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Whatever goes wrong, everything is put back; later steps say the same again."""
        if error is not None:
            self._close(error if isinstance(error, FootfallError) else Cancelled())
        return False

    def _close(self, end: FootfallError) -> None:
        if self._end is not None:
            return
        self._end = end
        with ExitStack() as stack:
            for handlers, ours in ((_ON_SAVE, self._before_save), (_ON_LOAD, self._before_load)):
                if ours in handlers:
                    handlers.remove(ours)
            stack.callback(self.pause)
            stack.callback(self._source.close)

    def _before_save(self, *_: Any) -> None:
        """A saved file holds the user's frame, not ours."""
        self.pause()

    def _before_load(self, *_: Any) -> None:
        self._close(
            BadInput(
                "Another file was opened while pictures were being taken; open the shot and start once more."
            )
        )
