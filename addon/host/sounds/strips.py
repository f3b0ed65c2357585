# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound strips: made and proven to be there, and the sounds that they play."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ...sounds.placement import PlannedStrip, Seat
from ...takes.provenance import KEY
from ...wire.errors import BadInput, SaveError
from .. import sequencer


def add_sound(
    scene: Any, path: Path, strip: PlannedStrip, seat: Seat, story: str, meta: Any | None = None
) -> Any:
    """Make the strip that ``strip`` plans, on the channel of ``seat`` (of ``meta``), and prove that it is
    there.

    Raises SaveError when the file is not a sound (Blender itself would add a silent strip), BadInput when
    Blender refuses.
    """
    editor = sequencer.ensure_editor(scene)
    if not path.is_file() or path.stat().st_size == 0:
        raise SaveError(f"The sound file {path} is gone; generate it again.")
    holder = editor if meta is None else meta
    made = _new_sound(holder, path, strip, seat)
    if made.sound is None or made.sound.samplerate == 0 or made.sound.channels == "INVALID":
        sequencer.discard(holder, made)
        raise SaveError(f"Blender cannot read the sound file {path}; generate it again.")
    made[sequencer.UUID_KEY], made[KEY] = strip.uuid, story
    made.color_tag = strip.color
    made.mute = not strip.audible
    made.select = False  # the user's selection is the user's
    _, end = sequencer.span(made)
    if end > strip.end:  # the scene's rate has changed since the room was looked for
        sequencer.set_span(made, strip.start, strip.end)
    if seat.name:
        editor.channels[seat.channel].name = seat.name
    return made


def _new_sound(holder: Any, path: Path, strip: PlannedStrip, seat: Seat) -> Any:
    """Plainly first; inside a sequencer's area where that had no effect, as some report of timers in 5.x."""
    for context in (contextlib.nullcontext(), _sequencer_area()):
        with context:
            try:
                made = sequencer.strips(holder).new_sound(
                    strip.name, sequencer.stored_path(path), seat.channel, strip.start
                )
            except RuntimeError as error:
                raise BadInput(
                    "Blender could not add the sound strip; copy the details and report them.", str(error)
                ) from error
            if made is not None and sequencer.strips(holder).get(made.name) == made:
                return made
    raise BadInput("Blender did not keep the sound strip; open a Sequencer and place the sound again.")


@contextlib.contextmanager
def _sequencer_area() -> Iterator[None]:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
                    yield
                return
    yield


def load_sound(path: Path) -> Any:
    """The data-block that plays the file ``path``. Raises SaveError when it is gone or no sound."""
    for block in bpy.data.sounds:
        if (
            block.packed_file is not None
            and block.library is None
            and sequencer.absolute(block, block.filepath) == path
        ):
            return block
    if not path.is_file():
        raise SaveError(f"The sound file {path} is gone.")
    block = bpy.data.sounds.load(sequencer.stored_path(path), check_existing=True)
    if block.samplerate == 0 or block.channels == "INVALID":
        if block.users == 0:
            bpy.data.sounds.remove(block)
        raise SaveError(f"Blender cannot read the sound file {path}.")
    return block


def set_sound(strip: Any, block: Any) -> None:
    """Have ``strip`` play ``block``, with the choices that the user made for the sound before."""
    before = strip.sound
    if before is not None and before != block:
        block.use_mono, block.use_memory_cache = before.use_mono, before.use_memory_cache
    strip.sound = block
