# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes to the clipboard when somebody wants to report a problem: facts, no pictures, no keys."""

from __future__ import annotations

import platform

import bpy

from .. import pump
from ..session import Session
from . import setup as setup_worker

LOG_LINES = 40


def of_job(session: Session, job_id: str) -> str:
    """Everything known about one job, and the end of the worker's log."""
    job = session.table.get(job_id)
    if job is None:
        return ""
    order = session.works[job_id].order
    lines = [
        *_versions(),
        f"Worker: {session.status.state}, {session.status.device}, started {session.status.starts} times",
        f"Job: {job.state} in {job.phase or 'no phase'} at {job.fraction:.0%}, code {job.code}",
        f"Frames {order.span.start}-{order.span.end} at {order.rate.per_second}/s, {order.source}",
        f"Settings: {dict(order.settings, events=len(order.settings.get('events', ())))}",
        f"Slowest tick: {max((took for _, took in pump.times), default=0.0) * 1000:.0f} ms",
        "",
        job.sentence,
        job.detail,
        "",
        *_log(session),
    ]
    return "\n".join(lines)


def of_setup() -> str:
    """Why Set Up Worker failed."""
    error = setup_worker.failure()
    said = [error.sentence, error.detail] if error is not None else []
    return "\n".join([*_versions(), "", *said])


def of_log(session: Session | None) -> str:
    """The end of the worker's log."""
    return "\n".join(_log(session)) if session is not None else ""


def _versions() -> list[str]:
    from .... import __version__

    return [
        f"Footfall {__version__}, Blender {bpy.app.version_string}, Python {platform.python_version()}",
        platform.platform(),
    ]


def _log(session: Session) -> list[str]:
    return session.client.log_tail(LOG_LINES) if session.client is not None else []
