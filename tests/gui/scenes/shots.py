# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots in a window: found, given words, made, undone, exported."""

from __future__ import annotations

import bpy
import driver
import shot

SHOTS = 6
FRAMES = 20


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    shot.animate(SHOTS * FRAMES)
    scene = bpy.context.scene
    scene.timeline_markers.clear()
    for number in range(SHOTS):
        marker = scene.timeline_markers.new(f"sh0{number + 1}0", frame=1 + number * FRAMES)
        marker.camera = scene.camera
    scene.footfall.spots = False
    only_shots(play)
    shot.save(play.folder / "shots.blend")
    yield from driver.show_tab("VIEW_3D")
    play.press("footfall.shots_find")
    entries = scene.footfall_shots.entries
    entries[1].prompt, entries[4].prompt = "wet gravel", "bad-input"
    scene.footfall_shots.active = 1
    play.press("footfall.shots_generate", which="all")
    batch = play.sessions().batch.batch
    yield lambda: batch.progress().ended >= 2
    yield from play.photograph("shots_under_way")
    yield lambda: batch.over
    play.note(states=[entry.state for entry in batch.entries])
    yield from play.photograph("shots_made")
    entries[4].prompt = ""
    scene.footfall_shots.active = 4
    play.press("footfall.shots_generate", which="failed")
    yield lambda: play.sessions().batch.over
    play.note(frames=sorted(int(strip.frame_start) for strip in driver.strips()))
    with play.in_area("VIEW_3D"):
        bpy.ops.footfall.export_sound("EXEC_DEFAULT", filepath=str(play.folder / "out.wav"))
    yield lambda: (play.folder / "out.mix.wav").exists()
    play.note(files=sorted(path.name for path in play.folder.glob("out*")), ticks=play.ticks())


def only_shots(play: driver.Play) -> None:
    """The panel of shots open, and no other above it."""
    panels, shots = play.module("addon.host.panel.tab"), play.module("addon.host.shots.panel")
    bpy.utils.unregister_class(panels.FOOTFALL_PT_view3d)
    bpy.utils.unregister_class(shots.FOOTFALL_PT_view3d_shots)
    shots.FOOTFALL_PT_view3d_shots.bl_options = set()
    bpy.utils.register_class(shots.FOOTFALL_PT_view3d_shots)
