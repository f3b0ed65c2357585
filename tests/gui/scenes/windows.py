# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows and 3D views that are closed while pictures are taken."""

from __future__ import annotations

import bpy
import driver
import shot


def second_window(play: driver.Play) -> driver.Scenario:
    """A window more, with a 3D view of its own."""
    with play.in_area("VIEW_3D"):
        bpy.ops.wm.window_new_main()
    yield driver.pause(0.5)


def close(number: int) -> None:
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[number]):
        bpy.ops.wm.window_close()


def taking(play: driver.Play) -> driver.Scenario:
    """Up to the third picture of a new job."""
    play.press("footfall.generate")
    yield lambda: play.sessions().capture is not None and play.sessions().capture.progress > 0.1


def scenario(play: driver.Play) -> driver.Scenario:
    shot.animate(48)
    bpy.context.scene.footfall.events = "markers"
    bpy.context.scene.footfall.per_second = 6.0
    driver.find_area("VIEW_3D")[1].spaces.active.shading.type = "WIREFRAME"  # quick to draw
    yield from driver.show_tab("VIEW_3D")
    for number in (-1, 0):
        yield from second_window(play)
        yield from taking(play)
        close(number)
        yield lambda: play.states()[-1] in ("placed", "failed")
    yield from taking(play)
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            area.type = "TEXT_EDITOR"
    yield lambda: play.states()[-1] in ("placed", "failed")
    play.note(states=play.states(), why=play.last().sentence)
