# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits that the animator has keyed: a custom property of an object or a bone named hit, step, land, ...

Each of its keys is a hit at the key's own time, as hard as its value (above 0, at most 1). Pose markers of an
action count as timeline markers do. Strips of the NLA editor count where and as often as they are played.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from ...hits.words import name_bone, name_thing
from ...timeline import Remap
from ...wire.limits import WORDS
from ...wire.texts import scrub
from ..capture.state import action_curves

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
    data = one.animation_data
    if data.action is not None:  # while a strip is tweaked this is its action, at its own frames
        yield from _of_action(one, data, parse)
    for strip in _strips(data):
        # Where a strip begins anew, its last key and its first are one.
        played = {
            (round(shown, 3), kind, words): (shown, kind, strength, words)
            for frame, kind, strength, words in _of_action(one, strip, parse)
            for shown in _shown(strip, frame)
        }
        yield from played.values()


def _strips(data: bpy.types.AnimData) -> Iterator[bpy.types.NlaStrip]:
    """The strips of the animation layers that are heard."""
    if not data.use_nla or data.use_tweak_mode:
        return
    alone = any(track.is_solo for track in data.nla_tracks)
    for track in data.nla_tracks:
        if track.mute or (alone and not track.is_solo):
            continue
        yield from (strip for strip in track.strips if strip.action is not None and not strip.mute)


def _shown(strip: bpy.types.NlaStrip, frame: float) -> Iterator[float]:
    """The frames of the scene at which a strip shows ``frame`` of its action, once for each repetition."""
    first, last = strip.action_frame_start, strip.action_frame_end
    if not (first <= frame <= last and strip.scale > 0.0):
        return
    length = max(last - first, 1e-6) * strip.scale
    along = (last - frame if strip.use_reverse else frame - first) * strip.scale
    for turn in range(min(math.ceil(strip.repeat), _MOST)):
        shown = strip.frame_start + turn * length + along
        if shown <= strip.frame_end + 1e-3:
            yield shown


def _of_action(
    one: bpy.types.Object, plays: Any, parse: Callable[[str], Parsed | None]
) -> Iterator[tuple[float, str, float, str]]:
    """Of the action that ``plays``, an object's own or a strip's; frames as the action counts them."""
    for curve in action_curves(plays):
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
    for marker in plays.action.pose_markers:
        parsed = parse(marker.name)
        if parsed is not None:
            yield float(marker.frame), parsed[0], parsed[1], parsed[2] or name_thing(one.name)
