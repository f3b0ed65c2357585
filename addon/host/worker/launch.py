# SPDX-License-Identifier: GPL-3.0-or-later
"""How to come by a worker with the present preferences: a process of our own, or one on another computer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import folders
from ...wire.errors import WorkerNotInstalled
from .. import settings
from . import setup

if TYPE_CHECKING:
    from ...worker.process import WorkerLaunch
    from ...worker.remote import RemoteLaunch

    Launch = WorkerLaunch | RemoteLaunch

LAUNCHER = Path(__file__).resolve().parents[3] / "server" / "launch.py"


def make_launch(now: settings.Settings, latest: Callable[[], settings.Settings]) -> Launch:
    """How to come by the worker. ``latest`` hands out a snapshot, since it is asked on another thread.

    Raises WorkerNotInstalled when there is no environment to start it from, and BadInput when a worker on
    another computer is wanted and its address or keys are wrong.
    """
    from ...worker.process import WorkerLaunch

    if now.remote:
        from ...worker.remote import remote_launch

        return remote_launch(now.remote_address, now.remote_keys, folders.log_folder())
    python = setup.interpreter(now)
    if python is None:
        raise WorkerNotInstalled("Footfall's worker is not set up yet; press Set Up Worker.")
    return WorkerLaunch(python=python, script=LAUNCHER, settings=functools.partial(_worker_settings, latest))


def _worker_settings(latest: Callable[[], settings.Settings], key: str) -> Any:
    import os

    from ...wire.handshake import WorkerSettings

    now = latest()
    return WorkerSettings(
        key=key,
        parent_pid=os.getpid(),
        models_dir=str(now.models_folder),
        log_dir=str(folders.log_folder()),
        device=now.device,
        memory_limit_mb=now.memory_limit_mb,
        idle_s=now.idle_s,
        online=now.online,
    )
