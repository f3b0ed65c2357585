# SPDX-License-Identifier: GPL-3.0-or-later
"""The videos in a folder, found without loading anything that could open them."""

from __future__ import annotations

import os
from pathlib import Path

from ...addon.wire.errors import BadInput

FILMS = frozenset(
    {
        *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ogv", ".mxf"),
        *(".flv", ".wmv", ".3gp", ".ts", ".m2ts"),
    }
)


def find_films(folder: Path) -> list[Path]:
    """Every video below ``folder``, in the order of their names, but hidden ones. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; name the one that holds the videos.")
    found = [
        Path(place, name)
        for place, folders, names in os.walk(folder)
        if not folders.sort()  # type: ignore[func-returns-value]
        for name in sorted(names)
        if Path(name).suffix.lower() in FILMS and not name.startswith(".")
    ]
    if not found:
        raise BadInput(f"{folder} holds no videos ({', '.join(sorted(FILMS))}).")
    return found
