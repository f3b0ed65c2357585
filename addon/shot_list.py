# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots of a file: what they are called, which frames they take, how one is told from another. No bpy.

A shot's key stays the same while its marker, strip or scene keeps its name, so a journal finds it again after
a crash. What was asked of it, and what its picture looked like, are kept as short texts that can be compared.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .timeline import FrameRange

MARKERS, SCENES = "markers", "scenes"
STRIPS = {"scene_strips": "SCENE", "movie_strips": "MOVIE", "meta_strips": "META"}  # and Blender's type
KINDS = (MARKERS, SCENES, *STRIPS)
MOST = 2_000  # shots of one file

SKETCH = 8  # small squares of a picture on each side
DIFFERENT = 6.0  # of 255: the mean change of the picture that changed most; a render's noise stays below 2
_MOST_SKETCHED = 2_400


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


def digest(facts: Mapping[str, Any]) -> str:
    """What was asked of a shot, as a short text: equal when nothing that is asked for has changed."""
    plain = json.dumps(facts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def sketch(frames: np.ndarray, events: Iterable[Any] = ()) -> str:
    """What a shot looked like, in little: ``differs`` compares two.

    frames: (T, H, W, 3) uint8. Each picture becomes SKETCH x SKETCH means of its brightness; ``events`` with
    times, kinds and words are kept as a digest.
    """
    count = min(len(frames), _MOST_SKETCHED)
    small = np.zeros((count, SKETCH, SKETCH), np.uint8)
    for number in range(count):
        for row, band in enumerate(np.array_split(frames[number], SKETCH)):
            for column, part in enumerate(np.array_split(band, SKETCH, axis=1)):
                small[number, row, column] = int(part.mean()) if part.size else 0
    hits = digest({"hits": [(str(e.time_s), e.kind, e.words) for e in events]})[:16]
    packed = base64.b64encode(zlib.compress(small.tobytes(), 6)).decode()
    return f"{hits}:{count}:{packed}"


def differs(before: str, now: str) -> bool:
    """Whether two sketches show something else. One that cannot be read differs from everything."""
    if before == now:
        return False
    try:
        hits, small = _read_sketch(before)
        new_hits, new_small = _read_sketch(now)
    except (ValueError, zlib.error):
        return True
    if hits != new_hits or small.shape != new_small.shape:
        return True
    change = np.abs(small.astype(np.float32) - new_small.astype(np.float32)).mean(axis=(1, 2))
    return bool(change.max(initial=0.0) > DIFFERENT)


def _read_sketch(text: str) -> tuple[str, np.ndarray]:
    hits, count, packed = text.split(":")
    most = _MOST_SKETCHED * SKETCH * SKETCH
    plain = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), most)
    return hits, np.frombuffer(plain, np.uint8).reshape(int(count), SKETCH, SKETCH)
