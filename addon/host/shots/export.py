# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch leaves beside the saved file: stems, a mix and a timeline for other editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...sounds import stems
from ...whole_file import whole_file
from ...wire.errors import SaveError
from ..sounds import export as sound_export


def export(result: Path, scenes: set[str], playblast: Path | None, report: dict[str, Any]) -> None:
    """Write what belongs to ``result`` and tell ``report``; ``sounds``: the files that its strips play.

    Raises BadInput, SaveError.
    """
    report |= {"sounds": [], "stems": {}, "mix": "", "otio": "", "notes": []}
    for name in sorted(scenes):
        scene = bpy.data.scenes[name]
        found = sound_export.sounds(scene)
        if not found:
            continue
        stem = result.stem if len(scenes) == 1 else f"{result.stem}.{_plain(name)}"
        report["sounds"] += [str(sound.path) for sound in found]
        report["notes"] += [f"{one.name}: {one.doubt} is not in the stems." for one in found if one.doubt]
        plan = sound_export.plan(scene, found, result.with_name(f"{stem}.wav"))
        if any(plan.stems.values()):
            files = {kind: str(path) for kind, path in stems.export(plan).items()}
            report["files"] += files.values()
            report["mix"] = report["mix"] or files[stems.MIX]
            prefix = "" if len(scenes) == 1 else f"{name} "
            report["stems"] |= {prefix + kind: path for kind, path in files.items() if kind != stems.MIX}
        timeline = result.with_name(f"{stem}.otio")
        write_text(timeline, sound_export.timeline(scene, found, result.parent, playblast))
        report["otio"] = report["otio"] or str(timeline)
        report["files"].append(str(timeline))
    if playblast is not None:
        report["playblast"] = str(playblast)


def write_text(path: Path, text: str) -> None:
    """The whole text under its name, or nothing. Raises SaveError."""
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SaveError(f"{path} could not be written; make room there, or choose another place.") from error


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60]
