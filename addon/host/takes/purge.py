# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of deleted takes, deleted for good when the user says so.

A file goes only if every list in this .blend that names it has deleted it, and nothing plays it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ...takes.history import Take, Takes
from .. import sequencer
from . import strips as take_strips


def measure() -> tuple[int, int]:
    """How many files would go, and their bytes."""
    paths = _free()
    return len(paths), sum(path.stat().st_size for path in paths)


def purge() -> tuple[int, list[str]]:
    """Delete them; how many went, and a sentence for each that could not. The takes' words and seeds stay."""
    gone, problems = set(), []
    for path in sorted(_free()):
        try:
            path.unlink()
            gone.add(path)
        except OSError as error:
            problems.append(f"{path.name} could not be deleted: {error.strerror or error}.")
    for strip, takes in _lists():
        for take in takes.takes:
            if (
                take.deleted
                and take.path
                and take.id != takes.current
                and _place(strip, take) in (None, *gone)
            ):
                takes = takes.changed(take.id, path="")
        take_strips.keep(strip, takes)
    return len(gone), problems


def _lists() -> Iterator[tuple[Any, Takes]]:
    for scene in bpy.data.scenes:
        if scene.library is None:
            for strip in sequencer.all_strips(scene):
                takes = take_strips.takes_of(strip)
                if takes is not None:
                    yield strip, takes


def _free() -> set[Path]:
    """Files of deleted takes that nothing in this .blend needs."""
    deleted: set[Path] = set()
    needed = {Path(bpy.path.abspath(b.filepath)) for b in bpy.data.sounds if b.users and b.filepath}
    for strip, takes in _lists():
        for take in takes.takes:
            path = _place(strip, take)
            if path is not None:
                (deleted if take.deleted and take.id != takes.current else needed).add(path)
    real = {os.path.realpath(path) for path in needed}
    return {path for path in deleted if path.is_file() and os.path.realpath(path) not in real}


def _place(strip: Any, take: Take) -> Path | None:
    return take_strips.locate(strip, take)
