# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits under the mouse: pointed at, selected, dragged, put back, switched; and strips below them, which stay
Blender's.
"""

from __future__ import annotations

from typing import Any

import bpy
import driver
import shot

FRAMES = (20, 50, 80)


class Mouse:
    """The mouse over the sequencer's timeline, in pixels of its region."""

    def __init__(self, play: driver.Play) -> None:
        self.marks = play.module("addon.host.hits.marks")
        self.at = (0, 0)

    def region(self) -> tuple[Any, Any]:
        window, area = driver.find_area("SEQUENCE_EDITOR")
        return window, next(region for region in area.regions if region.type == "WINDOW")

    def over(self, frame: float, channel: float | None = None) -> tuple[int, int]:
        """Where a frame is: in the band of the hits, or in a channel."""
        _, region = self.region()
        x, y = region.view2d.view_to_region(frame, channel or 0.0, clip=False)
        if channel is None:
            scale = bpy.context.preferences.system.ui_scale
            y = self.marks.top((region.width, region.height), scale) - round(4 * scale)
        return region.x + x, region.y + y

    def does(self, kind: str, value: str, **keys: bool) -> driver.Scenario:
        window, _ = self.region()
        window.event_simulate(kind, value, x=self.at[0], y=self.at[1], **keys)
        yield driver.pause(0.1)

    def goes(self, at: tuple[int, int], **keys: bool) -> driver.Scenario:
        self.at = at
        yield from self.does("MOUSEMOVE", "NOTHING", **keys)

    def drags(self, to: tuple[int, int], **keys: bool) -> driver.Scenario:
        """With the button down, in three steps."""
        begin = self.at
        for part in (1, 2, 3):
            x, y = (round(a + (b - a) * part / 3) for a, b in zip(begin, to, strict=True))
            yield from self.goes((x, y), **keys)


def places() -> list[float]:
    entries = bpy.context.scene.footfall_hits.entries
    return [round(entry.frame + entry.millionths / 1e6, 3) for entry in entries]


def prepare(play: driver.Play) -> driver.Scenario:
    """Three hits over a colour strip, in a wide sequencer."""
    shot.arrange(0.4)
    yield driver.pause(0.3)
    scene = bpy.context.scene
    bpy.context.workspace.sequencer_scene = scene
    strip = scene.sequence_editor_create().strips.new_effect("Below", "COLOR", 1, 1, length=100)
    strip.select = False
    for frame in FRAMES:
        scene.frame_set(frame)
        play.press("footfall.hit_add", area="VIEW_3D")
    scene.frame_set(1)
    scene.footfall_hits.active = 0
    scene.footfall_hits.entries[1].words = "steel bucket on stone"
    bpy.ops.ed.undo_push(message="Start")
    window, area = driver.find_area("SEQUENCE_EDITOR")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.sequencer.view_all()
    yield driver.pause(1.0)


def scenario(play: driver.Play) -> driver.Scenario:
    yield from driver.show_tab("VIEW_3D")
    yield from prepare(play)
    scene = bpy.context.scene
    mouse = Mouse(play)
    yield from mouse.goes(mouse.over(50))
    yield from play.photograph("drag_pointed")
    yield from mouse.does("LEFTMOUSE", "PRESS")
    yield from mouse.drags(mouse.over(62))
    yield from play.photograph("drag_moving")
    play.note(live=places())
    yield from mouse.does("LEFTMOUSE", "RELEASE")
    play.note(moved=places(), active=scene.footfall_hits.active)
    with play.in_area("VIEW_3D"):
        bpy.ops.ed.undo()
    yield driver.pause(0.3)
    play.note(undone=places())
    scene = bpy.context.scene

    yield from mouse.goes(mouse.over(80))
    yield from mouse.does("LEFTMOUSE", "PRESS")
    yield from mouse.drags(mouse.over(40.4), ctrl=True)
    play.note(whole=places()[2])
    yield from mouse.does("ESC", "PRESS")
    yield from mouse.does("LEFTMOUSE", "RELEASE")
    play.note(put_back=places())

    yield from mouse.goes(mouse.over(20))
    yield from mouse.does("LEFTMOUSE", "PRESS", ctrl=True)
    yield from mouse.does("LEFTMOUSE", "RELEASE", ctrl=True)
    play.note(on=[entry.on for entry in scene.footfall_hits.entries])

    window, _ = mouse.region()
    for value in ("PRESS", "RELEASE") * 2:  # nothing is drawn in between, which may take long
        window.event_simulate("LEFTMOUSE", value, x=mouse.at[0], y=mouse.at[1])
    yield driver.pause(0.3)
    play.note(on_again=[entry.on for entry in scene.footfall_hits.entries])

    yield from mouse.goes(mouse.over(20, channel=1.5))
    play.note(pointed=play.module("addon.host.hits.overlay")._Pointed.number)
    yield from mouse.does("LEFTMOUSE", "PRESS")
    yield from mouse.does("LEFTMOUSE", "RELEASE")
    play.note(strip=scene.sequence_editor.strips["Below"].select, after=places())
    yield from play.photograph("drag_strip")
