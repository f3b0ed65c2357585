# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene's sound as an OpenTimelineIO file, which other editors read: tracks of clips that name their WAVs.

The format is plain JSON, written here with the standard library, because Blender's Python has no package for
it. The tests read it back with the format's own package.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..timeline import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackClip:
    """One clip. ``start``, ``frames``: on the timeline; ``skip``: frames into its file, of ``length``."""

    name: str
    path: Path
    start: int
    frames: int
    skip: int = 0
    length: int = 0
    heard: bool = True
    story: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Clips of one channel, none over another. ``kind``: Audio or Video."""

    name: str
    clips: Sequence[TrackClip]
    kind: str = "Audio"


def text(name: str, rate: Rate, first_frame: int, tracks: Sequence[Track], folder: Path) -> str:
    """The timeline as the text of a file in ``folder``; it begins at ``first_frame``."""
    timeline = {
        **_object("Timeline.1", name),
        "global_start_time": _time(first_frame, rate),
        "tracks": {
            **_item("Stack.1", "tracks"),
            "children": [_track(track, rate, first_frame, folder) for track in tracks],
        },
    }
    return json.dumps(timeline, indent=1)


def _track(track: Track, rate: Rate, first_frame: int, folder: Path) -> dict[str, Any]:
    children: list[dict[str, Any]] = []
    here = first_frame
    for clip in sorted(track.clips, key=lambda clip: clip.start):
        start = max(clip.start, here)
        frames = clip.start + clip.frames - start
        if frames < 1:
            continue
        if start > here:
            gap = {**_item("Gap.1", ""), "source_range": _range(0, start - here, rate)}
            children.append(gap)
        children.append(_clip(clip, clip.skip + start - clip.start, frames, rate, folder))
        here = start + frames
    return {**_item("Track.1", track.name), "kind": track.kind, "children": children}


def _clip(clip: TrackClip, skip: int, frames: int, rate: Rate, folder: Path) -> dict[str, Any]:
    media = {
        **_object("ExternalReference.1", clip.path.name),
        "available_range": _range(0, max(clip.length, skip + frames), rate),
        "target_url": _url(clip.path, folder),
    }
    return {
        **_item("Clip.1", clip.name),
        "metadata": {"footfall": dict(clip.story)},
        "enabled": clip.heard,
        "source_range": _range(skip, frames, rate),
        "media_reference": media,
    }


def _url(path: Path, folder: Path) -> str:
    """As it lies to the file, so that both can move together; a full URL where it lies elsewhere."""
    if path.is_relative_to(folder):
        return quote(os.path.relpath(path, folder).replace(os.sep, "/"))
    return path.absolute().as_uri()


def _object(schema: str, name: str) -> dict[str, Any]:
    return {"OTIO_SCHEMA": schema, "name": name, "metadata": {}}


def _item(schema: str, name: str) -> dict[str, Any]:
    return {**_object(schema, name), "source_range": None, "effects": [], "markers": [], "enabled": True}


def _time(frames: int, rate: Rate) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate.per_second), "value": float(frames)}


def _range(start: int, frames: int, rate: Rate) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(start, rate),
        "duration": _time(frames, rate),
    }
