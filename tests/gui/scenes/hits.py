# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits: found, edited, drawn over the sequencer and the timeline, and ten thousand of them."""

from __future__ import annotations

import time
from typing import Any

import bpy
import demo
import driver
import shot

MANY = 10_000


def view_all(kind: str) -> None:
    window, area = driver.find_area(kind)
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        if kind == "SEQUENCE_EDITOR":
            bpy.ops.sequencer.view_all()
        else:
            bpy.ops.action.view_all()


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    bpy.ops.footfall.demo_shot()
    for kind, into in (("OUTLINER", "PROPERTIES"), ("PROPERTIES", "VIEW_3D")):
        demo.join(kind, into)
        yield driver.pause(0.3)
    shot.arrange(0.2)
    yield driver.pause(0.3)
    bpy.context.preferences.view.ui_scale = 0.8  # so that the whole list is in the picture
    _, view = driver.find_area("VIEW_3D")
    view.spaces.active.region_3d.view_perspective = "CAMERA"
    view.spaces.active.shading.type = "WIREFRAME"  # quick to draw without a graphics card
    scene = bpy.context.scene
    scene.footfall.events = "scene"
    scene.frame_set(scene.frame_start + 60)
    shot.save(play.folder / "hits.blend")
    bpy.ops.ed.undo_push(message="Start")
    play.module("addon.host.hits.panel").CLOSED = False
    yield from driver.show_tab("VIEW_3D")
    finding = play.module("addon.host.hits.finding")
    play.press("footfall.hits_find")
    yield lambda: finding.running() is not None and finding.running().progress > 0.1
    play.press("footfall.hits_stop")
    yield lambda: finding.running() is None
    play.note(after_cancel=len(scene.footfall_hits.entries), frame=scene.frame_current)
    play.press("footfall.hits_find")
    yield lambda: finding.running() is not None and finding.running().progress > 0.5
    yield from play.photograph("hits_searching")
    yield lambda: finding.running() is None
    play.note(found=len(scene.footfall_hits.entries), told=finding.told(scene)[0])
    hits = scene.footfall_hits
    hits.entries[1].on = False
    hits.active = 4
    scene.footfall.least_strength = 0.38
    play.press("footfall.hit_add")
    hits = scene.footfall_hits
    hits.entries[hits.active].words = "added by hand"
    hits.active = 4
    view_all("SEQUENCE_EDITOR")
    view_all("DOPESHEET_EDITOR")
    driver.find_area("VIEW_3D")[1].spaces.active.shading.type = "SOLID"
    yield from play.photograph("hits_found")
    driver.find_area("VIEW_3D")[1].spaces.active.shading.type = "WIREFRAME"
    play.note(ticks=play.ticks(), added=len(hits.entries))
    with play.in_area("VIEW_3D"):
        bpy.ops.ed.undo()
    yield driver.pause(0.2)
    play.note(
        after_undo=len(bpy.context.scene.footfall_hits.entries), frame_after=bpy.context.scene.frame_current
    )
    with play.in_area("VIEW_3D"):
        bpy.ops.ed.redo()
    yield driver.pause(0.2)
    play.note(after_redo=len(bpy.context.scene.footfall_hits.entries))
    yield from many(play)


def many(play: driver.Play) -> driver.Scenario:
    """As many hits as a list can hold: what a redraw costs."""
    scene = bpy.context.scene
    plain, store = play.module("addon.hits.listed"), play.module("addon.host.hits.store")
    overlay = play.module("addon.host.hits.overlay")
    first, last = scene.frame_start, scene.frame_end
    step = (last - first) * store.FRAME // MANY
    kinds = [kind for kinds in plain.FAMILIES.values() for kind in kinds]
    hits = [
        plain.Hit(
            at=first * store.FRAME + number * step,
            kind=kinds[number % len(kinds)],
            words=f"thing {number}",
            strength=plain.single((number * 37 % 100) / 100),
        )
        for number in range(MANY)
    ]
    began = time.thread_time()
    store.write(scene, hits)
    took: dict[str, Any] = {"write": time.thread_time() - began, "draw": []}
    batch = overlay._batch

    def measured(*words: Any) -> Any:
        began = time.thread_time()
        made = batch(*words)
        took["draw"].append(time.thread_time() - began)
        return made

    overlay._batch = measured
    yield from play.photograph("hits_many")
    view_all("SEQUENCE_EDITOR")
    yield driver.pause(0.5)
    built = len(took["draw"])
    for number in range(20):  # the playhead moves, the view does not: nothing is put together again
        scene.frame_current = first + number
        yield driver.pause(0.05)
    play.note(
        write_ms=took["write"] * 1000,
        batch_ms=max(took["draw"]) * 1000,
        built_anew=len(took["draw"]) - built,
    )
