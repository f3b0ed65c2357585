# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots of a file: what they are called, which frames they take, how one is told from another. No bpy.

A shot's key stays the same while its marker, strip or scene keeps its name, so a journal finds it again after
a crash. What was asked of it, and what its picture looked like, are kept as short texts that can be compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..timeline import FrameRange

if TYPE_CHECKING:
    import numpy as np

MARKERS, SCENES = "markers", "scenes"
STRIPS = {"scene_strips": "SCENE", "movie_strips": "MOVIE", "meta_strips": "META"}  # and Blender's type
KINDS = (MARKERS, SCENES, *STRIPS)
MOST = 2_000  # shots of one file
_LATER = (("background", ""),)  # settings that came after the first journals, and how they ask for nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One shot. ``scene``: where its sound goes; ``sequencer``: its picture is what the sequencer shows."""

    kind: str
    scene: str
    name: str
    span: FrameRange
    sequencer: bool = False

    @property
    def key(self) -> str:
        """What the journal knows it by."""
        return f"{self.kind}/{self.scene}/{self.name}"


def from_markers(scene: str, cameras: Iterable[tuple[int, str]], whole: FrameRange) -> list[Shot]:
    """A shot from each camera marker (frame, name) to the next one, within ``whole``.

    The camera that is on before the first frame has the shot that begins there.
    """
    places: dict[int, str] = {}
    for frame, name in sorted(cameras):
        if frame <= whole.end:
            places[max(frame, whole.start)] = name  # of several before the start, the last one counts
    starts = sorted(places)
    ends = [after - 1 for after in starts[1:]] + [whole.end] * bool(starts)
    return _apart(
        Shot(kind=MARKERS, scene=scene, name=places[start], span=FrameRange(start, end))
        for start, end in zip(starts, ends, strict=True)
    )


def from_strips(kind: str, scene: str, strips: Iterable[tuple[str, int, int]]) -> list[Shot]:
    """A shot for each strip (name, first frame, first frame after it); of equal spans the first counts."""
    spans: dict[tuple[int, int], str] = {}
    for name, first, end in strips:
        if end > first:
            spans.setdefault((first, end), name)
    return _apart(
        Shot(kind=kind, scene=scene, name=name, span=FrameRange(first, end - 1), sequencer=True)
        for (first, end), name in sorted(spans.items())
    )


def from_scenes(scenes: Iterable[tuple[str, FrameRange]]) -> list[Shot]:
    """A shot for each scene, whole."""
    return _apart(Shot(kind=SCENES, scene=name, name=name, span=span) for name, span in scenes)


def _apart(shots: Iterable[Shot]) -> list[Shot]:
    """Shots of one name get numbers, in their order."""
    found: list[Shot] = []
    names: set[tuple[str, str]] = set()
    for shot in shots:
        name, number = shot.name, 2
        while (shot.scene, name) in names:
            name, number = f"{shot.name} ({number})", number + 1
        names.add((shot.scene, name))
        found.append(
            Shot(kind=shot.kind, scene=shot.scene, name=name, span=shot.span, sequencer=shot.sequencer)
        )
    return found[:MOST]


def own_words(shared: str, own: str) -> str:
    """The prompt of a shot: its own words on top of the shared ones."""
    return ", ".join(part for part in (shared.strip(), own.strip()) if part)


def own_seed(file: str, key: str) -> int:
    """A seed for a shot that was given none: another for each, and the same one every time."""
    return int.from_bytes(hashlib.sha256(f"{file}\0{key}".encode()).digest()[:4], "big") >> 1


def wished(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request's settings counts for its digest. What older journals do not know counts only where
    it asks for something, so that a shot is not made anew because of the version.
    """
    return {name: value for name, value in settings.items() if (name, value) not in _LATER}


def digest(facts: Mapping[str, Any]) -> str:
    """What was asked of a shot, as a short text: equal when nothing that is asked for has changed."""
    plain = json.dumps(facts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def look(frames: np.ndarray, events: Iterable[Any] = ()) -> str:
    """What a shot shows, as a short text: its pictures, (T, H, W, 3) uint8, and its hits."""
    from . import fingerprint

    hits = digest({"hits": [(str(event.time_s), event.kind, event.words) for event in events]})
    return f"{hits[:16]}/{fingerprint.sign(frames)}"


def differ(before: str, now: str) -> bool:
    """Whether two looks are of something else, beyond a render's noise."""
    from . import fingerprint

    hits, _, pictures = before.partition("/")
    new_hits, _, new_pictures = now.partition("/")
    return hits != new_hits or fingerprint.differ(pictures, new_pictures)
