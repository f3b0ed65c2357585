# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling and disabling twenty times, with and without a worker, leaves nothing behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import addon_utils
import bpy
import driver
import shot

TIMES = 20


def loaded() -> list[str]:
    """Which of the heavy modules are there."""
    return [name for name in ("zmq", "numpy", f"{driver.PACKAGE}.addon.client") if name in sys.modules]


def leftovers() -> dict[str, object]:
    """What would grow if something was left behind."""
    lists = (getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers))
    handlers = sum(len(found) for found in lists if isinstance(found, list))
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0,
        "children": children.read_text().split() if children.exists() else [],
        "handlers": handlers,
        "classes": sorted(name for name in dir(bpy.types) if name.startswith("FOOTFALL_")),
        "property": hasattr(bpy.types.Scene, "footfall"),
    }


def scenario(play: driver.Play) -> driver.Scenario:
    play.note(loaded_at_start=loaded())
    addon_utils.disable(driver.PACKAGE)
    for name in [name for name in sys.modules if name.startswith(driver.PACKAGE)]:
        del sys.modules[name]  # as on the first day
    began = time.perf_counter()
    addon_utils.enable(driver.PACKAGE)
    play.note(enable_ms=(time.perf_counter() - began) * 1000, loaded_when_enabled=loaded())
    shot.animate(12)
    for number in range(2):  # the first worker also loads libraries that stay
        bpy.context.scene.footfall.prompt = "slow 1000 100"
        bpy.ops.footfall.generate()
        yield lambda: play.states()[-1:] == ["running"]
        began = time.perf_counter()
        addon_utils.disable(driver.PACKAGE)
        play.note(disable_ms=(time.perf_counter() - began) * 1000)
        yield driver.pause(0.5)
        if number == 0:
            play.note(before=leftovers())
            addon_utils.enable(driver.PACKAGE)
    for _ in range(TIMES):
        addon_utils.enable(driver.PACKAGE)
        yield None
        addon_utils.disable(driver.PACKAGE)
        yield None
    play.note(after=leftovers())
