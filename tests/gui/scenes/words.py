# SPDX-License-Identifier: GPL-3.0-or-later
"""Words in place of a picture: what the panel says without words and with them, and the strip they make."""

from __future__ import annotations

import bpy
import driver
import shot


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    scene = bpy.context.scene
    scene.camera = None  # nothing to look at, and nothing that is missed
    shot.arrange(0.3)
    shot.save(play.folder / "dark.blend")
    scene.footfall.source = "words"
    yield from driver.show_tab("VIEW_3D")
    yield from play.photograph("words_missing")
    play.note(can=bpy.ops.footfall.generate.poll())
    scene.footfall.prompt = "thunder far away"
    bpy.ops.ed.undo_push(message="Words")
    play.module("addon.host.panel.ready").forget()
    yield from play.photograph("words")
    play.press("footfall.generate")
    yield lambda: play.states() == ["placed"]
    play.note(strips=[[one.name, *driver.span(one)] for one in driver.strips()], ticks=play.ticks())
    yield from play.photograph("words_done")
