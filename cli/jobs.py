# SPDX-License-Identifier: GPL-3.0-or-later
"""One request through a worker of its own: start it, show progress, cancel on Ctrl-C, hand back the
result.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from .. import __version__
from ..addon.folders import log_folder, models_folder
from ..addon.wire.errors import Cancelled, from_code
from ..addon.wire.handshake import WorkerSettings
from ..addon.wire.messages import (
    Failed,
    FoleyRequest,
    Made,
    PictureRequest,
    PictureResult,
    Progress,
    Request,
    Result,
)
from ..addon.worker.client import JobClient, Launch, WorkerLaunch
from ..addon.worker.reports import FAILED, WorkerStatus
from .progress import ProgressLine

LAUNCHER = Path(__file__).resolve().parent.parent / "server" / "launch.py"
TURN_S = 0.5  # Ctrl-C is looked at this often


def worker_launch(models: Path | None = None) -> WorkerLaunch:
    """A worker in this very Python, which has what it needs when the command line does."""

    def settings(key: str) -> WorkerSettings:
        return WorkerSettings(
            key=key,
            parent_pid=os.getpid(),
            models_dir=str((models or models_folder()).absolute()),
            log_dir=str(log_folder()),
        )

    return WorkerLaunch(python=Path(sys.executable), script=LAUNCHER, settings=settings)


def run_job(request: FoleyRequest, launch: Launch, line: ProgressLine, job_id: str = "") -> Result:
    """The worker's sound; ``job_id``: a new one if empty. Raises as ``_run``."""
    made = _run(request, launch, line, job_id)
    assert isinstance(made, Result)  # the client lets no other answer through
    return made


def run_pictures(request: PictureRequest, launch: Launch, line: ProgressLine) -> PictureResult:
    """The worker's pictures. Raises as ``_run``."""
    made = _run(request, launch, line, "")
    assert isinstance(made, PictureResult)
    return made


def _run(request: Request, launch: Launch, line: ProgressLine, job_id: str) -> Made:
    """The worker's answer.

    Raises the FootfallError that the worker reports, and Cancelled after Ctrl-C; the worker is always
    ended.
    """
    client = JobClient(launch, version=__version__)
    job_id = job_id or secrets.token_hex(16)
    try:
        client.submit(job_id, request)
        while True:
            for event in client.wait(TURN_S):
                if isinstance(event, Made):
                    return event
                if isinstance(event, Failed):
                    raise from_code(event.code, event.sentence, event.detail)
                if isinstance(event, Progress):
                    line.show(event.phase, event.fraction)
                elif isinstance(event, WorkerStatus) and event.state != FAILED:
                    line.show(f"worker {event.state}", 0.0)
    except KeyboardInterrupt:
        raise Cancelled from None
    finally:
        client.close()
