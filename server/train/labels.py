# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of clips: which label a video has, and whether it is held out. VGGSound's own, or a plain one."""

from __future__ import annotations

import csv
from pathlib import Path

from ...addon.wire.errors import BadInput
from .pairs import HELD_OUT


def read_labels(path: Path) -> tuple[dict[str, tuple[str, str]], int]:
    """Name of a clip -> (label, split), and how many lines say nothing. Raises BadInput if it cannot be read.

    VGGSound's own list (id, start, label, split; no header) names ``ID_START.mp4``, the start as six digits.
    Any other list has a file's name, a label and perhaps a split in its columns.
    """
    found: dict[str, tuple[str, str]] = {}
    bad = 0
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            for row in csv.reader(stream):
                clip = _clip_of([cell.strip() for cell in row])
                if clip is None:
                    bad += 1
                else:
                    found[clip[0]] = clip[1:]
    except (OSError, csv.Error) as error:
        raise BadInput(
            f"The list {path} cannot be read; give a table of names and labels.", str(error)
        ) from error
    return found, bad


def _clip_of(cells: list[str]) -> tuple[str, str, str] | None:
    if len(cells) >= 4 and cells[1].isdecimal():
        return f"{cells[0]}_{int(cells[1]):06d}", cells[2], _split_of(cells[3])
    if len(cells) < 2 or not cells[0] or not cells[1]:
        return None
    return cells[0], cells[1], _split_of(cells[2]) if len(cells) > 2 else ""


def _split_of(word: str) -> str:
    return "" if not word else "train" if word.lower().startswith("train") else HELD_OUT


def label_of(names: dict[str, tuple[str, str]], file: str) -> tuple[str, str]:
    path = Path(file)
    for key in (file, path.name, path.stem):
        if key in names:
            return names[key]
    return "", ""
