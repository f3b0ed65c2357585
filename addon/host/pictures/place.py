# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a sound become image strips beside it, or images of the .blend, in one undo step.

Looks what is there and adds what is missing, so placing a job twice adds nothing. Main thread only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import bpy

from ...pictures.delivery import IMAGES, StoredPicture, StoredPictures
from ...pictures.story import KEY
from ...wire.errors import BadInput, SaveError
from .. import sequencer, texts
from ..sounds.placing import Placed, Where

COLOR = "COLOR_05"


def place(stored: StoredPictures, where: Where, budget_s: float = 60.0) -> Placed | None:
    """Add what is missing for ``budget_s`` seconds, at least one; None while there are more to come.

    Raises BadInput (no such scene, linked, no room) or SaveError (a file is gone).
    """
    scene = sequencer.find_scene(where.scene_name, where.uid)
    if scene is None:
        raise BadInput(
            f"The scene “{where.scene_name}” is gone. The pictures are kept; place them into another scene."
        )
    waiting = _missing(scene, stored)
    for item in waiting:
        if not item.path.is_file():
            raise SaveError(f"The picture {item.path} is gone; make it again.")
    images = stored.board.kind == IMAGES
    if not (_add_images(waiting, budget_s) if images else _add_strips(scene, stored, waiting, budget_s)):
        return None
    if waiting and bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message="Footfall Pictures")
    return Placed(
        job_id=stored.job_id,
        scene_name=scene.name,
        uuids=tuple(item.uuid for item in stored.strips),
        sentence=_sentence(scene, stored),
    )


def gone(stored: StoredPictures, where: Where) -> bool:
    """Whether none of a job's pictures is there (any more)."""
    scene = sequencer.find_scene(where.scene_name, where.uid)
    return scene is None or len(_missing(scene, stored)) == len(stored.strips)


def _missing(scene: Any, stored: StoredPictures) -> list[StoredPicture]:
    holders = bpy.data.images if stored.board.kind == IMAGES else sequencer.all_strips(scene)
    there = {sequencer.uuid_of(one) for one in holders}
    return [item for item in stored.strips if item.uuid not in there]


def _add_images(waiting: Sequence[StoredPicture], budget_s: float) -> bool:
    """Whether that was all."""
    deadline = time.perf_counter() + budget_s
    for number, item in enumerate(waiting, start=1):
        image = bpy.data.images.load(sequencer.stored_path(item.path), check_existing=False)
        image.name = item.name
        image.use_fake_user = True  # nothing else uses it, and it would be gone at the next save
        image[sequencer.UUID_KEY], image[KEY] = item.uuid, item.story
        if time.perf_counter() >= deadline and number < len(waiting):
            return False
    return True


def _add_strips(
    scene: Any, stored: StoredPictures, waiting: Sequence[StoredPicture], budget_s: float
) -> bool:
    """Whether that was all. A channel for each take, near the sound and above it where there is room."""
    editor = sequencer.ensure_editor(scene)
    deadline = time.perf_counter() + budget_s
    channels = {take: _channel(scene, stored, take) for take in sorted({item.take for item in waiting})}
    hidden = _would_cover(scene, stored)
    with sequencer.undisturbed(scene):
        for number, item in enumerate(waiting, start=1):
            _add_strip(editor, item, channels[item.take], mute=hidden or item.take > 0)
            if time.perf_counter() >= deadline and number < len(waiting):
                return False
    return True


def _channel(scene: Any, stored: StoredPictures, take: int) -> int:
    """Where the pictures of a take go: beside those that are there. Raises BadInput when all is full."""
    items = [item for item in stored.strips if item.take == take]
    uuids = {item.uuid for item in items}
    for strip in sequencer.strips(scene.sequence_editor):
        if sequencer.uuid_of(strip) in uuids:
            return int(strip.channel)
    first, end = min(item.start for item in items), max(item.end for item in items)
    return sequencer.free_channel(scene.sequence_editor, first, end, stored.board.channel + 1 + take)


def _would_cover(scene: Any, stored: StoredPictures) -> bool:
    """Whether strips that are seen would cover a film, or take the place of what the camera renders."""
    first, end = min(item.start for item in stored.strips), max(item.end for item in stored.strips)
    seen = (
        strip
        for strip in sequencer.strips_between(scene, first, end)
        if strip.type != "SOUND" and not strip.mute and KEY not in strip
    )
    return scene.camera is not None or any(True for _ in seen)


def _add_strip(editor: Any, item: StoredPicture, channel: int, *, mute: bool) -> None:
    try:
        strip = sequencer.strips(editor).new_image(
            item.name, sequencer.stored_path(item.path), channel, item.start, fit_method="FIT"
        )
    except RuntimeError as error:
        raise BadInput(
            "Blender could not add the image strip; copy the details and report them.", str(error)
        ) from error
    sequencer.set_span(strip, item.start, item.end)
    strip[sequencer.UUID_KEY], strip[KEY] = item.uuid, item.story
    strip.color_tag = COLOR
    strip.mute = mute
    strip.select = False  # the user's selection is the user's


def _sentence(scene: Any, stored: StoredPictures) -> str:
    count = texts.count(len(stored.strips), "picture")
    if stored.board.kind == IMAGES:
        return f"{count} in this file; the Image Editor shows them."
    more = ""
    if any(item.take for item in stored.strips):
        more = " The first take is seen, the others wait muted above it."
    if _would_cover(scene, stored):
        more = " They are muted, so that they do not cover your picture; unmute those that you want to see."
    return f"{count} in “{scene.name}” from frame {stored.strips[0].start}.{more}"
