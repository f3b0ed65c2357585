# SPDX-License-Identifier: GPL-3.0-or-later
"""A storyboard of a sound track in the Sequencer: the panel, the button, the image strips, undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import demo
import driver
import numpy as np
import shot
import takes

SECONDS, RATE_HZ = 20, 48_000


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    scene = bpy.context.scene
    scene.frame_end = SECONDS * 24
    shot.arrange(0.6)
    takes.heighten()
    path = play.folder / "track.wav"
    write_track(play.module("addon.sounds.wav"), path)
    strip = add(path)
    shot.save(play.folder / "board.blend")
    open_panel(play)
    play.module("addon.host.live").get().warm_up()
    yield lambda: bool(play.module("addon.host.pictures.operators").painters())
    yield from driver.show_tab("SEQUENCE_EDITOR")
    demo.show_all_strips()
    chosen = scene.footfall_pictures
    chosen.each, chosen.window_s, chosen.takes = "windows", 4.0, 2
    yield from play.photograph("pictures_before")
    play.press("footfall.picture", area="SEQUENCE_EDITOR")
    yield lambda: play.states() == ["placed"]
    play.note(
        ticks=play.ticks(),
        made=len(made()),
        span=driver.span(strip),
        spans=[driver.span(one) for one in made()],
    )
    demo.show_all_strips()
    yield from play.photograph("pictures_after")
    with play.in_area("SEQUENCE_EDITOR"):
        bpy.ops.ed.undo()
    yield lambda: play.states() == ["not_placed"]
    play.note(undone=len(made()))
    play.press("footfall.place", area="SEQUENCE_EDITOR", job_id=play.last().job_id)
    yield driver.pause(driver.SETTLE_S)
    play.note(again=len(made()))


def write_track(wav: Any, path: Path) -> None:
    """Each four seconds have a loudness of their own."""
    loud = (np.arange(SECONDS * RATE_HZ) // (4 * RATE_HZ) + 1) / 10
    hum = np.sin(np.arange(SECONDS * RATE_HZ) * 0.05) * loud
    with path.open("wb") as file:
        wav.write(file, hum[:, None].astype("<f4"), RATE_HZ)


def add(path: Path) -> Any:
    scene = bpy.context.scene
    editor = scene.sequence_editor or scene.sequence_editor_create()
    holder = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = holder.new_sound("Track", str(path), 2, 1)
    strip.select, editor.active_strip = True, strip
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    bpy.ops.ed.undo_push(message="Track")
    return strip


def made() -> list[Any]:
    return [one for one in driver.strips() if one.type == "IMAGE"]


def open_panel(play: driver.Play) -> None:
    """The panel begins closed."""
    kind = play.module("addon.host.pictures.panel").FOOTFALL_PT_picture
    bpy.utils.unregister_class(kind)
    kind.bl_options = set()
    bpy.utils.register_class(kind)
