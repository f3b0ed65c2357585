# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound files that lie elsewhere, brought beside the .blend, so that both can go to another computer.

Files are copied, never moved: another .blend may play them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import bpy

from ...sounds.save import FOLDER
from ...takes.history import KEY
from ...wire.errors import BadInput
from .. import sequencer
from . import strips as take_strips


def is_outside(strip: Any) -> bool:
    """Whether ``strip`` plays a file that would not travel with the .blend."""
    sound = strip.sound
    if not bpy.data.filepath or sound is None or sound.packed_file is not None:
        return False
    return not _place(sound.filepath).is_relative_to(Path(bpy.data.filepath).parent)


def _place(path: str) -> Path:
    return Path(os.path.normpath(bpy.path.abspath(path)))


def collect() -> tuple[int, list[str]]:
    """Copy the files of all takes in this .blend; how many, and a sentence for each that could not be.

    Raises BadInput while the .blend has not been saved.
    """
    if not bpy.data.filepath:
        raise BadInput("Save the .blend first; its sounds go beside it.")
    beside = Path(bpy.data.filepath).parent
    copied: dict[Path, Path] = {}
    problems: dict[str, None] = {}
    for scene in bpy.data.scenes:
        for strip in sequencer.all_strips(scene) if scene.library is None else ():
            takes = take_strips.takes_of(strip)
            if takes is None:
                continue
            for take in takes.takes:
                found = take_strips.locate(strip, take)
                path = None if found is None else _place(str(found))
                if path is None or not path.is_file() or path.is_relative_to(beside):
                    continue
                try:
                    copied[path] = copied.get(path) or _copy(path, beside / FOLDER)
                except OSError as error:
                    problems[f"{path.name} could not be copied: {error.strerror or error}."] = None
                    continue
                takes = takes.changed(take.id, path=sequencer.stored_path(copied[path]))
            if KEY in strip:
                take_strips.keep(strip, takes)
    for block in bpy.data.sounds:
        new = copied.get(_place(block.filepath)) if block.library is None else None
        if new is not None:
            block.filepath = sequencer.stored_path(new)
    return len(copied), list(problems)


def _copy(path: Path, folder: Path) -> Path:
    """Copy ``path`` into ``folder``, under its own name or one with a number. Raises OSError."""
    folder.mkdir(exist_ok=True)
    final = folder / path.name
    number = 1
    while os.path.lexists(final):
        number += 1
        final = folder / f"{path.stem}-{number}{path.suffix}"
    temporary = final.with_suffix(".part")
    try:
        shutil.copyfile(path, temporary)
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return final
