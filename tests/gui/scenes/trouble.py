# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong in a window: Esc, a crash, a deleted scene, another file in the middle of a job."""

from __future__ import annotations

import shutil
import subprocess

import bpy
import driver
import shot


def escape(play: driver.Play) -> driver.Scenario:
    """Esc while pictures are taken, from a real keyboard where there is one."""
    bpy.context.scene.footfall.per_second = 24.0
    play.press("footfall.generate")
    yield lambda: play.states()[-1:] == ["capturing"]
    keyboard = shutil.which("xdotool")
    if keyboard is not None:
        subprocess.run([keyboard, "mousemove", "500", "300", "key", "Escape"], check=True, timeout=10)
        yield lambda: play.states()[-1] == "cancelled"
    else:
        play.press("footfall.cancel", job_id=play.last().job_id)
    play.note(escaped=play.states()[-1], frame_after_escape=bpy.context.scene.frame_current)
    bpy.context.scene.footfall.per_second = 4.0


def undo_while_capturing(play: driver.Play) -> driver.Scenario:
    """Ctrl Z while pictures are taken frees what Blender has; the job goes on or says why not."""
    scene = bpy.context.scene
    scene.footfall.per_second = 12.0
    bpy.ops.ed.undo_push(message="One")
    scene.footfall.seed = 3
    bpy.ops.ed.undo_push(message="Two")
    play.press("footfall.generate")
    yield lambda: play.states()[-1] == "capturing" and play.sessions().capture.progress > 0.2
    bpy.ops.ed.undo()
    yield lambda: play.states()[-1] in ("placed", "failed")
    play.note(undone_while_capturing=[play.states()[-1], play.last().sentence])
    bpy.context.scene.footfall.per_second = 4.0


def crash(play: driver.Play) -> driver.Scenario:
    """The worker dies; the panel says so in words, and the next job works."""
    scene = bpy.context.scene
    scene.footfall.prompt = "crash"
    play.press("footfall.generate", area="SEQUENCE_EDITOR")
    yield lambda: play.states()[-1] == "failed"
    job = play.last()
    play.note(crash=[job.code, job.sentence])
    play.press("footfall.copy_details", job_id=job.job_id)
    play.note(details=bpy.context.window_manager.clipboard)
    yield from play.photograph("failed")
    play.press("footfall.show_log")
    yield driver.pause(0.5)
    play.note(log=bpy.data.texts["Footfall worker log"].as_string())
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield driver.pause(0.5)
    scene.footfall.prompt = "wet gravel"
    play.press("footfall.generate")
    yield lambda: play.states()[-1] == "placed"
    play.note(after_crash=play.states()[-1])


def deleted_scene(play: driver.Play) -> driver.Scenario:
    """The scene of a running job is deleted: its sound is kept and can be put elsewhere."""
    scene = bpy.context.scene
    scene.footfall.prompt = "slow 20 100"
    other = bpy.data.scenes.new("Another")
    play.press("footfall.generate")
    yield lambda: play.states()[-1] == "running"
    bpy.context.window.scene = other
    bpy.data.scenes.remove(scene)
    bpy.context.workspace.sequencer_scene = other
    yield lambda: play.states()[-1] == "not_placed"
    play.note(deleted=[play.last().sentence, len(driver.strips(other))])
    yield from play.photograph("not_placed")
    play.press("footfall.place", job_id=play.last().job_id)
    play.note(placed_elsewhere=[play.states()[-1], len(driver.strips(other))])


def another_file(play: driver.Play) -> driver.Scenario:
    """Another file is opened during a job, then the first one again."""
    bpy.ops.wm.open_mainfile(filepath=str(play.folder / "first.blend"))
    yield driver.pause(0.5)
    before = len(driver.strips())
    bpy.context.scene.footfall.prompt = "slow 20 100"
    bpy.ops.footfall.generate()
    yield lambda: play.states()[-1] == "running"
    bpy.ops.wm.open_mainfile(filepath=str(play.folder / "second.blend"))
    yield lambda: play.states()[-1] == "not_placed"
    play.note(in_wrong_file=len(driver.strips()), told=play.last().sentence)
    bpy.ops.wm.open_mainfile(filepath=str(play.folder / "first.blend"))
    yield driver.pause(0.5)
    bpy.ops.footfall.place(job_id=play.last().job_id)
    play.note(in_right_file=len(driver.strips()) - before, came_home=play.states()[-1])


def scenario(play: driver.Play) -> driver.Scenario:
    play.watch_ticks()
    shot.save(play.folder / "second.blend")
    shot.animate()
    shot.arrange(0.2)
    shot.save(play.folder / "first.blend")
    bpy.context.workspace.sequencer_scene = bpy.context.scene
    yield from driver.show_tab("SEQUENCE_EDITOR")
    yield from driver.show_tab("VIEW_3D")
    for part in (escape, undo_while_capturing, crash, deleted_scene, another_file):
        yield from part(play)
    play.note(ticks=play.ticks())
