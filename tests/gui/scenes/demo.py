# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo shot in a tidy window: the picture of the README."""

from __future__ import annotations

import bpy
import driver
import shot


def join(kind: str, into: str) -> None:
    """Give the room of one editor to its neighbour."""
    window, source = driver.find_area(kind)
    _, target = driver.find_area(into)
    middles = [(area.x + area.width // 2, area.y + area.height // 2) for area in (source, target)]
    with bpy.context.temp_override(window=window):
        bpy.ops.screen.area_join(source_xy=middles[1], target_xy=middles[0])


def tidy() -> driver.Scenario:
    """The shot as its camera sees it, above the sequencer, and nothing else."""
    for kind, into in (
        ("OUTLINER", "PROPERTIES"),
        ("DOPESHEET_EDITOR", "VIEW_3D"),
        ("PROPERTIES", "VIEW_3D"),
    ):
        join(kind, into)
        yield driver.pause(0.3)
    shot.arrange(0.3)
    yield driver.pause(0.3)
    _, view = driver.find_area("VIEW_3D")
    space = view.spaces.active
    space.region_3d.view_perspective = "CAMERA"
    space.shading.type, space.shading.color_type = "SOLID", "MATERIAL"
    space.overlay.show_overlays = space.show_gizmo = space.show_region_toolbar = False


def show_all_strips() -> None:
    window, area = driver.find_area("SEQUENCE_EDITOR")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.sequencer.view_all()


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    bpy.ops.footfall.demo_shot()
    yield from tidy()
    scene = bpy.context.scene
    scene.frame_set(scene.frame_start + 60)
    scene.footfall.prompt = play.words.get("prompt", "")
    shot.save(play.folder / "demo.blend")
    yield from driver.show_tab("VIEW_3D")
    play.press("footfall.generate")
    yield lambda: play.states() == ["running"] and play.last().fraction > 0.3
    yield from play.photograph("demo_running")
    yield lambda: play.states() == ["placed"]
    show_all_strips()
    yield from play.photograph("demo_done")
    play.note(strips=len(driver.strips()))
    if scene.footfall.prompt:  # once more with a worker that is warm and a model that takes no time
        scene.footfall.prompt = "at once"
        play.press("footfall.generate")
        yield lambda: play.states() == ["placed", "placed"]
        play.note(round_trip_ms=(play.ended["place"] - play.ended["send"]) * 1000)
    play.note(ticks=play.ticks())
