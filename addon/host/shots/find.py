# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots of the open file, found where the user keeps them: camera markers, strips or scenes.

And what each of them is asked for, as orders. Nothing of Blender's is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bpy

from ...batch.running import Wish
from ...shots import listed as shot_list
from ...shots.listed import KINDS, MARKERS, SCENES, STRIPS, Shot
from ...timeline import FrameRange
from ...wire.errors import BadInput, FootfallError
from .. import orders, sequencer

AUTO = "auto"
WORDS = {
    MARKERS: "camera markers",
    SCENES: "scenes",
    "scene_strips": "scene strips",
    "movie_strips": "movie strips",
    "meta_strips": "meta strips with a picture",
}
_PICTURES = {"MOVIE", "IMAGE", "SCENE", "MOVIECLIP", "META"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of one shot. ``settings``: see orders.Order, its seed None: one of the shot's own."""

    settings: Mapping[str, Any]
    source: str = "auto"
    per_second: float = 4.0
    hits: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def find(scene: bpy.types.Scene, kind: str) -> list[Shot]:
    """The shots of ``kind``, or of the first kind that there is (AUTO). Raises BadInput without any."""
    if kind == AUTO:
        kinds = (MARKERS, "scene_strips", "movie_strips", "meta_strips")
        found = next((shots for one in kinds if (shots := _find(scene, one))), [])
        return found or _whole(scene)
    if kind not in KINDS:
        raise BadInput(f"There are no shots of the kind “{kind}”; choose one of {', '.join(KINDS)}.")
    found = _find(scene, kind)
    if not found:
        raise BadInput(
            f"The scene “{scene.name}” has no {WORDS[kind]} that could be shots; "
            "find them in another way, or choose another scene."
        )
    return found


def _find(scene: bpy.types.Scene, kind: str) -> list[Shot]:
    if kind == SCENES:
        local = [one for one in bpy.data.scenes if one.library is None and one.override_library is None]
        return shot_list.from_scenes((one.name, _range(one)) for one in local)
    if kind == MARKERS:
        cameras = [(m.frame, m.name) for m in scene.timeline_markers if m.camera is not None]
        return shot_list.from_markers(scene.name, cameras, _range(scene))
    return shot_list.from_strips(kind, scene.name, _strips(scene, STRIPS[kind]))


def _whole(scene: bpy.types.Scene) -> list[Shot]:
    return shot_list.from_scenes([(scene.name, _range(scene))])


def _range(scene: bpy.types.Scene) -> FrameRange:
    return FrameRange(scene.frame_start, max(scene.frame_start, scene.frame_end))


def _strips(scene: bpy.types.Scene, kind: str) -> list[tuple[str, int, int]]:
    """Strips at the top that are seen, the highest channel first, since it covers those below."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    shown = [
        strip
        for strip in sequencer.strips(editor)
        if strip.type == kind and not strip.mute and not editor.channels[strip.channel].mute
    ]
    if kind == "META":
        shown = [meta for meta in shown if any(one.type in _PICTURES for one in sequencer.strips(meta))]
    shown.sort(key=lambda strip: -strip.channel)
    return [(strip.name, *sequencer.span(strip)) for strip in shown]


def wishes(shots: list[Shot], file_id: str, file_name: str, asked_of: Callable[[Shot], Asked]) -> list[Wish]:
    """What is asked of each of ``shots``; what cannot be made says why. ``file_name``: for seeds."""
    return [_wish(shot, file_id, file_name, asked_of(shot)) for shot in shots]


def _wish(shot: Shot, file_id: str, file_name: str, asked: Asked) -> Wish:
    scene = bpy.data.scenes.get(shot.scene)
    if scene is None:
        return Wish(shot=shot, asked="", length_s=0.0, problem=BadInput(f"There is no scene “{shot.scene}”."))
    rate = sequencer.scene_rate(scene)
    source = "sequencer" if shot.sequencer and asked.source == "auto" else asked.source
    settings = dict(asked.settings)
    own_seed = settings.get("seed") is None
    if own_seed:
        settings["seed"] = shot_list.own_seed(file_name, shot.key)
    order: Any = None
    problem: FootfallError | None = None
    try:
        order = orders.make(
            scene,
            file_id,
            shot.span,
            source=source,
            per_second=asked.per_second,
            settings=settings,
            hits=asked.hits,
        )
    except FootfallError as error:
        problem = error
    facts: dict[str, Any] = {
        "span": (shot.span.start, shot.span.end),
        "rate": rate.per_second,
        "source": source,
    }
    facts |= {"per_second": asked.per_second, **asked.extra}
    if order is not None:
        facts |= {
            "hits": order.hits,
            "settings": {
                **shot_list.wished(order.settings),
                "seed": None if own_seed else settings["seed"],
            },
        }
    return Wish(
        shot=shot,
        asked=shot_list.digest(facts),
        length_s=float(shot.span.duration_s(rate)),
        order=order,
        problem=problem,
    )
