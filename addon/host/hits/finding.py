# SPDX-License-Identifier: GPL-3.0-or-later
"""A search for hits: the scene is read one frame a tick, or the worker looks at the pictures.

At most one search runs. It holds names and numbers, nothing of Blender's; what it found is merged into the
list in one undo step. Main thread only.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import bpy

from ...jobs import CAPTURING, QUEUED, TimeLeft
from ...wire.errors import BadInput, FootfallError
from .. import texts
from . import drag

if TYPE_CHECKING:
    from ...wire.messages import Event
    from ..orders import Order
    from ..session import Session
    from ..tracks.reading import Reading
    from .keeping import Keeping

WORDS = "Footfall is finding hits   Esc: Cancel"
PICTURES_PART = 0.8  # of the progress, where the worker looks at pictures
BUDGET_S = 0.03  # each tick has Blender draw its windows, which may take longer than to read the scene


class Search:
    """A running search of one scene. ``job_id``: of the worker's job, where that looks at the pictures."""

    def __init__(self, order: Order, kind: str) -> None:
        self.scene_uid, self.scene_name, self.file_id = order.scene_uid, order.scene_name, order.file_id
        self.span, self.rate, self.kind = order.span, order.rate, kind
        self.off_screen, self.hidden = order.off_screen, order.hidden
        self.job_id = ""
        self.reading: Reading | None = None
        self.keeping: Keeping | None = None  # of what was found, on its way into the list
        self.notes: list[str] = []
        self.progress = 0.0
        self.left = TimeLeft()


class _State:
    search: Search | None = None
    told = ""  # how the last one ended
    failed = False
    scene_uid = 0  # of the scene that it was for


def running() -> Search | None:
    """The search that goes on now."""
    return _State.search


def drawing() -> bool:
    """Whether the scene is being read, so that nothing else may change its frame."""
    return _State.search is not None and _State.search.reading is not None


def told(scene: Any) -> tuple[str, bool]:
    """(how the last search of ``scene`` ended, whether it failed); "" when there is nothing to say."""
    return (_State.told, _State.failed) if _State.scene_uid == scene.session_uid else ("", False)


def forget() -> None:
    """What was said about the last search holds no more."""
    _State.told, _State.failed = "", False


def begin(context: bpy.types.Context, session: Session) -> None:
    """Start to search the shot that the panel shows. Raises FootfallError."""
    from .. import orders, sequencer

    if _State.search is not None:
        raise BadInput("A search is running already; wait for it, or cancel it.")
    scene = orders.panel_scene(context)
    sequencer.require_editable(scene)
    order = orders.to_search(scene, session.file_id)
    search = Search(order, order.hits)
    if order.hits == "pixels":
        search.job_id = session.add(order)
    _State.search, _State.scene_uid = search, scene.session_uid
    forget()


def cancel(session: Session | None) -> None:
    """End the search; the list stays as it is, unless a part of what was found is in it already."""
    search, _State.search = _State.search, None
    if search is None:
        return
    here = session is None or search.file_id == session.file_id
    if here and search.keeping is not None and search.keeping.writing:
        with contextlib.suppress(BadInput):  # a scene that is gone needs no list
            search.keeping.finish()
    if search.reading is not None:
        search.reading.abort()
    if search.job_id and session is not None:
        session.cancel(search.job_id)


def step(session: Session) -> bool:
    """A little of the search; whether anything has changed. Waits its turn while pictures are taken."""
    search = _State.search
    if search is None:
        return False
    if search.file_id != session.file_id:
        cancel(session)
        return True
    if search.job_id:
        return _follow(session, search)
    if search.reading is None and session.capture is not None:
        return False
    _State.search = None  # unless it goes on
    try:
        going_on = _go_on(session, search)
    except FootfallError as error:
        _end(error.sentence, failed=True)
        return True
    if going_on:
        _State.search = search
    return True


def _go_on(session: Session, search: Search) -> bool:
    """Read a frame, or keep a little of what was found; whether there is more to do."""
    scene = _scene(search)
    if search.keeping is not None:
        session.did = "keep"
        if drag.holding() or search.keeping.step():
            return True
        _end(" ".join([search.keeping.sentence, *search.notes]))
        return False
    session.did = "picture"
    if search.kind == "scene" and _read_on(session, search, scene):
        return True
    from .keeping import Keeping

    session.did = "restore"
    found: tuple[Event, ...] = ()  # the markers' come in any case
    if search.reading is not None:
        found, search.notes, search.reading = search.reading.finish(), search.reading.notes, None
    search.keeping = Keeping(scene, found, search.span, search.rate, "scene")
    return True


def _read_on(session: Session, search: Search, scene: Any) -> bool:
    if search.reading is None:
        from ..tracks.reading import Reading

        search.reading = Reading(
            scene, search.span, search.rate, off_camera=search.off_screen, hidden=search.hidden
        )
    if not search.reading.step(budget_s=BUDGET_S):
        return False
    search.progress = search.reading.progress
    search.left.update(session.clock(), search.progress, -1.0)
    return True


def _follow(session: Session, search: Search) -> bool:
    """Watch the worker's job, whose end ``keep_found`` hears of."""
    job = session.table.get(search.job_id)
    if job is not None and job.active:
        drawn = job.state not in (QUEUED, CAPTURING)
        progress = (
            PICTURES_PART + (1.0 - PICTURES_PART) * job.fraction if drawn else PICTURES_PART * job.fraction
        )
        changed, search.progress = progress != search.progress, progress
        search.left.update(session.clock(), progress, -1.0)
        return changed
    if job is None or job.state in ("failed", "cancelled"):
        _State.search = None
        _end("" if job is None or job.state == "cancelled" else job.sentence, failed=True)
        return True
    return False


def keep_found(session: Session, job: Any, scene: Any, budget_s: float) -> str | None:
    """What the worker's job has found in the pictures goes into the list of ``scene``, for ``budget_s``; in
    words what has become of it, None while there is more to do.
    """
    from .keeping import Keeping

    keeping = session.placing
    if not isinstance(keeping, Keeping) or keeping.found is not job.result.events:
        order = session.works[job.job_id].order
        keeping = Keeping(scene, job.result.events, order.span, order.rate, "pixels")
        session.placing = keeping
    if drag.holding() or keeping.step(budget_s):
        return None
    session.placing = None
    if _State.search is not None and _State.search.job_id == job.job_id:
        _State.search = None
        _end(keeping.sentence)
    return keeping.sentence


def _end(sentence: str, *, failed: bool = False) -> None:
    _State.told, _State.failed = texts.clean(sentence), failed


def _scene(search: Search) -> Any:
    from .. import sequencer

    scene = sequencer.find_scene(search.scene_name, search.scene_uid)
    if scene is None:
        raise BadInput("The scene is gone; open it again and find its hits once more.")
    return scene


def close() -> None:
    """End the search, if there is one, and forget the last."""
    cancel(None)
    forget()
