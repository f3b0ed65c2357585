# SPDX-License-Identifier: GPL-3.0-or-later
"""Live preview: soon after the last change of the settings, two seconds at the playhead are heard as a draft.

Off unless switched on, and never in the way: it makes no strip and no file, waits while a job or a playback
runs, and gives up what it is doing as soon as something is changed again. Pictures that were taken are used
again until the scene has changed. Main thread only; holds names and numbers, nothing of Blender's.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...timeline import FrameRange, nearest, wire_seconds
from ...wire.errors import BadInput, FootfallError
from ...wire.messages import Failed, FoleyRequest
from ...worker.reports import Delivered
from .. import orders, sequencer
from ..hits import finding as hit_finding
from ..takes import jobs as take_jobs
from ..takes import strips as take_strips
from . import speaker

log = logging.getLogger(__name__)

QUIET_S = 0.4  # after the last change
LENGTH_S = Fraction(2)
WAITING, DRAWING, MAKING, READY, FAILED, IDLE = "waiting", "drawing", "making", "ready", "failed", "idle"


class Preview:
    """A preview that is switched on, for the panel of one scene and for its active strip."""

    def __init__(self, scene: Any, file_id: str) -> None:
        self.scene_uid, self.file_id = scene.session_uid, file_id
        self.state, self.sentence = IDLE, ""
        self.took_s = 0.0  # from the last change to the draft
        self.cancel_s = 0.0  # from a change to the end of the stale draft
        self.draft: tuple[Any, int] | None = None  # waveform, rate
        self.scene_changed = True
        self._panel: Mapping[str, Any] = {}
        self._strip: tuple[str, Any] = ("", None)  # name, its pulls
        self._of_strip = ""  # the name of the strip whose pulls were changed last, "" for the panel
        self._changed = 0.0
        self._capture: Any = None
        self._wanted: Any = None  # the order that is being drawn
        self._pictures: tuple[Any, Any, Any] | None = None  # what they are of, frames, times
        self._job_id = ""
        self._stale: dict[str, float] = {}  # cancelled drafts, and when

    @property
    def drawing(self) -> bool:
        """Whether a scene shows another frame than the user's just now."""
        return self._capture is not None

    def step(self, session: Any) -> bool:
        """A little of it; whether the panel has something new to show."""
        scene = sequencer.find_scene("", self.scene_uid)
        if scene is None or self.file_id != session.file_id:
            close(session)
            return True
        try:
            if self._look(scene):
                self._drop(session)
                self.state, self._changed = WAITING, session.clock()
                return True
            if session.table.active() or session.capture is not None or hit_finding.running() is not None:
                return self._yield(session)
            if _playing():
                return False
            if self.state == WAITING and session.clock() - self._changed >= QUIET_S:
                return self._begin(session, scene)
            return self.state == DRAWING and self._draw(session)
        except FootfallError as error:
            self._drop(session)
            before = self.state, self.sentence
            self.state, self.sentence = FAILED, error.sentence
            return before != (self.state, self.sentence)

    def _look(self, scene: Any) -> bool:
        """Whether the user has changed something that is heard."""
        panel = orders.panel_settings(scene.footfall)
        editor = scene.sequence_editor
        active = None if editor is None else editor.active_strip
        takes = take_strips.takes_of(active) if active is not None else None
        strip = ("", None) if active is None or takes is None else (active.name, takes.pulls)
        before, self._panel = self._panel, panel
        old, self._strip = self._strip, strip
        if strip[0] == old[0] and strip[1] != old[1]:
            self._of_strip = strip[0]
            return True
        if before and panel != before:
            self._of_strip = ""
            return True
        return False

    def _yield(self, session: Any) -> bool:
        """A job of the user's comes first."""
        if self.state not in (DRAWING, MAKING):
            return False
        self._drop(session)
        self.state = WAITING
        return True

    def _begin(self, session: Any, scene: Any) -> bool:
        from ..capture import capture

        self._wanted = self._order(session, scene)
        if (
            self._pictures is not None
            and self._pictures[0] == _shown(self._wanted)
            and not self.scene_changed
        ):
            return self._send(session)
        self.state = DRAWING
        options = capture.CaptureOptions(
            scene=self._wanted.scene_name,
            start=self._wanted.span.start,
            end=self._wanted.span.end,
            per_second=self._wanted.per_second,
            route=self._wanted.source,
        )
        self._capture = capture.begin(bpy.context, options)
        session.warm_up()
        return True

    def _draw(self, session: Any) -> bool:
        session.did = "picture"
        if self._capture.step():
            return False
        session.did = "restore"
        running, self._capture = self._capture, None
        self._pictures = (_shown(self._wanted), *running.finish())
        self.scene_changed = False  # what the drawing itself changed is undone
        return self._send(session)

    def _send(self, session: Any) -> bool:
        assert self._pictures is not None
        _, frames, times_s = self._pictures
        order = self._wanted
        length_s = wire_seconds(order.span.duration_s(order.rate))
        request = FoleyRequest(frames=frames, times_s=times_s, duration_s=length_s, **order.settings)
        self._job_id = uuid.uuid4().hex
        session.need_client().submit(self._job_id, request)
        self.state = MAKING
        return True

    def _order(self, session: Any, scene: Any) -> orders.Order:
        """What is to be heard: the panel's settings, or those of the strip whose words were pushed last."""
        strip = next((s for s in sequencer.all_strips(scene) if s.name == self._of_strip), None)
        if strip is not None:
            wanted = take_jobs.place_orders(
                session, [take_jobs.asking(strip)], "nudge", take_jobs.nudged({})
            )[0]
        else:
            span = orders.frame_range(scene, scene.footfall.range)
            chosen = scene.footfall
            settings = {**self._panel, "layers": ("bed",), "events": ()}
            wanted = orders.make(
                scene,
                session.file_id,
                span,
                source=chosen.source,
                per_second=chosen.per_second,
                settings=settings,
            )
        return _part(wanted, scene.frame_current)

    def take(self, session: Any, event: Any) -> bool:
        """Take in what the client reports of a draft; whether it was one of ours."""
        job_id = getattr(event, "job_id", "")
        if job_id in self._stale:
            if isinstance(event, Failed | Delivered):
                self.cancel_s = session.clock() - self._stale.pop(job_id)
            return True
        if not job_id or job_id != self._job_id:
            return False
        if isinstance(event, Failed):
            self._job_id = ""
            self.state, self.sentence = FAILED, event.sentence
        elif isinstance(event, Delivered):
            self._job_id = ""
            self._hear(session, event.result)
        return True

    def _hear(self, session: Any, result: Any) -> None:
        self.took_s = session.clock() - self._changed
        if not result.clips:
            self.state, self.sentence = FAILED, "There was nothing to hear."
            return
        self.draft = (result.clips[0].waveform, result.clips[0].rate_hz)
        self.state, self.sentence = READY, ""
        try:
            self.play()
        except FootfallError as error:
            self.sentence = error.sentence

    def play(self) -> None:
        """Play the draft once more. Raises BadInput when this computer cannot."""
        if self.draft is None:
            raise BadInput("There is no draft yet; change something first.")
        speaker.play(*self.draft)

    def _drop(self, session: Any) -> None:
        """Give up what is being drawn or made."""
        if self._capture is not None:
            running, self._capture = self._capture, None
            running.abort()
        if self._job_id:
            self._stale[self._job_id] = session.clock()
            session.need_client().cancel(self._job_id)
            self._job_id = ""

    def end(self, session: Any) -> None:
        """Switch it off."""
        self._drop(session)
        speaker.stop()


def _shown(order: orders.Order) -> tuple[Any, ...]:
    """What the pictures of ``order`` depend on, as far as it says so."""
    return order.scene_uid, order.span, order.rate, order.source, order.per_second


def _part(order: orders.Order, playhead: int) -> orders.Order:
    """LENGTH_S of ``order``: from its first hit where it is for spots alone, else from the playhead."""
    settings = {**order.settings, "quality": "draft", "takes": 1}
    events = settings.get("events", ())
    start = playhead
    if settings["layers"] == ("spots",) and events:
        start = order.span.start + int(order.rate.frames(events[0].time_s))
    frames = max(1, nearest(order.rate.frames(LENGTH_S)))
    start = max(order.span.start, min(start, order.span.end + 1 - frames))
    span = FrameRange(start, min(start + frames - 1, order.span.end))
    before_s = order.rate.seconds(start - order.span.start)
    settings["events"] = tuple(
        replace(event, time_s=wire_seconds(event.time_s - before_s))
        for event in events
        if before_s <= event.time_s < before_s + LENGTH_S
    )
    settings["cuts"] = ()
    return replace(order, span=span, settings=settings, aims=())


def _playing() -> bool:
    return any(window.screen.is_animation_playing for window in bpy.context.window_manager.windows)


@persistent
def _after_change(_scene: Any, graph: Any) -> None:
    """Pictures are taken anew after anything but the scene's own settings has changed."""
    from .. import live

    session = live.session()
    preview = None if session is None else session.preview
    if preview is not None and any(not isinstance(update.id, bpy.types.Scene) for update in graph.updates):
        preview.scene_changed = True


def open_for(session: Any, scene: Any) -> None:
    """Switch it on for the panel of ``scene``. Raises WorkerNotInstalled."""
    session.warm_up()
    session.preview = Preview(scene, session.file_id)
    listeners = bpy.app.handlers.depsgraph_update_post
    if _after_change not in listeners:
        listeners.append(_after_change)


def close(session: Any) -> None:
    """Switch it off, if it is on."""
    preview, session.preview = session.preview, None
    if preview is not None:
        preview.end(session)
    listeners = bpy.app.handlers.depsgraph_update_post
    if _after_change in listeners:
        listeners.remove(_after_change)
