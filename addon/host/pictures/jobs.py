# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that picture a sound: the sound is read a few seconds a tick, then goes to the worker; what comes back
is written on the client's thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...jobs import CAPTURING, QUEUED, Job
from ...pictures.delivery import deliver
from ...pictures.story import asked
from ...wire.errors import FootfallError
from ...wire.messages import PictureRequest
from .orders import PictureOrder
from .sound import Reading

if TYPE_CHECKING:
    from ..session import Session


class _Reader:
    """The sound that is being read, and for which job."""

    job_id = ""
    reading: Reading | None = None


_reader = _Reader()


def step(session: Session) -> bool:
    """Begin jobs that wait, and read on for the first whose sound is not there yet; whether anything has
    changed.
    """
    begun = _jobs(session, QUEUED)
    for job in begun:
        _begin(session, job.job_id)
    waiting = _jobs(session, CAPTURING)
    if not waiting:
        _forget()
        return bool(begun)
    first = waiting[0]
    session.touched, session.did = first.job_id, "sound"
    try:
        _read(session, first)
    except FootfallError as error:
        _forget()
        session.fail(first.job_id, error)
    return True


def _begin(session: Session, job_id: str) -> None:
    work = session.works[job_id]
    if work.request is None:
        session.table.move(job_id, CAPTURING, session.clock())
        return
    try:
        session.send(job_id, work.request, _blend_path(session, work.order))
    except FootfallError as error:
        session.fail(job_id, error)


def _read(session: Session, job: Job) -> None:
    """Read a little of the sound, or send what is read. Raises FootfallError."""
    order: Any = session.works[job.job_id].order
    if _reader.job_id != job.job_id or _reader.reading is None:
        _forget()
        _reader.job_id, _reader.reading = job.job_id, Reading(order.sound)
    elif _reader.reading.progress < 1.0:
        _reader.reading.step()
        job.fraction = _reader.reading.progress
    else:
        rate_hz, waveform = _reader.reading.rate_hz, _reader.reading.finish()
        _forget()
        session.send(job.job_id, _request(order, waveform, rate_hz), _blend_path(session, order))


def _jobs(session: Session, state: str) -> list[Job]:
    works = session.works
    return [
        job
        for job in session.table.all()
        if job.state == state and isinstance(works[job.job_id].order, PictureOrder)
    ]


def _blend_path(session: Session, order: Any) -> str:
    return session.paths.get(order.file_id, "")


def writer(order: PictureOrder, request: PictureRequest) -> Callable[..., Any]:
    """Writes the result of ``request``: called with it and a save.SaveTarget, on the client's thread."""
    what = asked(request, order.sound.name, order.sound.start_s)
    return functools.partial(_write, order.board, what)


def _write(board: Any, what: Any, result: Any, target: Any) -> Any:
    return deliver(result, board, what, target)


def _request(order: PictureOrder, waveform: Any, rate_hz: int) -> PictureRequest:
    # The last sample may lie a little before the end of the last part: lengths are rounded to samples.
    end_s = Fraction(len(waveform), rate_hz)
    starts_s = tuple(min(start, end_s - Fraction(1, rate_hz)) for start, _ in order.windows)
    ends_s = tuple(min(end, end_s) for _, end in order.windows)
    return PictureRequest(
        waveform=waveform, rate_hz=rate_hz, starts_s=starts_s, ends_s=ends_s, **order.settings
    )


def _forget() -> None:
    if _reader.reading is not None:
        _reader.reading.close()
    _reader.job_id, _reader.reading = "", None
