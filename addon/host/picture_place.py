# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a sound become image strips beside it, or images of the .blend, in one undo step.

Looks what is there and adds what is missing, so placing a job twice adds nothing. Main thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import bpy

from ..picture_delivery import IMAGES, StoredPicture, StoredPictures
from ..picture_story import KEY
from ..wire.errors import BadInput, FootfallError, SaveError
from . import sequencer, texts
from .placing import Placed, Where

COLOR = "COLOR_05"

log = logging.getLogger(__name__)


def place(stored: StoredPictures, where: Where) -> Placed:
    """Add what is missing. Raises BadInput (no such scene, linked, no room) or SaveError (a file is gone)."""
    scene = sequencer.find_scene(where.scene_name, where.uid)
    if scene is None:
        raise BadInput(
            f"The scene “{where.scene_name}” is gone. The pictures are kept; place them into another scene."
        )
    waiting = _missing(scene, stored)
    for item in waiting:
        if not item.path.is_file():
            raise SaveError(f"The picture {item.path} is gone; make it again.")
    if stored.board.kind == IMAGES:
        _add_images(waiting)
    else:
        _add_strips(scene, waiting, stored.board.channel)
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


def _add_images(waiting: Sequence[StoredPicture]) -> None:
    for item in waiting:
        image = bpy.data.images.load(sequencer.stored_path(item.path), check_existing=False)
        image.name = item.name
        image.use_fake_user = True  # nothing else uses it, and it would be gone at the next save
        image[sequencer.UUID_KEY], image[KEY] = item.uuid, item.story


def _add_strips(scene: Any, waiting: Sequence[StoredPicture], above: int) -> None:
    """A channel for each take, near the sound and above it where there is room. All or none."""
    editor = sequencer.ensure_editor(scene)
    made: list[Any] = []
    try:
        with sequencer.undisturbed(scene):
            for take in sorted({item.take for item in waiting}):
                items = [item for item in waiting if item.take == take]
                first, end = min(item.start for item in items), max(item.end for item in items)
                channel = sequencer.free_channel(editor, first, end, above + 1 + take)
                made += [_add_strip(editor, item, channel) for item in items]
    except FootfallError:
        sequencer.remove_strips(scene, made)
        raise


def _add_strip(editor: Any, item: StoredPicture, channel: int) -> Any:
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
    strip.mute = item.take > 0
    strip.select = False  # the user's selection is the user's
    return strip


def _sentence(scene: Any, stored: StoredPictures) -> str:
    count = texts.count(len(stored.strips), "picture")
    if stored.board.kind == IMAGES:
        return f"{count} in this file; the Image Editor shows them."
    takes = max(item.take for item in stored.strips)
    more = " The first take is seen, the others wait muted above it." if takes else ""
    return f"{count} in “{scene.name}” from frame {stored.strips[0].start}.{more}"
