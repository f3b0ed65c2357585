# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip that a user has in hand: made active, and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from footfall.addon.host import sequencer
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.timeline import Rate

RATE = Rate(24)


def ours() -> list[Any]:
    return [strip for strip in sequencer.all_strips(bpy.context.scene) if sequencer.uuid_of(strip)]


def activate(strip: Any) -> Any:
    for other in sequencer.all_strips(bpy.context.scene):
        other.select = other == strip
    bpy.context.scene.sequence_editor.active_strip = strip
    return strip


def active() -> Any:
    return bpy.context.scene.sequence_editor.active_strip


def playing(strip: Any) -> str:
    """The name of the file that ``strip`` plays."""
    return Path(strip.sound.filepath.replace("//", "/")).name


def place_of(strip: Any) -> tuple[int, int]:
    return take_strips.place(strip)


def length(strip: Any) -> int:
    first, end = sequencer.span(strip)
    return end - first
