# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs whose turn it is are drawn: one picture a tick, then the request goes to the worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import bpy

from ... import words_only
from ...jobs import CAPTURING
from ...wire.errors import BadInput, FootfallError
from ...words_only import SOURCE
from .. import texts
from ..orders import wants_hits

if TYPE_CHECKING:
    from ..orders import Order
    from ..session import Session
    from ..tracks.reading import Reading
    from .capture import Capture
    from .none import NoPictures

TRACKS = f"{(__package__ or '').rpartition('.')[0]}.tracks"
PICTURES_PART = 0.7  # of the progress, where hits are read as well


class Running:
    """The capture of one job, and where hits are read from the scene's motion the reading that goes along.

    progress: 0..1.
    """

    def __init__(self, job_id: str, capture: Capture | NoPictures) -> None:
        self.job_id = job_id
        self.capture = capture
        self.complete = False
        self.pictures: tuple[Any, Any] | None = None
        self.reads = False  # hits are to be read, and that has not begun
        self.reading: Reading | None = None
        self.hits: tuple[Any, ...] | None = None

    @property
    def progress(self) -> float:
        if self.reading is None and self.hits is None:
            return self.capture.progress
        read = self.reading.progress if self.reading is not None else 1.0
        return self.capture.progress * PICTURES_PART + read * (1.0 - PICTURES_PART)

    @property
    def reads_next(self) -> bool:
        """Whether the next frame is read before the next picture is taken."""
        if self.reading is None:
            return False
        read, picture = self.reading.next_frame, self.capture.next_frame
        if picture is None:  # all are taken; or physics come first, which the reading plays for the camera
            return self.complete or self.capture.route == "camera"
        return read is not None and read <= picture

    def abort(self) -> None:
        """Stop, and give the user's frame and poses back."""
        if self.reading is not None:
            self.reading.abort()
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


def _load(order: Order) -> bool:
    """Load one of the large modules that this job needs; a tick for each. False: they are all there."""
    if f"{__package__}.capture" not in sys.modules:
        from . import capture  # noqa: F401
    elif _reads(order) and f"{TRACKS}.things" not in sys.modules:
        from ..tracks import things as track_things  # noqa: F401
    elif _reads(order) and f"{TRACKS}.reading" not in sys.modules:
        from ..tracks import reading as tracks  # noqa: F401
    else:
        return False
    return True


def _begin(session: Session, job_id: str) -> bool:
    work = session.works[job_id]
    session.did = "begin"
    if work.request is not None:  # another try of a job that was drawn before
        session.send(job_id, work.request, _blend_path(session, job_id))
        return True
    if _load(work.order):
        session.did = "load"
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
        motion=_motion(order),
    )
    session.table.move(job_id, CAPTURING, session.clock())
    running = capture.begin(bpy.context, options)
    session.capture = Running(job_id, running)
    # What the sequencer shows is not the scene's own motion.
    session.capture.reads = _reads(order) and running.route != "sequencer"
    return True


def _continue(session: Session, running: Running) -> bool:
    job = session.table.get(running.job_id)
    try:
        if running.pictures is None:  # beginning, restoring and sending have a tick each
            session.did = "picture"
            if running.reads:
                session.did, running.reads = "begin", False
                running.reading = _reading(session, running)
            elif running.reads_next:
                _read_on(session, running)
            elif not running.complete:
                running.complete = not running.capture.step()
            else:
                session.did = "restore"
                running.pictures = running.capture.finish()
            if job is not None:
                job.fraction = running.progress
            return True
    except FootfallError:
        running.abort()
        session.capture = None
        raise
    session.did, session.capture = "send", None
    request = _request(session, running, *running.pictures)
    session.send(running.job_id, request, _blend_path(session, running.job_id))
    return True


def _read_on(session: Session, running: Running) -> None:
    """Read hits as far as the next picture, or to the end: both go through the frames together."""
    reading, capture = running.reading, running.capture
    assert reading is not None
    plays = capture.route == "camera"
    if not capture.beside(lambda: reading.step(until=capture.next_frame), plays=plays):
        running.hits, running.reading = reading.finish(), None
        session.works[running.job_id].notes += reading.notes


def _reads(order: Order) -> bool:
    """Where hits are wanted and nobody has said where they are, the scene's motion tells; but what is heard
    without being seen is not what moves there.
    """
    return (
        order.source != SOURCE
        and order.hits == "scene"
        and "events" not in order.settings
        and wants_hits(order.settings)
    )


def _motion(order: Order) -> str:
    """When the worker is to look for hits in small pictures of every frame: see CaptureOptions."""
    if order.source == SOURCE:
        return "never"
    settings = order.settings
    known = "events" in settings and bool(settings["layers"])
    asked = wants_hits(settings) or not settings["layers"]
    if known or not (asked or settings.get("hard_cuts")):
        return "never"
    if asked and order.hits == "pixels":
        return "always"
    # Footage has no motion of its own that could be read, and no cuts that the scene knows of.
    return "never" if asked and order.hits == "markers" else "footage"


def _reading(session: Session, running: Running) -> Reading:
    from ..tracks.reading import Reading

    order = session.works[running.job_id].order
    scene = _scene(order.scene_name, order.scene_uid)
    return Reading(scene, order.span, order.rate, off_camera=order.off_screen, hidden=order.hidden)


def _request(session: Session, running: Running, frames: Any, times_s: Any) -> Any:
    from ...hits.listed import strong
    from ...hits.merge import with_markers
    from ...timeline import wire_seconds
    from ...wire.limits import CUTS
    from ...wire.messages import FoleyRequest
    from ..hits import events
    from ..tracks.view import cut_frames

    work = session.works[running.job_id]
    order = work.order
    settings = dict(order.settings)
    scene = _scene(order.scene_name, order.scene_uid)
    if "events" not in settings and wants_hits(settings):
        marked = events.read(scene, order.span, order.rate)
        found = with_markers(running.hits or (), marked, order.rate.seconds(1))
        settings["events"] = strong(found, settings.get("least_strength", 0.0))
    if order.source == SOURCE:
        settings |= _unseen(settings)
    elif settings.get("hard_cuts") and running.capture.route != "sequencer":
        cuts = cut_frames(scene, order.span)[:CUTS]
        settings["cuts"] = tuple(wire_seconds(order.span.time_s(frame, order.rate)) for frame in cuts)
    if running.capture.motion is not None:
        settings |= {"motion": running.capture.motion.grey, "motion_rate": running.capture.motion.plan.rate}
    duration_s = wire_seconds(order.span.duration_s(order.rate))
    return FoleyRequest(frames=frames, times_s=times_s, duration_s=duration_s, **settings)


def _unseen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a job that words alone decide. Spots that nobody has set are not missed.

    Raises BadInput without words.
    """
    from ..worker import bundles

    if not settings.get("prompt", "").strip():
        raise BadInput("Without a picture the words decide; write in the prompt what is to be heard.")
    found: dict[str, Any] = {}
    if settings.get("condition", "picture") == "picture":
        found["condition"] = words_only.condition("auto", bundles.queries_of(settings.get("bundle", "")))
    if "bed" in settings.get("layers", ()) and not settings.get("events"):
        # Nothing is in front of this bed: the words are for it.
        found |= {"layers": ("bed",), "in_sync": False, "background": ""}
    return found


def _scene(name: str, uid: int) -> bpy.types.Scene:
    from .. import sequencer

    scene = sequencer.find_scene(name, uid)
    if scene is None:
        raise BadInput(f"The scene “{texts.clean(name, 60)}” is gone; undo its deletion, then try again.")
    return scene


def _blend_path(session: Session, job_id: str) -> str:
    return session.paths.get(session.works[job_id].order.file_id, "")
