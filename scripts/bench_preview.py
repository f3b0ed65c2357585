# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a nudge is heard: the live preview of two seconds with the starter, in the bpy module.

    python scripts/bench_preview.py [--nudges 12] [--json]

Prints the time from the last change of the words to the draft (0.4 s of quiet included, pictures known), and
how soon a draft that has become stale while it was being made is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = ("rain on a window", "gravel", "wet wood", "steel", "wind", "glass", "water", "fire")
PATIENCE_S = 120.0


def turn(session: Any, until: Callable[[], bool]) -> None:
    """Turn the pump, as Blender's timer would, until ``until`` is true."""
    from footfall.addon.host import pump

    deadline = time.monotonic() + PATIENCE_S
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(session.preview.sentence or session.preview.state)
        pump.tick()
        for event in session.client.wait(0.01) if session.client is not None else ():
            session.take(event)


def shot(bpy: Any, folder: str) -> Any:
    """Ten seconds of a colour that slowly changes."""
    scene = bpy.context.scene
    scene.frame_end = 240
    scene.render.resolution_x, scene.render.resolution_y = 448, 252
    strips = scene.sequence_editor_create()
    strips = strips.strips if hasattr(strips, "strips") else strips.sequences
    length = {"length": 240} if bpy.app.version >= (5, 0) else {"frame_end": 241}
    strips.new_effect(name="Colour", type="COLOR", channel=1, frame_start=1, **length).color = (0.3, 0.5, 0.4)
    scene.footfall.random_seed = False
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder) / "shot.blend"))
    return scene.footfall


def measure(nudges: int) -> dict[str, Any]:
    """Seconds of each nudge, and of each draft that was given up."""
    import bpy
    import footfall
    from footfall.addon.host import live
    from footfall.addon.host.sounds import speaker

    os.environ.setdefault("FOOTFALL_WORKER_PYTHON", sys.executable)
    speaker.play = lambda *_: None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        footfall.register()
        chosen = shot(bpy, folder)
        bpy.ops.footfall.live_preview()
        session = live.session()
        assert session is not None
        preview = session.preview
        rounds = iter(range(3))
        turn(session, lambda: next(rounds) == 2)
        heard, gone = [], []
        for number in range(nudges + 1):
            chosen.prompt = f"{WORDS[number % len(WORDS)]} {number}"
            turn(session, lambda: preview.state == "making")
            turn(session, lambda: preview.state == "ready")
            heard.append(preview.took_s)
        for number in range(nudges):
            chosen.prompt = f"stale {number}"
            turn(session, lambda: preview.state == "making")
            chosen.prompt = f"{WORDS[number % len(WORDS)]} again {number}"
            preview.cancel_s = 0.0
            turn(session, lambda: preview.state == "ready" and preview.cancel_s > 0)
            gone.append(preview.cancel_s)
        footfall.unregister()
    return {"first_s": heard[0], "nudge_s": heard[1:], "stale_s": gone}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nudges", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = measure(chosen.nudges)
    if chosen.json:
        print(json.dumps(found))
        return 0
    print(f"first draft, model loaded and pictures taken: {found['first_s']:.2f} s")
    for name, what in (("nudge_s", "nudge to draft"), ("stale_s", "stale draft gone")):
        seconds = found[name]
        print(f"{what}: median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s")
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # Blender's module may crash on its way out
