# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling and disabling: quick, light, complete both ways, and twenty times over."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import footfall
import pytest
from footfall.addon.host import live, properties, pump, registration
from footfall.addon.wire import messages
from footfall.tests.blender import host_tools

ENABLE_S = 0.05


@pytest.fixture(autouse=True)
def disabled_afterwards() -> Iterator[None]:
    yield
    if hasattr(bpy.types.Scene, "footfall"):
        footfall.unregister()


def traces() -> dict[str, object]:
    """Everything that could be left behind."""
    lists = (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers))
    return {
        "classes": sorted(name for name in dir(bpy.types) if name.startswith("FOOTFALL_")),
        "operators": sorted(name for name in dir(bpy.ops.footfall) if not name.startswith("_")),
        "property": hasattr(bpy.types.Scene, "footfall"),
        "handlers": sum(len(found) for found in lists if isinstance(found, list)),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "timer": bpy.app.timers.is_registered(pump.tick),
        "session": live.session() is not None,
    }


def test_everything_is_there_and_goes_again() -> None:
    before = traces()
    footfall.register()
    there = traces()
    assert "FOOTFALL_PT_view3d" in there["classes"]  # type: ignore[operator]
    assert "FOOTFALL_PT_sequencer" in there["classes"]  # type: ignore[operator]
    assert there["property"]
    assert "generate" in there["operators"]  # type: ignore[operator]
    assert not there["timer"]
    footfall.unregister()
    assert traces() == before


def test_toggle_20x(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(host_tools.fake_python(tmp_path)))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = None
    for number in range(20):
        footfall.register()
        if number in (0, 10, 19):  # with a session, a thread and a worker that is busy
            host_tools.movie_of_colours(bpy.context.scene)
            bpy.context.scene.footfall.prompt = "slow 1000 100"
            bpy.ops.footfall.generate()
            session = live.session()
            host_tools.turn(session, lambda s=session: host_tools.states(s)[-1] == "running")
        footfall.unregister()
        open_files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
        if before is None:
            before = (traces(), open_files)
    assert (traces(), open_files) == before


def test_a_failure_takes_back_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("broken")
    broken.CLASSES = (type("NotBlenders", (), {}),)  # type: ignore[attr-defined]
    before = traces()
    monkeypatch.setattr(registration, "MODULES", (*registration.MODULES, broken))
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        footfall.register()
    monkeypatch.undo()
    assert traces() == before
    footfall.register()


@pytest.mark.skipif(not host_tools.IS_MODULE, reason="tests/gui measures it in a full Blender")
def test_enabling_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """In a process of its own, as when Blender starts; its own time, since other programs run meanwhile, and
    the shortest of a few: the first one compiles what later ones find compiled.
    """
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    script = (
        "import bpy, sys, time, json\n"
        "for name in [n for n in sys.modules if n.split('.')[0] in ('numpy', 'zmq')]: del sys.modules[name]\n"
        "import footfall\n"
        "began = time.thread_time()\n"
        "footfall.register()\n"
        "took = time.thread_time() - began\n"
        "heavy = [n for n in ('numpy', 'zmq', 'footfall.addon.worker.client') if n in sys.modules]\n"
        "sys.stderr.write(json.dumps([took, heavy]))\n"
        "sys.stderr.flush()\n"
        "import os; os._exit(0)\n"
    )
    times = []
    for _ in range(4):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, **compiled},
        )
        took, heavy = json.loads(done.stderr.strip().splitlines()[-1])
        assert heavy == []
        times.append(took)
    assert min(times) < ENABLE_S, times


@pytest.mark.parametrize(
    ("items", "choices"),
    [
        (properties.QUALITIES, messages.QUALITIES),
        (properties.MAPPERS, messages.MAPPERS),
        (properties.SPOTS_AS, messages.SPOTS_AS),
    ],
)
def test_menus_offer_what_the_wire_knows(items: Any, choices: tuple[str, ...]) -> None:
    assert tuple(item[0] for item in items) == choices


def test_menus_offer_what_the_command_line_knows() -> None:
    options = importlib.import_module("footfall.addon.options")
    capture = importlib.import_module("footfall.addon.host.capture.capture")
    assert tuple(item[0] for item in properties.SOURCES) == options.SOURCES
    assert (*capture.ROUTES, "words") == options.SOURCES  # which needs no picture to be taken
    assert tuple(item[0] for item in properties.RANGES) == options.RANGES
    assert tuple(item[0] for item in properties.EVENTS) == options.HITS


def test_settings_of_the_request_are_named_as_there() -> None:
    """With the same defaults, too: nothing is ducked, cut or looped unasked."""
    footfall.register()
    fields = {item.name: item for item in dataclasses.fields(messages.FoleyRequest)}
    chosen = bpy.context.scene.footfall
    for name in ("duck_db", "spots_as", "in_sync", "hard_cuts", "loop", "least_strength"):
        assert getattr(chosen, name) == fields[name].default, name


def test_settings_are_saved_and_bundles_kept_by_name(tmp_path: Path) -> None:
    footfall.register()
    chosen = bpy.context.scene.footfall
    chosen.prompt, chosen.nudge, chosen.takes = "nass 🌧 “x”", 0.25, 3
    chosen.bundle_name = "elsewhere"  # made on a machine that has it
    assert chosen.bundle == "elsewhere"
    path = tmp_path / "a b.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert bpy.context.scene.footfall.bundle == "starter"
    bpy.ops.wm.open_mainfile(filepath=str(path))
    chosen = bpy.context.scene.footfall
    assert (chosen.prompt, chosen.takes, chosen.bundle) == ("nass 🌧 “x”", 3, "elsewhere")
    chosen.bundle = "starter"
    assert chosen.bundle_name == "starter"
