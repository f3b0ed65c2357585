# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the interface share: a worker that is a fake, a shot, and turning the pump by hand."""

from __future__ import annotations

import contextlib
import importlib.util
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import footfall
import pytest

IS_MODULE = not bpy.app.binary_path  # Blender as a Python module, not a program
ROOT = Path(__file__).resolve().parents[2]
FAKE_WORKER = ROOT / "tests" / "fakes" / "fake_worker.py"
PATIENCE_S = 60.0


@contextlib.contextmanager
def enabled_addon(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on, enabled with a fake worker; all that it keeps lies in ``folder``."""
    from footfall.addon.host.panel import ready

    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(fake_python(folder)))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    footfall.register()
    ready.forget()
    try:
        yield
    finally:
        footfall.unregister()


def fake_python(folder: Path) -> Path:
    """A program that stands where the worker's Python would, and runs the fake worker whatever it is told."""
    program = folder / "python with spaces"
    program.write_text(f'#!/bin/sh\nexec "{_python()}" -I "{FAKE_WORKER}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def _python() -> Path:
    """A Python that can run the fake worker: this one, or the checkout's own inside a full Blender."""
    if importlib.util.find_spec("psutil") is not None and importlib.util.find_spec("zmq") is not None:
        return Path(sys.executable)
    own = ROOT / ".venv" / "bin" / "python"
    if not own.exists():
        pytest.skip("NO PYTHON for the fake worker: neither Blender's nor the checkout's has what it needs")
    return own


def movie_of_colours(scene: bpy.types.Scene, frames: int = 24) -> None:
    """A shot that needs no camera and renders in no time: a colour strip in the sequencer."""
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    length = {"length": frames} if bpy.app.version >= (5, 0) else {"frame_end": frames + 1}
    strips.new_effect(name="Colour", type="COLOR", channel=1, frame_start=1, **length)


def our_strips(scene: bpy.types.Scene) -> list[Any]:
    """The strips that Footfall made in ``scene``."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    found = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    return [strip for strip in found if strip.get("footfall_uuid")]


def turn(session: Any, until: Callable[[], bool]) -> None:
    """Turn the pump, as the timer would, until ``until`` is true."""
    from footfall.addon.host import pump

    deadline = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < deadline, [(job.state, job.sentence) for job in session.table.all()]
        pump.tick()
        if session.client is not None and session.capture is None:
            for event in session.client.wait(0.01):
                session.take(event)


def states(session: Any) -> list[str]:
    """The states of all jobs, oldest first."""
    return [job.state for job in session.table.all()]
