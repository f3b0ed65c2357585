# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs whose turn it is are drawn: one picture a tick, then the request goes to the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..jobs import CAPTURING
from ..wire.errors import BadInput, FootfallError
from . import texts

if TYPE_CHECKING:
    from .capture import Capture
    from .session import Session


class Running:
    """The capture of one job. ``progress``: 0..1."""

    def __init__(self, job_id: str, capture: Capture) -> None:
        self.job_id = job_id
        self.capture = capture
        self.complete = False
        self.pictures: tuple[Any, Any] | None = None

    @property
    def progress(self) -> float:
        return self.capture.progress

    def abort(self) -> None:
        """Stop, and give the user's frame and poses back."""
        self.capture.abort()


def step(session: Session) -> bool:
    """Begin, continue or finish the capture of one job; whether anything has changed. At most one picture."""
    try:
        if session.capture is not None:
            session.touched = session.capture.job_id
            return _continue(session, session.capture)
        job = session.waiting()
        if job is None:
            return False
        session.touched = job.job_id
        return _begin(session, job.job_id)
    except FootfallError as error:
        session.fail(session.touched, error)
        return True


def _begin(session: Session, job_id: str) -> bool:
    work = session.works[job_id]
    session.did = "begin"
    if work.request is not None:  # another try of a job that was drawn before
        session.send(job_id, work.request, _blend_path(session, job_id))
        return True
    from . import capture

    order = work.order
    if order.file_id != session.file_id:
        raise BadInput("Another file is open now; open the shot again and start once more.")
    scene = _scene(order.scene_name, order.scene_uid)
    options = capture.CaptureOptions(
        scene=scene.name,
        start=order.span.start,
        end=order.span.end,
        per_second=order.per_second,
        route=order.source,
    )
    session.table.move(job_id, CAPTURING, session.clock())
    session.capture = Running(job_id, capture.begin(bpy.context, options))
    return True


def _continue(session: Session, running: Running) -> bool:
    job = session.table.get(running.job_id)
    try:
        if not running.complete:
            session.did = "picture"
            running.complete = not running.capture.step()
            if job is not None:
                job.fraction = running.progress
            return True
        if running.pictures is None:  # restoring and sending have a tick each
            session.did = "restore"
            running.pictures = running.capture.finish()
            return True
    except FootfallError:
        session.capture = None
        raise
    session.did, session.capture = "send", None
    request = _request(session, running, *running.pictures)
    session.send(running.job_id, request, _blend_path(session, running.job_id))
    return True


def _request(session: Session, running: Running, frames: Any, times_s: Any) -> Any:
    from ..timeline import wire_seconds
    from ..wire.messages import FoleyRequest
    from . import events

    work = session.works[running.job_id]
    order = work.order
    settings = dict(order.settings)
    if "events" not in settings and "spots" in settings["layers"]:
        scene = _scene(order.scene_name, order.scene_uid)
        settings["events"] = events.read(scene, order.span, order.rate)
    duration_s = wire_seconds(order.span.duration_s(order.rate))
    return FoleyRequest(frames=frames, times_s=times_s, duration_s=duration_s, **settings)


def _scene(name: str, uid: int) -> bpy.types.Scene:
    from . import sequencer

    scene = sequencer.find_scene(name, uid)
    if scene is None:
        raise BadInput(f"The scene “{texts.clean(name, 60)}” is gone; undo its deletion, then try again.")
    return scene


def _blend_path(session: Session, job_id: str) -> str:
    return session.paths.get(session.works[job_id].order.file_id, "")
