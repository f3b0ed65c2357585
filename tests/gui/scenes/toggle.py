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
    return [name for name in ("zmq", "numpy", f"{driver.PACKAGE}.addon.worker.client") if name in sys.modules]


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


def enable_anew() -> float:
    """Milliseconds that enabling takes on the first day, without what other programs take meanwhile."""
    addon_utils.disable(driver.PACKAGE)
    for name in [name for name in sys.modules if name.startswith(driver.PACKAGE)]:
        del sys.modules[name]
    began, waited = time.perf_counter(), driver.run_delay_s()
    addon_utils.enable(driver.PACKAGE)
    return (time.perf_counter() - began - (driver.run_delay_s() - waited)) * 1000


def scenario(play: driver.Play) -> driver.Scenario:
    play.note(loaded_at_start=loaded(), enable_ms=min(enable_anew() for _ in range(3)))
    play.note(loaded_when_enabled=loaded())
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
    addon_utils.enable(driver.PACKAGE)  # and once more, in the middle of taking pictures
    bpy.context.scene.footfall.per_second = 24.0
    yield from driver.show_tab("VIEW_3D")
    play.press("footfall.generate")
    yield lambda: play.states() == ["capturing"]
    addon_utils.disable(driver.PACKAGE)
    yield driver.pause(0.5)
    play.note(after_capture=leftovers(), frame=bpy.context.scene.frame_current)
