# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds are placed and taken away again while Blender still reads them for the waveforms on their strips.

``blender --factory-startup --python tests/gui/check_waveform.py -- REPORT.json`` writes what is left, then
quits with 0.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
import wave
from collections.abc import Iterator
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parents[2]
TIMES = 8
SECONDS = 300  # so long that its waveform is never ready before it goes
RATE = 48000


def find_footfall() -> None:
    """Make ``footfall`` the package at the root, as nothing is installed into this Blender."""
    spec = importlib.util.spec_from_file_location(
        "footfall", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["footfall"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["footfall"])


find_footfall()

from footfall.addon.host import sequencer  # noqa: E402


def write_long(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(bytes(range(256)) * (RATE * 4 * SECONDS // 256))
    return path


def scenario(report: Path) -> Iterator[float]:
    """Yields how many seconds to wait."""
    scene = bpy.context.scene
    scene.frame_end = SECONDS * scene.render.fps
    editor = sequencer.ensure_editor(scene)
    sequencer.show_scene(bpy.context, scene)
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    area.type = "SEQUENCE_EDITOR"
    area.spaces.active.view_type = "SEQUENCER"
    area.spaces.active.timeline_overlay.waveform_display_type = "ALL_WAVEFORMS"
    paths = [write_long(report.with_name(f"{number}.wav")) for number in range(TIMES)]
    yield 0.5
    for path in paths:
        strip = sequencer.strips(editor).new_sound("long", str(path), 1, 1)
        area.tag_redraw()
        yield 0.2  # drawn, and Blender has begun to read
        sequencer.discard(editor, strip)
        yield 0.3
    saved = report.with_name("saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=str(saved), copy=True)
    with bpy.data.libraries.load(str(saved)) as (inside, _):
        sounds = list(inside.sounds)
    report.write_text(json.dumps({"strips": len(sequencer.all_strips(scene)), "saved": sounds}))


def main() -> None:
    steps = scenario(Path(sys.argv[-1]))

    def turn() -> float:
        try:
            return next(steps)
        except StopIteration:
            os._exit(0)
        except Exception:  # noqa: BLE001 - the root of this process
            traceback.print_exc()
            os._exit(1)

    bpy.app.timers.register(turn, first_interval=1.0)


main()
