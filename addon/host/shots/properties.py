# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""The list of shots that is saved in the scene: which there are, and the words of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ...wire import limits

if TYPE_CHECKING:
    from ...shots.listed import Shot

KINDS = (
    ("auto", "Automatic", "Camera markers if there are any, else strips that show a picture, else the scene"),
    ("markers", "Camera Markers", "From each timeline marker with a camera to the next"),
    ("scene_strips", "Scene Strips", "Each scene strip of the sequencer"),
    ("movie_strips", "Movie Strips", "Each movie strip of the sequencer"),
    ("meta_strips", "Meta Strips", "Each meta strip that holds a picture"),
    ("scenes", "Scenes", "Each scene of this file"),
)


class FOOTFALL_PG_shot(bpy.types.PropertyGroup):
    """One shot as it was found; ``name`` comes from Blender."""

    kind: StringProperty(options={"HIDDEN"})
    scene: StringProperty(options={"HIDDEN"})
    start: IntProperty(options={"HIDDEN"})
    end: IntProperty(options={"HIDDEN"})
    sequencer: BoolProperty(options={"HIDDEN"})
    use: BoolProperty(name="Make", description="Give this shot its sound with the others", default=True)
    prompt: StringProperty(
        name="Sounds Like",
        description="Words of this shot's own, on top of those that all shots share",
        maxlen=limits.PROMPT,
    )


class FOOTFALL_PG_shots(bpy.types.PropertyGroup):
    """The list, and how it is found."""

    kind: EnumProperty(name="Shots", description="What counts as a shot", items=KINDS, default="auto")
    entries: CollectionProperty(type=FOOTFALL_PG_shot)
    active: IntProperty(name="Shot", options={"HIDDEN"})


def read(scene: bpy.types.Scene) -> list[Shot]:
    """The shots of the list."""
    return [shot_of(entry) for entry in scene.footfall_shots.entries]


def shot_of(entry: FOOTFALL_PG_shot) -> Shot:
    """One entry as plain data."""
    from ...shots.listed import Shot
    from ...timeline import FrameRange

    return Shot(
        kind=entry.kind,
        scene=entry.scene,
        name=entry.name,
        span=FrameRange(entry.start, max(entry.start, entry.end)),
        sequencer=entry.sequencer,
    )


def write(scene: bpy.types.Scene, shots: list[Shot]) -> None:
    """Replace the list; a shot that was there keeps its words and whether it is wanted."""
    listed = scene.footfall_shots
    kept = {shot_of(entry).key: (entry.prompt, entry.use) for entry in listed.entries}
    listed.entries.clear()
    for shot in shots:
        entry = listed.entries.add()
        entry.name, entry.kind, entry.scene = shot.name, shot.kind, shot.scene
        entry.start, entry.end, entry.sequencer = shot.span.start, shot.span.end, shot.sequencer
        entry.prompt, entry.use = kept.get(shot.key, ("", True))
    listed.active = min(listed.active, max(0, len(shots) - 1))


CLASSES = (FOOTFALL_PG_shot, FOOTFALL_PG_shots)


def register() -> None:
    bpy.types.Scene.footfall_shots = PointerProperty(type=FOOTFALL_PG_shots)


def unregister() -> None:
    del bpy.types.Scene.footfall_shots
