# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker as Blender shows it: is there an environment, and how far is the one being made.

The work itself is done by child processes (addon/setup/making.py); the pump looks at them through ``poll``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy

from ...wire.errors import FootfallError
from .. import texts
from ..settings import Settings

ROOT = Path(__file__).resolve().parents[3]
FRESH_S = 2.0  # how long the panel believes what it saw on disk


class _Setup:
    """The running setup, what it or the last one said, and the folder's state as it was last seen."""

    def __init__(self) -> None:
        self.run: Any = None  # setup.making.WorkerSetup
        self.progress: Any = None  # setup.making.SetupProgress
        self.status: Any = None  # setup.environment.EnvironmentStatus
        self.folder: Path | None = None
        self.looked = 0.0


_setup = _Setup()


def status(settings: Settings, *, fresh: bool = False) -> Any:
    """The setup.environment.EnvironmentStatus of the worker folder; from memory for a moment unless
    ``fresh``.
    """
    from ...setup import environment as worker_environment

    now = time.monotonic()
    known = _setup.status is not None and _setup.folder == settings.worker_folder
    if fresh or not known or now - _setup.looked > FRESH_S:
        needed = worker_environment.requirements(ROOT)
        _setup.status = worker_environment.look(settings.worker_folder, needed)
        _setup.folder, _setup.looked = settings.worker_folder, now
    return _setup.status


def interpreter(settings: Settings) -> Path | None:
    """What to start the worker with: the one that is named, else the one that was set up; None if neither."""
    return settings.worker_python or status(settings, fresh=True).python


def ready(settings: Settings) -> bool:
    """Whether there is something to start the worker with; for the panel."""
    return settings.remote or settings.worker_python is not None or status(settings).python is not None


def why_not(settings: Settings) -> str:
    """What a button that needs the worker says where there is none; "" where there is."""
    return "" if ready(settings) else "Set up the worker first"


def begin(settings: Settings) -> None:
    """Start to make the environment. Raises a FootfallError when that makes no sense now."""
    from ...setup.making import WorkerSetup

    if running():
        return
    base = Path(settings.base_python) if settings.base_python else None
    _setup.progress = None
    _setup.run = WorkerSetup(settings.worker_folder, ROOT, online=settings.online, base=base)


def cancel() -> None:
    """Stop it; what was downloaded is kept for the next time."""
    if _setup.run is not None:
        _setup.run.cancel()


def running() -> bool:
    return _setup.run is not None


def failure() -> FootfallError | None:
    """Why the last setup failed; None if it did not."""
    return getattr(_setup.progress, "error", None)


def poll() -> bool:
    """Look how far it is; whether something has changed. Cheap, never raises on what a child does."""
    if _setup.run is None:
        return False
    before, _setup.progress = _setup.progress, _setup.run.poll()
    if _setup.progress.state != "running":
        _setup.run, _setup.status = None, None
    return before != _setup.progress


def close() -> None:
    """Stop at once and forget; the add-on is being disabled."""
    if _setup.run is not None:
        _setup.run.close()
    _setup.__init__()  # type: ignore[misc]


def draw(layout: bpy.types.UILayout, settings: Settings, width: int) -> None:
    """What there is to say about the environment, and what to press; nothing when all is well.

    width: characters that fit on a line.
    """
    if running():
        _draw_running(layout, width)
        return
    if settings.remote or settings.worker_python is not None:  # nothing is needed here
        return
    found = status(settings)
    failed = failure()
    if found.state == "ready" and failed is None:
        return
    words = failed.sentence if failed is not None else found.sentence
    if found.state == "missing" and failed is None:
        words = "Footfall needs its worker, the program beside Blender that makes the sound."
    box = layout.box()
    column = box.column(align=True)
    column.alert = failed is not None
    for number, line in enumerate(texts.wrap(words, width - 4)):
        column.label(text=line, icon="BLANK1" if number else "ERROR" if failed is not None else "INFO")
    row = box.row(align=True)
    row.scale_y = 1.3
    row.operator("footfall.setup_worker", icon="IMPORT")
    if failed is not None:
        row.operator("footfall.copy_setup_details", text="", icon="COPYDOWN")


def _draw_running(layout: bpy.types.UILayout, width: int) -> None:
    progress = _setup.progress
    box = layout.box()
    box.label(text="Setting up the worker", icon="IMPORT")
    row = box.row(align=True)
    fraction = progress.fraction if progress is not None else 0.0
    row.progress(factor=fraction, text=f"{fraction:.0%}")
    row.operator("footfall.cancel_setup", text="", icon="X")
    column = box.column(align=True)
    column.active, column.scale_y = False, 0.85
    for line in texts.wrap(progress.words if progress is not None else "Starting", width - 2):
        column.label(text=line)
