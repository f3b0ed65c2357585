# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job's sound as a text that a journal keeps, and back: paths, plans and stories, no samples.

Paths below the journal's folder are kept relative to it, so that both can move together. Reading believes
nothing: what is no such text, or names files that are gone, is None, and the shot is made anew.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ..sounds.delivery import Stored, StoredStrip
from ..sounds.placement import PlannedStrip, Shot
from ..timeline import Rate, exact
from ..wire.errors import BadInput


def write(stored: Stored, folder: Path) -> str:
    """``stored`` as JSON, its files named as they lie to ``folder``."""
    return json.dumps(
        {
            "job_id": stored.job_id,
            "start_frame": str(stored.shot.start_frame),
            "fps": stored.shot.rate.fps,
            "fps_base": str(stored.shot.rate.fps_base),
            "strips": [_plain_strip(item, folder) for item in stored.strips],
            "sentence": stored.sentence,
            "warnings": list(stored.warnings),
        },
        separators=(",", ":"),
    )


def read(text: str, folder: Path, *, files_needed: bool = True) -> Stored | None:
    """What ``write`` wrote, or None when it is damaged, of another version, or a file of it is gone."""
    try:
        plain = json.loads(text)
        strips = tuple(_strip(item, folder) for item in plain["strips"])
        stored = Stored(
            job_id=_word(plain["job_id"]),
            shot=Shot(
                start_frame=exact(plain["start_frame"]),
                rate=Rate(plain["fps"], exact(plain["fps_base"])),
            ),
            strips=strips,
            sentence=_word(plain["sentence"]),
            warnings=tuple(_word(warning) for warning in plain["warnings"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, RecursionError, BadInput):
        return None
    if files_needed and not all(item.path.is_file() for item in strips):
        return None
    return stored


def _plain_strip(item: StoredStrip, folder: Path) -> dict[str, Any]:
    return {
        "path": _short(item.path, folder),
        "strip": {f.name: getattr(item.strip, f.name) for f in dataclasses.fields(item.strip)},
        "story": item.story,
    }


def _strip(item: dict[str, Any], folder: Path) -> StoredStrip:
    values = item["strip"]
    kinds = {f.name: str(f.type) for f in dataclasses.fields(PlannedStrip)}
    for name, kind in kinds.items():
        if name in values and kind in _PLAIN and type(values[name]) is not _PLAIN[kind]:
            raise TypeError(name)
    planned = PlannedStrip(**values)
    if planned.frames < 1:
        raise ValueError("frames")
    return StoredStrip(
        path=folder / _word(item["path"]),
        strip=planned,
        story=_word(item["story"]),
    )


_PLAIN = {"str": str, "int": int, "bool": bool}


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _short(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
