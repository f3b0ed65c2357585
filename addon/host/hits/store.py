# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: disable-error-code="valid-type"
# Blender reads its properties from annotations that are calls.
"""The hits of a scene, saved with it as ``scene.footfall_hits``, and a picture of them for whoever draws.

A hit's time is two whole numbers, its frame and millionths of a frame: a single-precision number of frames
would be off by a hundredth of a frame in a long shot. The entries lie in no particular order, so that the one
that the artist drags keeps its place in memory; whoever shows them sorts them.

Every change goes through a property's ``update`` or through ``write``, undo and loading through handlers;
each raises ``revision``, so that nobody has to look at ten thousand hits to know that they are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ...wire import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...hits.listed import Hit

FRAME = 1_000_000  # as in addon/hits/listed.py, which loads numpy; a test compares them
ORIGINS = (
    ("scene", "Scene", "Found in the motion of the scene"),
    ("pixels", "Picture", "Found in the pictures"),
    ("marker", "Marker", "Read from a marker of the timeline"),
    ("artist", "Yours", "Added by hand"),
)
_PLAIN = ("kind", "words", "strength", "pan", "distance_m", "on", "origin")
_FIXED: set[str] = set()  # not animatable: a hit has one time and one strength


class _State:
    revision = 0
    key: tuple[int, ...] = ()
    picture: Any = None


def touch(_self: object = None, _context: object = None) -> None:
    """Something about the hits has changed; also the ``update`` of their properties."""
    _State.revision += 1


def revision() -> int:
    """Another number after each change."""
    return _State.revision


def _get_subframe(hit: Any) -> float:
    return float(hit.millionths) / FRAME


def _set_subframe(hit: Any, value: float) -> None:
    hit.millionths = min(max(round(value * FRAME), 0), FRAME - 1)


def _suggest_kinds(_hit: object, _context: object, _text: str) -> list[str]:
    from ...hits.listed import FAMILIES

    return [kind for kinds in FAMILIES.values() for kind in kinds]


class FOOTFALL_PG_hit(bpy.types.PropertyGroup):
    """One hit. ``found``: how it was found, see addon/hits/listed.py; empty for one that was added."""

    frame: IntProperty(name="Frame", description="The frame on which it hits", options=_FIXED, update=touch)
    millionths: IntProperty(min=0, max=FRAME - 1, options={"HIDDEN"}, update=touch)
    subframe: FloatProperty(
        name="Part of the Frame",
        description="How far behind that frame: 0 on it, 0.5 halfway to the next",
        min=0.0,
        max=1.0,
        precision=3,
        step=1,
        options=_FIXED,
        get=_get_subframe,
        set=_set_subframe,
    )
    kind: StringProperty(
        name="Kind",
        description="What happens: hit, step, slide, splash, or any other word",
        default="hit",
        maxlen=4 * limits.NAME,  # bytes
        options=_FIXED,
        search=_suggest_kinds,
        search_options={"SUGGESTION"},
        update=touch,
    )
    words: StringProperty(
        name="Words",
        description="What is heard, as: steel bucket on stone",
        maxlen=4 * limits.WORDS,
        options=_FIXED,
        update=touch,
    )
    strength: FloatProperty(
        name="Strength",
        description="How hard: 1 is the hardest of the shot",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
        precision=2,
        options=_FIXED,
        update=touch,
    )
    pan: FloatProperty(
        name="Pan",
        description="Where it is heard: -1 left, 0 middle, 1 right",
        min=-1.0,
        max=1.0,
        precision=2,
        options=_FIXED,
        update=touch,
    )
    distance_m: FloatProperty(
        name="Distance",
        description="How far from the camera; 0 is not known",
        min=0.0,
        max=1e6,
        soft_max=100.0,
        unit="LENGTH",
        options=_FIXED,
        update=touch,
    )
    place: FloatVectorProperty(size=3, options={"HIDDEN"})
    on: BoolProperty(name="On", description="Let this hit sound", default=True, options=_FIXED, update=touch)
    origin: EnumProperty(name="From", items=ORIGINS, default="artist", options={"HIDDEN"})
    found: StringProperty(options={"HIDDEN"})


class FOOTFALL_PG_hits(bpy.types.PropertyGroup):
    """The list, which of it is selected, and whether it is drawn over the timelines."""

    entries: CollectionProperty(type=FOOTFALL_PG_hit, options=_FIXED)
    active: IntProperty(name="Selected Hit", options=_FIXED, update=touch)
    show: BoolProperty(
        name="Show on Timelines",
        description="Draw the hits over the sequencer and the timeline: the stronger, the higher",
        default=True,
        options=_FIXED,
        update=touch,
    )


def active(scene: Any) -> Any | None:
    """The selected entry, or None. Not to be kept."""
    hits = scene.footfall_hits
    return hits.entries[hits.active] if 0 <= hits.active < len(hits.entries) else None


# Reading and writing


def read(scene: Any) -> list[Hit]:
    """Every entry, in the order in which they lie."""
    return [read_one(entry) for entry in scene.footfall_hits.entries]


def read_one(entry: Any) -> Hit:
    """An entry as plain data."""
    from ...hits.listed import Hit, read_found

    place = tuple(entry.place)
    return Hit(
        at=entry.frame * FRAME + entry.millionths,
        kind=entry.kind,
        words=entry.words,
        strength=entry.strength,
        pan=entry.pan,
        distance_m=entry.distance_m,
        place=place if any(place) else (),
        on=entry.on,
        origin=entry.origin,
        found=read_found(entry.found) if entry.found else None,
    )


def write_one(entry: Any, hit: Hit) -> None:
    """Make ``entry`` say what ``hit`` says."""
    frame, millionths = divmod(hit.at, FRAME)
    values = {name: getattr(hit, name) for name in _PLAIN}
    values |= {"frame": frame, "millionths": millionths, "place": hit.place or (0.0, 0.0, 0.0)}
    values["found"] = hit.found.text() if hit.found is not None else ""
    for name, value in values.items():
        if getattr(entry, name) != value:  # what is the same need not be written, and told to all who listen
            setattr(entry, name, value)
    touch()


def write(scene: Any, hits: Sequence[Hit]) -> None:
    """Put ``hits`` in the place of all entries; the selected one stays selected if it is still there."""
    import numpy as np

    group = scene.footfall_hits
    before = active(scene)
    chosen = None if before is None else (before.frame * FRAME + before.millionths, before.kind, before.words)
    entries = group.entries
    entries.clear()
    for _ in hits:
        entries.add()
    origins = {item[0]: number for number, item in enumerate(ORIGINS)}
    columns: dict[str, tuple[list[Any], Any]] = {
        "frame": ([hit.at // FRAME for hit in hits], np.int32),
        "millionths": ([hit.at % FRAME for hit in hits], np.int32),
        "strength": ([hit.strength for hit in hits], np.float32),
        "pan": ([hit.pan for hit in hits], np.float32),
        "distance_m": ([hit.distance_m for hit in hits], np.float32),
        "on": ([hit.on for hit in hits], bool),
        "origin": ([origins[hit.origin] for hit in hits], np.int32),
        "place": ([number for hit in hits for number in hit.place or (0.0, 0.0, 0.0)], np.float32),
    }
    for name, (values, kind) in columns.items():
        entries.foreach_set(name, np.array(values, kind))
    for entry, hit in zip(entries, hits, strict=True):
        entry.kind, entry.words = hit.kind, hit.words
        if hit.found is not None:
            entry.found = hit.found.text()
    names = [(hit.at, hit.kind, hit.words) for hit in hits]
    group.active = names.index(chosen) if chosen in names else min(group.active, max(len(hits) - 1, 0))
    touch()


# A picture of the list, for drawing


@dataclass(frozen=True, slots=True)
class Picture:
    """The hits of a scene as arrays, in the order of the entries. times: (N,) frames; order: by time."""

    times: np.ndarray
    strengths: np.ndarray
    on: np.ndarray
    families: tuple[str, ...]
    order: np.ndarray

    def sounding(self, least: float) -> np.ndarray:
        """(N,) whether each is heard with the threshold at ``least``."""
        mask: np.ndarray = self.on & (self.strengths >= least)
        return mask


def picture(scene: Any) -> Picture:
    """The hits of ``scene`` as they are now, read once after each change."""
    entries = scene.footfall_hits.entries
    key = (_State.revision, scene.session_uid, len(entries))
    if key != _State.key:
        _State.key, _State.picture = key, _look(entries)
    found: Picture = _State.picture
    return found


def _look(entries: Any) -> Picture:
    import numpy as np

    from ...hits.listed import family

    count = len(entries)
    columns = {
        "frame": np.zeros(count, np.int32),
        "millionths": np.zeros(count, np.int32),
        "strength": np.zeros(count, np.float32),
        "on": np.zeros(count, bool),
    }
    for name, values in columns.items():
        entries.foreach_get(name, values)
    times = columns["frame"] + columns["millionths"] / FRAME
    families = tuple(family(entry.kind) for entry in entries)
    order = np.argsort(times, kind="stable")
    return Picture(times, columns["strength"], columns["on"], families, order)


@persistent
def _reread(*_: Any) -> None:
    touch()


_HANDLERS = ("undo_post", "redo_post", "load_post")
CLASSES = (FOOTFALL_PG_hit, FOOTFALL_PG_hits)


def register() -> None:
    bpy.types.Scene.footfall_hits = PointerProperty(type=FOOTFALL_PG_hits)
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_reread)


def unregister() -> None:
    for name in _HANDLERS:
        listeners = getattr(bpy.app.handlers, name)
        while _reread in listeners:
            listeners.remove(_reread)
    _State.key, _State.picture = (), None
    del bpy.types.Scene.footfall_hits
