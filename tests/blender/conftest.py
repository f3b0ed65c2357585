# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender around each test: an empty file of its own, in a process that never loads torch.

Runs with the bpy module, and inside a full Blender through pytest-blender. Where there is no Blender, every
file is skipped aloud. Blender may crash on its way out when all is done, so the process ends with pytest's
own verdict as soon as that has been printed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

with (
    warnings.catch_warnings()
):  # what Blender's own modules warn about while they load is not ours to fail for
    warnings.simplefilter("ignore")
    BLENDER = importlib.util.find_spec("bpy") is not None
    if BLENDER:
        import bpy

_verdict = 3  # an internal error, until a session has ended
_measured: list[str] = []


def _find_footfall() -> None:
    """Make ``footfall`` the package at the root, as the worker's launcher does: a full Blender has none."""
    if importlib.util.find_spec("footfall") is None:
        spec = importlib.util.spec_from_file_location(
            "footfall", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["footfall"] = module
        spec.loader.exec_module(module)


_find_footfall()


class _Absent(pytest.Module):
    def collect(self) -> Any:
        pytest.skip(
            "NO BLENDER: neither the bpy module nor a full Blender runs this", allow_module_level=True
        )


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    """Without Blender a test file is named and skipped rather than imported."""
    return None if BLENDER else _Absent.from_parent(parent, path=module_path)


def pytest_report_header() -> str:
    """Which Blender it is."""
    if not BLENDER:
        return "NO BLENDER: tests/blender does not run"
    sound = "" if bpy.app.build_options.audaspace else ", WITHOUT AUDIO: its sound tests do not run"
    return f"Blender {bpy.app.version_string}{sound}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What tests have measured, for whoever wants the figures."""
    if _measured:
        terminalreporter.section("measured")
        for line in _measured:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember the verdict; that nothing ran for want of a Blender has been said, and is no failure."""
    global _verdict
    if not BLENDER and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK
    _verdict = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The last word: everything is reported, and what Blender does at exit is no verdict on the tests.

    Where pytest-blender runs the tests in another process, that process has the last word.
    """
    if BLENDER and not config.pluginmanager.hasplugin("pytest-blender"):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.flush()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        os._exit(_verdict)


@pytest.fixture(autouse=True)
def empty_file() -> Iterator[None]:
    """An unsaved, empty file with factory settings and one undo step, as a user has who has just begun."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.ed.undo_push(message="Original")
    yield
    if "torch" in sys.modules:
        pytest.exit("torch and bpy were loaded into one process", returncode=3)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Puts a figure into the report, under the test's name."""
    return lambda line: _measured.append(f"{request.node.name}: {line}")


@pytest.fixture
def audio() -> None:
    """For tests that need sound: the 4.2 module has none."""
    if not bpy.app.build_options.audaspace:
        pytest.skip(f"NO AUDIO in this Blender ({bpy.app.version_string}): sound is not tested here")


JOB = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def sound() -> Callable[..., Any]:
    """Makes a wire Clip: ``sound(start_s, take=0, layer="bed", waveform=None, seconds=0.5, label="")``."""
    import numpy as np
    from footfall.addon.wire.messages import Clip

    def make(start_s: Any = 0, **more: Any) -> Any:
        rate_hz = more.get("rate_hz", 48_000)
        waveform = more.get("waveform")
        if waveform is None:
            waveform = np.full((int(more.get("seconds", 0.5) * rate_hz), 1), 0.5, np.float32)
        return Clip(
            take=more.get("take", 0),
            layer=more.get("layer", "bed"),
            start_s=Fraction(start_s),
            rate_hz=rate_hz,
            waveform=waveform,
            label=more.get("label", ""),
            group=more.get("group", -1),
        )

    return make


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Any]:
    """Writes clips as a job would: ``store(clips, rate, start_frame=1, job_id=JOB)`` -> Stored."""
    from footfall.addon.sounds import delivery, save
    from footfall.addon.sounds.placement import Shot
    from footfall.addon.takes import provenance
    from footfall.addon.wire.messages import Result
    from footfall.tests.fakes.stories import MODEL

    def make(
        clips: Any,
        rate: Any,
        start_frame: Any = 1,
        job_id: str = JOB,
        folder: Path | None = None,
        aims: Any = (),
    ) -> Any:
        return delivery.deliver(
            Result(job_id=job_id, clips=tuple(clips), provenance=MODEL),
            Shot(start_frame=Fraction(start_frame), rate=rate),
            provenance.Asked(settings={"seed": 7, "prompt": "wet"}, shot={"scene": "Scene"}),
            save.choose_folder(bpy.data.filepath, "", folder or tmp_path / "sounds"),
            aims,
        )

    return make
