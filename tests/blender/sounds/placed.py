# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of placing look at: Footfall's strips, and the user's beside them."""

from __future__ import annotations

from typing import Any

import bpy
from footfall.addon.host import sequencer
from footfall.addon.timeline import Rate

RATE = Rate(24)

OTHER_JOB = "f" * 32


def ours(scene: Any) -> list[Any]:
    return [strip for strip in sequencer.all_strips(scene) if sequencer.uuid_of(strip)]


def block(scene: Any, channel: int, first: int, end: int, name: str = "Mine") -> Any:
    collection = sequencer.strips(sequencer.ensure_editor(scene))
    kind = collection.bl_rna.functions["new_effect"].parameters
    length = {"length": end - first} if "length" in kind else {"frame_end": end}
    return collection.new_effect(name=name, type="COLOR", channel=channel, frame_start=first, **length)


def users(scene: Any) -> list[tuple[Any, ...]]:
    """Everything of the user's strips that must not change."""
    return [
        (s.name, s.channel, sequencer.span(s), s.select, s.mute, s.lock, s.color_tag, s.blend_alpha)
        for s in sequencer.all_strips(scene)
        if not sequencer.uuid_of(s)
    ]


def no_overlap(scene: Any) -> bool:
    strips = list(sequencer.strips(scene.sequence_editor))
    spans = [(s.channel, *sequencer.span(s)) for s in strips]
    return all(
        a[0] != b[0] or a[2] <= b[1] or b[2] <= a[1] for n, a in enumerate(spans) for b in spans[n + 1 :]
    )


def scene_now() -> Any:
    """The scene after an undo, which has freed the one before."""
    return bpy.context.scene


def kept(stored: Any) -> bool:
    return all(item.path.is_file() for item in stored.strips)
