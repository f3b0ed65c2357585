# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way: open the tab, press Generate Foley, go on working, find the strips, undo them."""

from __future__ import annotations

import bpy
import driver
import shot


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    shot.animate()
    shot.arrange()
    shot.save(play.folder / "shot.blend")
    yield from driver.show_tab("VIEW_3D")
    yield from play.photograph("ready")
    play.press("footfall.preferences")
    yield driver.pause(1.0)
    yield from play.photograph("preferences")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield driver.pause(0.5)

    scene = bpy.context.scene
    scene.footfall.prompt = "slow 40 100"
    scene.frame_set(7)
    bpy.ops.ed.undo_push(message="Prompt")
    play.press("footfall.generate")
    yield lambda: play.states() == ["capturing"] and play.sessions().capture.progress > 0.4
    yield from play.photograph("capturing")
    yield lambda: play.states() == ["running"] and play.sessions().table.all()[0].fraction > 0.4
    play.note(frame_given_back=scene.frame_current)
    play.press("footfall.generate")  # the interface is usable: a second job waits its turn
    yield lambda: play.states()[1] == "sent"
    yield from play.photograph("running")
    play.press("footfall.cancel", job_id=play.sessions().table.all()[1].job_id)
    yield lambda: play.states() == ["placed", "cancelled"]
    placed = [[strip.name, *driver.span(strip), strip.channel] for strip in driver.strips()]
    play.note(strips=placed, files=sorted(p.name for p in (play.folder / "footfall").iterdir()))
    yield from play.photograph("done")

    bpy.ops.ed.undo()
    yield lambda: play.states()[0] == "not_placed"
    play.note(strips_after_undo=len(driver.strips()), prompt=bpy.context.scene.footfall.prompt)
    yield from play.photograph("undone")
    bpy.ops.ed.redo()
    yield lambda: play.states()[0] == "placed"
    play.note(strips_after_redo=len(driver.strips()), ticks=play.ticks())
