# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""Picture This Sound: what the user chooses, and the button."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from ...wire import limits
from ...wire.errors import FootfallError
from .. import live, texts
from ..operators import FINISHED, Outcome, allowed, refuse, wake
from ..settings import current
from ..takes.operators import scene_of
from ..worker import bundles
from ..worker import setup as setup_worker

WORDS = "a photo of a"
EACH = (
    ("whole", "Strip", "One picture of the whole sound"),
    ("windows", "Window", "A picture for each few seconds"),
    ("cuts", "Cut", "A picture between each two cuts: camera markers, and strips that show something"),
)
KINDS = (
    ("strips", "Image Strips", "Image strips beside the sound"),
    ("images", "Images", "Images of this file, as reference; the Image Editor shows them"),
)


class FOOTFALL_PG_pictures(bpy.types.PropertyGroup):
    """What the panel of pictures is set to, saved with the scene."""

    each: EnumProperty(name="One for Each", description="How many pictures a sound gets", items=EACH)
    window_s: FloatProperty(
        name="Seconds",
        description="Length of a window",
        min=0.1,
        max=float(limits.DURATION_S),
        soft_min=1.0,
        soft_max=30.0,
        default=5.0,
        precision=1,
    )
    kind: EnumProperty(name="As", description="What the pictures become", items=KINDS)
    words: StringProperty(
        name="Words",
        description="What stands before the sound's own word, as: a painting of a",
        default=WORDS,
        maxlen=limits.PROMPT,
    )
    takes: IntProperty(
        name="Takes", description="How many of each picture", min=1, max=limits.TAKES, soft_max=4, default=1
    )


class FOOTFALL_OT_picture(bpy.types.Operator):
    """Queues a job for each selected sound strip; the pump reads the sound and places the pictures."""

    bl_idname = "footfall.picture"
    bl_label = "Picture This Sound"
    bl_description = (
        "Show what the selected sounds sound like: reference pictures beside them, as a storyboard of a "
        "sound track. You can go on working; they appear when they are ready"
    )
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return allowed(cls, why_not(context))

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import orders as picture_orders
        from . import readers

        session, scene = live.get(), scene_of(context)
        try:
            settings = panel_settings(scene)
            orders = picture_orders.from_strips(scene, session.file_id, scene.footfall_pictures, settings)
            for order in orders:
                session.add(order)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        readers.load()
        self.report({"INFO"}, f"{texts.count(len(orders), 'sound')} to be pictured.")
        return FINISHED


def why_not(context: bpy.types.Context) -> str:
    """Why no sound can be pictured now, in words; "" when one can."""
    scene = scene_of(context)
    if scene is None or not selected(scene):
        return "Select a sound strip"
    if no_worker := setup_worker.why_not(current()):
        return no_worker
    bundle = scene.footfall.bundle_name
    if not bundles.find(bundle).paints_sounds and not painters():
        return "No model here paints what it hears"
    return ""


def selected(scene: Any) -> bool:
    """Whether a sound strip, or a meta, is selected where the user looks."""
    from .. import sequencer

    return any(strip.select and strip.type in ("SOUND", "META") for strip in sequencer.shown_strips(scene))


def painters() -> tuple[bundles.Row, ...]:
    """The models on this machine that paint what they hear."""
    return tuple(row for row in bundles.rows() if row.paints_sounds and row.installed)


def painter(scene: Any) -> str:
    """The scene's model if it paints what it hears, else the first that does; "" without any."""
    chosen = bundles.find(scene.footfall.bundle_name)
    found = [row.name for row in (chosen, *painters()) if row.paints_sounds]
    return found[0] if found else ""


def panel_settings(scene: Any) -> dict[str, Any]:
    """What the panel says of the pictures, as fields of PictureRequest."""
    from ...options import random_seed
    from ...wire.texts import scrub

    chosen, sound = scene.footfall_pictures, scene.footfall
    paints = painter(scene)
    listens = paints if "sound" in bundles.find(paints).makes else sound.bundle_name
    return {
        "words": scrub(chosen.words, limits.PROMPT).strip() or WORDS,
        "takes": int(chosen.takes),
        "seed": random_seed() if sound.random_seed else int(sound.seed),
        "quality": sound.quality,
        "bundle": listens,
        "pictures": "" if listens == paints else paints,
    }


CLASSES: tuple[Any, ...] = (FOOTFALL_PG_pictures, FOOTFALL_OT_picture)


def register() -> None:
    bpy.types.Scene.footfall_pictures = PointerProperty(type=FOOTFALL_PG_pictures)


def unregister() -> None:
    del bpy.types.Scene.footfall_pictures
