# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says of a worker that is up: the newest news counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from footfall.addon.worker import supervisor as life
from footfall.addon.worker.conductor import Conductor
from footfall.addon.worker.reports import BUSY, LOADING, READY


@pytest.mark.parametrize(
    ("job_id", "phase", "pong", "state"),
    [
        ("", "", "idle", READY),
        ("", "", "loading", READY),  # the job is done, the pong is from before
        ("a job", "", "loading", LOADING),
        ("a job", "loading", "idle", LOADING),
        ("a job", "sampling", "loading", BUSY),
        ("a job", "", "idle", BUSY),
    ],
)
def test_an_old_pong_does_not_count(job_id: str, phase: str, pong: str, state: str) -> None:
    conductor = object.__new__(Conductor)
    conductor._problem = None
    conductor.worker = SimpleNamespace(
        state=life.UP, pong=SimpleNamespace(state=pong), error=None, quiet=False
    )
    conductor.jobs = SimpleNamespace(phase=phase, job_id=job_id)
    assert conductor._state() == (state, "")
