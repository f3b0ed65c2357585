# SPDX-License-Identifier: GPL-3.0-or-later
"""What one click asks for, as plain data: names and numbers only, since nothing of Blender's outlives a
tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import bpy

from .. import words_only
from ..options import random_seed
from ..timeline import FrameRange, Rate
from ..wire.errors import BadInput
from ..wire.limits import DURATION_S, PROMPT, TAKE_SECONDS
from ..wire.texts import scrub
from . import sequencer, texts
from .properties import FOOTFALL_PG_settings
from .worker import bundles


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job to be. ``settings``: the fields of FoleyRequest that do not come from the picture.

    ``hits``: where hits are looked for, unless the settings bring them: one of options.HITS;
    ``off_screen``, ``hidden``: those too that the camera does not see, or of things that are not rendered;
    ``aims``: joining.Aim of strips that get the sound as a new take, none for strips of its own;
    ``look``: called with the request instead of sending it, where only pictures and hits are wanted;
    ``home``: (name, session_uid) of the scene that the sound goes to, empty for the one that is seen;
    ``scene_uid``: session_uid, good until another file is opened; ``file_id``: see session.py.
    """

    scene_name: str
    scene_uid: int
    file_id: str
    span: FrameRange
    rate: Rate
    source: str
    per_second: float
    settings: Mapping[str, Any]
    hits: str = "scene"
    off_screen: bool = False
    hidden: bool = False
    aims: tuple[Any, ...] = ()
    look: Any = None
    home: tuple[str, int] | tuple[()] = ()

    @property
    def label(self) -> str:
        """How the job list names it: the words, or else the frames."""
        prompt = texts.clean(self.settings.get("prompt", ""), 40)
        return prompt or f"Frames {self.span.start}-{self.span.end}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the stories of its strips say of the shot, so that the same can be asked for again."""
        return {
            "scene": self.scene_name,
            "start": self.span.start,
            "end": self.span.end,
            "source": self.source,
            "per_second": self.per_second,
            "hits": self.hits,
            "off_screen": self.off_screen,
            "hidden": self.hidden,
        }


def panel_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the user looks at: in a sequencer the one being edited, which 5.x names apart."""
    area = context.area
    if area is not None and area.type == "SEQUENCE_EDITOR":
        return sequencer.seq_scene(context)
    return context.scene


def named_scene(name: str, context: bpy.types.Context) -> bpy.types.Scene:
    """The scene of this name, or the context's where none is named. Raises BadInput."""
    scene = bpy.data.scenes.get(name) if name else context.scene
    if scene is None:
        raise BadInput(f"There is no scene “{name}” in this file; choose another one.")
    return scene


def from_panel(context: bpy.types.Context, file_id: str) -> Order:
    """The order that the panel's settings stand for. Raises BadInput with what to change."""
    scene = panel_scene(context)
    chosen: FOOTFALL_PG_settings = scene.footfall
    if chosen.random_seed:
        chosen.seed = random_seed()
    settings = panel_settings(chosen)
    return make(
        scene,
        file_id,
        frame_range(scene, chosen.range),
        source=chosen.source,
        per_second=chosen.per_second,
        settings=settings,
    )


def panel_settings(chosen: FOOTFALL_PG_settings) -> dict[str, Any]:
    """What the panel says of the sound, as fields of FoleyRequest. Raises BadInput without a layer."""
    layers = chosen.layers()
    if not layers:
        raise BadInput("Switch on at least one layer: Bed or Spots.")
    return {
        "prompt": scrub(chosen.prompt, PROMPT),
        "negative_prompt": scrub(chosen.negative_prompt, PROMPT),
        "background": scrub(chosen.behind(), PROMPT),
        "nudge": float(chosen.nudge),
        "takes": int(chosen.takes),
        "seed": int(chosen.seed),
        "quality": chosen.quality,
        "bundle": chosen.bundle_name,
        "mapper": chosen.mapper,
        "condition": condition(chosen),
        "layers": layers,
        "duck_db": round(chosen.duck_db, 3),
        "spots_as": chosen.spots_as,
        "in_sync": chosen.in_sync,
        "hard_cuts": chosen.hard_cuts,
        "loop": chosen.loop,
    }


def condition(chosen: FOOTFALL_PG_settings) -> str:
    """What the panel lets the sound be decided by, as FoleyRequest says it."""
    if chosen.source != words_only.SOURCE:
        return "picture"
    return words_only.condition(chosen.words_through, bundles.queries_of(chosen.bundle_name))


def to_search(scene: bpy.types.Scene, file_id: str) -> Order:
    """The order to look for hits in the panel's shot, and nothing else. Raises BadInput.

    Footage in the sequencer has no scene to be read: there the pictures tell.
    """
    chosen: FOOTFALL_PG_settings = scene.footfall
    span = frame_range(scene, chosen.range)
    hits = chosen.events
    source = "auto" if chosen.source == words_only.SOURCE else chosen.source
    if hits == "scene" and _shows_footage(scene, source, span):
        hits = "pixels"
    return make(
        scene,
        file_id,
        span,
        source=source,
        per_second=chosen.per_second,
        settings={"prompt": "Hits", "layers": (), "bundle": chosen.bundle_name, "events": ()},
        hits=hits,
    )


def _shows_footage(scene: bpy.types.Scene, source: str, span: FrameRange) -> bool:
    from .capture import capture

    if source != "auto":
        return source == "sequencer"
    try:
        return capture.choose_route(scene, span, window=not bpy.app.background).route == "sequencer"
    except BadInput:
        return False  # nothing to see, but the scene can still be read


def make(
    scene: bpy.types.Scene,
    file_id: str,
    span: FrameRange,
    *,
    source: str,
    per_second: float,
    settings: Mapping[str, Any],
    hits: str = "",
) -> Order:
    """An order for ``span`` of ``scene``. Raises BadInput when it is longer than one job may be.

    hits: one of options.HITS, or "" for what the scene says: its list, if there is a hit of this span in it,
    else wherever the panel says.
    """
    rate = sequencer.scene_rate(scene)
    length = span.duration_s(rate)
    if length > DURATION_S:
        raise BadInput(
            f"{texts.seconds(float(length))} are too long for one job; "
            f"choose a range of at most {texts.seconds(DURATION_S)}."
        )
    if length * settings.get("takes", 1) > TAKE_SECONDS:
        raise BadInput(f"{settings['takes']} takes of this length are too many; ask for fewer takes.")
    chosen: FOOTFALL_PG_settings = scene.footfall
    settings = {"least_strength": float(chosen.least_strength), **settings}
    if "events" not in settings and wants_hits(settings):
        listed = _listed(scene, span, rate, settings["least_strength"]) if hits in ("", "list") else None
        if listed is not None or (hits or chosen.events) == "list":
            settings["events"] = listed or ()
    return Order(
        scene_name=scene.name,
        scene_uid=scene.session_uid,
        file_id=file_id,
        span=span,
        rate=rate,
        source=source,
        per_second=float(per_second),
        settings=settings,
        hits=hits or chosen.events,
        off_screen=chosen.off_screen,
        hidden=chosen.hidden,
    )


def wants_hits(settings: Mapping[str, Any]) -> bool:
    """Whether a sound with these settings follows hits."""
    return "spots" in settings.get("layers", ()) or bool(settings.get("in_sync"))


def _listed(scene: bpy.types.Scene, span: FrameRange, rate: Rate, least: float) -> Any:
    """The events that the scene's list lets sound; None if there is no hit of ``span`` in it at all."""
    from ..hits import listed as hit_list
    from .hits import store

    hits = hit_list.inside(store.read(scene), span)
    return hit_list.heard(hits, span, rate, least) if hits else None


def frame_range(scene: bpy.types.Scene, kind: str) -> FrameRange:
    """The frames that ``kind`` (scene, preview, strips) stands for. Raises BadInput when there are none."""
    if kind == "preview":
        if not scene.use_preview_range:
            raise BadInput(
                "No preview range is set; set one in the timeline with P, or choose another range."
            )
        return FrameRange(scene.frame_preview_start, scene.frame_preview_end)
    if kind == "strips":
        spans = sequencer.selected_spans(scene)
        if not spans:
            raise BadInput("No strip is selected; select some in the sequencer, or choose another range.")
        return FrameRange(min(first for first, _ in spans), max(end for _, end in spans) - 1)
    return FrameRange(scene.frame_start, scene.frame_end)


def part(span: FrameRange, rate: Rate, start_s: Fraction | None, end_s: Fraction | None) -> FrameRange:
    """The whole frames of ``span`` from ``start_s`` to ``end_s`` (seconds into it). Raises BadInput when
    empty.
    """
    first = span.start if start_s is None else span.start + int(rate.frames(start_s))
    last = span.end if end_s is None else span.start + -int(-rate.frames(end_s) // 1) - 1
    if first > span.end:
        raise BadInput("The start lies behind the end of the shot; choose an earlier one.")
    return FrameRange(first, min(last, span.end))
