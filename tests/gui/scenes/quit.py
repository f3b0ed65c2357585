# SPDX-License-Identifier: GPL-3.0-or-later
"""Quitting with a job running."""

from __future__ import annotations

import time

import bpy
import driver
import shot


def scenario(play: driver.Play) -> driver.Scenario:
    shot.animate(12)
    bpy.context.scene.footfall.prompt = play.words["prompt"]
    bpy.ops.footfall.generate()
    yield lambda: play.states() == ["running"] and play.sessions().status.pid > 0
    play.note(worker=play.sessions().status.pid, quit_at=time.time())
