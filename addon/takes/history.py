# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of one strip: every sound that was ever made for it, as a tree of what came from what.

One list serves both the takes that an editor steps through and the history that brings any of them back. It
is JSON in a custom property of the strip, so it is undone, copied, cut and saved with the strip, and it names
sound files only, never holds them. All files of a list begin at the same moment of the shot, so that stepping
needs nothing but another file under the same strip.

Reading believes nothing, as provenance.py does: what is damaged is left out, what a newer version has added
is kept. No bpy here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from ..timeline import exact
from ..wire import limits
from . import provenance
from .provenance import Story
from .story_parts import lengthen, shorten

KEY = "footfall_takes"  # of the custom property
SCHEMA = 1
MOST = 48  # takes that a strip remembers
MOST_CHARACTERS = 8_000_000
MOST_PATH = 4_000
HOWS = ("generate", "again", "more", "nudge", "update", "file")

_told = functools.lru_cache(maxsize=512)(provenance.read)  # a list of takes is drawn again and again

Pulls = tuple[tuple[str, float], ...]  # words, -1 (banned) to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One sound. ``path``: as Blender keeps it, ``//`` for the .blend's folder; "" once it is purged.

    how: what made it, one of HOWS; parent: the take that it was made from, or ""; made: seconds since 1970,
    0 unknown; samples and rate_hz of the file, 0 unknown; story: as in provenance.py.
    """

    id: str
    path: str
    parent: str = ""
    how: str = "generate"
    made: int = 0
    samples: int = 0
    rate_hz: int = 0
    story: str = ""
    starred: bool = False
    deleted: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def playable(self) -> bool:
        """May be stepped to."""
        return bool(self.path) and not self.deleted

    @property
    def length_s(self) -> Fraction:
        """How long the file is; 0 when that is not known."""
        return Fraction(self.samples, self.rate_hz) if self.rate_hz else Fraction(0)

    @property
    def told(self) -> Story | None:
        """The story as an object, or None when there is none to be read."""
        return _told(self.story)


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """All takes of a strip, oldest first. ``other``: what comparing goes to; ``pulls``: for the next one.

    at_s: when the files begin, in seconds from the start of the shot; None for what an older version made.
    """

    takes: tuple[Take, ...] = ()
    current: str = ""
    other: str = ""
    at_s: Fraction | None = None
    pulls: Pulls = ()
    schema: int = SCHEMA
    extra: Mapping[str, Any] = field(default_factory=dict)

    def get(self, take_id: str) -> Take | None:
        return next((take for take in self.takes if take.id == take_id), None)

    @property
    def playing(self) -> Take | None:
        """The one that is heard."""
        return self.get(self.current)

    @property
    def playable(self) -> tuple[Take, ...]:
        return tuple(take for take in self.takes if take.playable)

    @property
    def place(self) -> tuple[int, int]:
        """(2, 4) for "take 2 of 4"; (0, 4) while a deleted one is heard."""
        ids = [take.id for take in self.playable]
        return (ids.index(self.current) + 1 if self.current in ids else 0), len(ids)

    def neighbour(self, by: int) -> Take | None:
        """The playable take ``by`` steps on, round and round; None when there is no other."""
        found = self.playable
        number, count = self.place
        if count == 0 or (count == 1 and number == 1):
            return None
        start = number - 1 if number else (-1 if by > 0 else 0)
        return found[(start + by) % count]

    def rival(self) -> Take | None:
        """What comparing goes to: the take heard before, else the next one."""
        other = self.get(self.other)
        if other is not None and other.playable and other.id != self.current:
            return other
        return self.neighbour(1)

    def turned(self, take_id: str) -> Takes:
        """With ``take_id`` heard."""
        if take_id == self.current or self.get(take_id) is None:
            return self
        return replace(self, current=take_id, other=self.current)

    def added(self, take: Take) -> Takes:
        """With ``take`` as the newest; one that is there already is not added twice."""
        if self.get(take.id) is not None:
            return self
        return replace(self, takes=(*self.takes, take))._bounded()

    def changed(self, take_id: str, **values: Any) -> Takes:
        """With other ``starred``, ``deleted``, ``path`` ... for one take."""
        takes = tuple(replace(t, **values) if t.id == take_id else t for t in self.takes)
        return replace(self, takes=takes)

    def pulled(self, words: str, weight: float) -> Takes:
        """With ``words`` pulled by ``weight`` in the next take; 0 leaves them alone again."""
        rest = tuple(pull for pull in self.pulls if pull[0] != words)
        return replace(self, pulls=(*rest, (words, weight))[-limits.PULLS :] if weight else rest)

    def rows(self) -> list[tuple[int, Take]]:
        """(depth, take): newest first, and each below what it was made from."""
        known = {take.id for take in self.takes}
        below: dict[str, list[Take]] = {}
        for take in reversed(self.takes):
            below.setdefault(take.parent if take.parent in known else "", []).append(take)
        found: list[tuple[int, Take]] = []
        waiting = [(0, take) for take in reversed(below.get("", []))]
        while waiting:
            depth, take = waiting.pop()
            found.append((depth, take))
            waiting += [(depth + 1, child) for child in reversed(below.pop(take.id, []))]
        below.pop("", None)
        return found + [(0, take) for takes in below.values() for take in takes]  # a ring in a damaged file

    def _bounded(self) -> Takes:
        """At most MOST: deleted ones are forgotten first, then the oldest; never a starred or a heard one."""
        takes = self.takes
        while len(takes) > MOST:
            kept = {self.current, self.other, takes[-1].id}
            free = [take for take in takes if not take.starred and take.id not in kept]
            if not free:
                break
            gone = next((take for take in free if take.deleted), free[0])
            takes = tuple(
                replace(take, parent=gone.parent) if take.parent == gone.id else take
                for take in takes
                if take is not gone
            )
        return replace(self, takes=takes)

    def text(self) -> str:
        """As the JSON that ``read`` reads. What several stories share is written once."""
        shared: dict[str, Any] = {}
        plain = {
            KEY: self.schema,
            "current": self.current,
            "other": self.other,
            "at_s": None if self.at_s is None else str(self.at_s),
            "pulls": [list(pull) for pull in self.pulls],
            "takes": [_packed(take, shared) for take in self.takes],
            "shared": shared,
        }
        return json.dumps({**self.extra, **plain}, allow_nan=False, separators=(",", ":"))


def read(text: object) -> Takes | None:
    """The takes in a custom property, or None for anything else. Never raises on what a file may hold."""
    plain = provenance.plain_json(text, MOST_CHARACTERS)
    if plain is None or type(plain.get(KEY)) is not int or plain[KEY] < 1:
        return None
    shared = {digest: json.dumps(part) for digest, part in _object(plain.get("shared")).items()}
    takes: dict[str, Take] = {}
    for entry in _list(plain.get("takes"))[: 4 * MOST]:
        take = _unpacked(_object(entry), shared)
        if take is not None:
            takes.setdefault(take.id, take)
    if not takes:
        return None
    return Takes(
        takes=tuple(takes.values()),
        current=_known(plain.get("current"), takes) or next(reversed(takes)),
        other=_known(plain.get("other"), takes),
        at_s=_seconds(plain.get("at_s")),
        pulls=_pulls(plain.get("pulls")),
        schema=plain[KEY],
        extra={n: v for n, v in plain.items() if n not in _KNOWN},
    )


_KNOWN = {KEY, "current", "other", "at_s", "pulls", "takes", "shared"}
_LATEST = 32_503_679_999  # the end of the year 3000: later times cannot be shown everywhere
_FIELDS = ("id", "path", "parent", "how", "made", "samples", "rate_hz", "starred", "deleted")


def _packed(take: Take, shared: dict[str, Any]) -> dict[str, Any]:
    story, parts = shorten(take.story)
    shared.update(parts)
    return {**take.extra, **{name: getattr(take, name) for name in _FIELDS}, "story": story}


def _unpacked(plain: dict[str, Any], shared: dict[str, str]) -> Take | None:
    if not provenance.is_hex(plain.get("id")) or not isinstance(plain.get("path"), str):
        return None
    if len(plain["path"]) > MOST_PATH or "\0" in plain["path"]:
        return None
    parent, how = plain.get("parent"), plain.get("how")
    return Take(
        id=plain["id"],
        path=plain["path"],
        parent=parent if isinstance(parent, str) and provenance.is_hex(parent) else "",
        how=how if isinstance(how, str) and how in HOWS else "generate",
        made=_count(plain.get("made"), _LATEST),
        samples=_count(plain.get("samples"), 2**40),
        rate_hz=_count(plain.get("rate_hz"), limits.RATE_HZ[1]),
        story=lengthen(_object(plain.get("story")), shared),
        starred=plain.get("starred") is True,
        deleted=plain.get("deleted") is True,
        extra={n: v for n, v in plain.items() if n not in _FIELDS and n != "story"},
    )


def _pulls(plain: Any) -> Pulls:
    found: dict[str, float] = {}
    for entry in _list(plain)[: limits.PULLS]:
        if not isinstance(entry, list) or len(entry) != 2:
            continue
        words, weight = entry
        if isinstance(words, str) and 0 < len(words) <= limits.WORDS and type(weight) in (int, float):
            found[words] = float(min(max(weight, -1), 1))
    return tuple(found.items())


def _known(plain: Any, takes: Mapping[str, Take]) -> str:
    return plain if isinstance(plain, str) and plain in takes else ""


def _seconds(plain: Any) -> Fraction | None:
    try:
        return exact(plain)
    except ValueError:
        return None


def _count(value: Any, most: int) -> int:
    return value if type(value) is int and 0 <= value <= most else 0


def _object(plain: Any) -> dict[str, Any]:
    return plain if isinstance(plain, dict) else {}


def _list(plain: Any) -> list[Any]:
    return plain if isinstance(plain, list) else []
