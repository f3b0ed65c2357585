# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of a strip in the Sequencer: stepping by key and button, new takes, the list."""

from __future__ import annotations

import time
from typing import Any

import bpy
import demo
import driver
import shot


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    bpy.ops.footfall.demo_shot()
    yield from demo.tidy()
    heighten()
    open_panels(play)
    scene = bpy.context.scene
    scene.footfall.takes, scene.footfall.random_seed, scene.footfall.seed = 4, False, 11
    scene.footfall.per_second = 0.5  # the sequencer hides the 3D view, so that pictures are renders
    scene.footfall.prompt = play.words.get("prompt", "")
    shot.save(play.folder / "takes.blend")
    yield from driver.show_tab("SEQUENCE_EDITOR")
    play.press("footfall.generate", area="SEQUENCE_EDITOR")
    yield lambda: play.states() == ["placed"]
    bed = next(strip for strip in driver.strips() if "bed" in strip.name.lower())
    activate(bed)
    demo.show_all_strips()
    yield from play.photograph("takes_four")
    took, waveforms = [], []
    for _ in range(8):
        began, waited = time.perf_counter(), driver.run_delay_s()
        play.press("footfall.take_step", area="SEQUENCE_EDITOR", by=1)
        took.append((time.perf_counter() - began - (driver.run_delay_s() - waited)) * 1000)
        waveforms.append(bed.sound.filepath)
        yield driver.pause(0.1)
    play.note(steps_ms=took, files=len(set(waveforms)))
    scene.footfall.takes = 1
    play.press("footfall.take_star", area="SEQUENCE_EDITOR")
    for button in ("again", "more"):
        play.press(f"footfall.take_{button}", area="SEQUENCE_EDITOR")
        yield lambda: all(state == "placed" for state in play.states())
    play.press("footfall.take_delete", area="SEQUENCE_EDITOR")
    takes = play.module("addon.host.takes.strips").place(bed)
    play.note(place=list(takes))
    for words, weight in (("a click", 0.5), ("noise", -1.0)):
        play.press("footfall.take_pull", area="SEQUENCE_EDITOR", words=words, weight=weight)
    with play.in_area("SEQUENCE_EDITOR"):
        bpy.ops.footfall.take_nudge("EXEC_DEFAULT", prompt="wet steel")
    yield lambda: all(state == "placed" for state in play.states())
    play.press("footfall.update_changed", area="SEQUENCE_EDITOR")
    yield lambda: play.module("addon.host.takes.update_changed").looking(play.sessions()) == 0
    play.note(updated=play.module("addon.host.takes.update_changed").tally.sentence, ticks=play.ticks())
    yield from play.photograph("takes_more")
    play.press("footfall.settings_copy", area="SEQUENCE_EDITOR")
    keys = bpy.context.window_manager.keyconfigs.addon.keymaps["Sequencer"].keymap_items
    play.note(clipboard=bpy.context.window_manager.clipboard, keys=[item.type for item in keys])
    with play.in_area("SEQUENCE_EDITOR"):
        bpy.ops.footfall.take_nudge("INVOKE_DEFAULT")
    yield from play.photograph("takes_nudge")


def heighten() -> None:
    """A sequencer that shows the whole panel."""
    window, area = driver.find_area("SEQUENCE_EDITOR")
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.screen_full_area(use_hide_panels=False)


def open_panels(play: driver.Play) -> None:
    """Panels that begin closed, open."""
    for module, name in (("hears_panel", "FOOTFALL_PT_hears"), ("panel", "FOOTFALL_PT_take_history")):
        kind = getattr(play.module(f"addon.host.takes.{module}"), name)
        bpy.utils.unregister_class(kind)
        kind.bl_options = set()
        bpy.utils.register_class(kind)


def activate(strip: Any) -> None:
    for other in driver.strips():
        other.select = other == strip
    bpy.context.scene.sequence_editor.active_strip = strip
