# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits that the animator has keyed: a custom property of an object or a bone named hit, step, land, ...

Each of its keys is a hit at the key's own time, as hard as its value (above 0, at most 1). Pose markers of an
action count as timeline markers do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import bpy

from ..hits.words import name_bone, name_thing
from ..timeline import Remap
from ..wire.limits import WORDS
from ..wire.texts import scrub
from .capture_state import action_curves

Parsed = tuple[str, float, str]
_OWN = re.compile(r"""(?:pose\.bones\["(?P<bone>(?:[^"\\]|\\.)*)"\])?\["(?P<name>[^"\\]+)"\]""")
_MOST = 10_000


def tagged(
    scene: bpy.types.Scene, parse: Callable[[str], Parsed | None]
) -> Iterator[tuple[float, str, float, str]]:
    """(frame, kind, strength, words) of what is tagged; ``parse`` reads a name as it does a marker's."""
    remap = Remap(scene.render.frame_map_old, scene.render.frame_map_new)
    left = _MOST
    for one in scene.objects:
        if one.animation_data is None:
            continue
        for frame, kind, strength, words in _of(one, parse):
            yield float(remap.shown(1)) * frame, kind, strength, scrub(words, WORDS)
            left -= 1
            if left <= 0:
                return


def _of(
    one: bpy.types.Object, parse: Callable[[str], Parsed | None]
) -> Iterator[tuple[float, str, float, str]]:
    action = one.animation_data.action
    if action is None:
        return
    for curve in action_curves(one.animation_data):
        match = _OWN.fullmatch(curve.data_path)
        parsed = parse(match["name"]) if match is not None and not curve.mute else None
        if match is None or parsed is None:
            continue
        kind, _, words = parsed
        words = words or (name_bone(match["bone"]) if match["bone"] else name_thing(one.name))
        for point in curve.keyframe_points:
            frame, value = point.co
            if value > 0.0:
                yield float(frame), kind, min(float(value), 1.0), words
    for marker in action.pose_markers:
        parsed = parse(marker.name)
        if parsed is not None:
            yield float(marker.frame), parsed[0], parsed[1], parsed[2] or name_thing(one.name)
