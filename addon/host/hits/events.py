# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits that the animator has marked: timeline markers named "hit wooden box", "step L", "land 0.4 cat", ...

The first word says what kind of event it is, a number after it how hard (0 to 1, or in percent), and the rest
are words for the sound. Other markers, and those that switch the camera, are no events. What is tagged in the
animation itself counts as well: see tags.py.
"""

from __future__ import annotations

import re
from fractions import Fraction

import bpy

from ...timeline import FrameRange, Rate, wire_seconds
from ...wire import limits
from ...wire.messages import Event
from ...wire.texts import scrub
from . import tags

KINDS = (
    "hit",
    "step",
    "land",
    "bounce",
    "knock",
    "slam",
    "crash",
    "drop",
    "tap",
    "click",
    "slide",
    "scrape",
    "roll",
    "splash",
)
_NAME = re.compile(
    rf"\s*(?P<kind>{'|'.join(KINDS)})s?(?![^\W\d_])"  # a whole word: no "stepmother", but "hit_3" and "hits"
    r"(?:\.\d{3}(?!\d))?"  # what Blender appends to copies
    r"[\s_:\-]*(?:(?P<number>\d*\.?\d+)(?P<percent>\s*%)?(?=[\s_:\-]|$))?"
    r"[\s_:\-]*(?P<words>.*)",
    re.IGNORECASE | re.DOTALL,
)


def read(scene: bpy.types.Scene, span: FrameRange, rate: Rate) -> tuple[Event, ...]:
    """The marked and tagged events of ``span``, in order of time."""
    marked: list[tuple[float, str, float, str]] = []
    for marker in scene.timeline_markers:
        parsed = parse(marker.name) if marker.camera is None else None
        if parsed is not None:
            marked.append((marker.frame, *parsed))
    marked += tags.tagged(scene, parse)
    found = []
    for frame, kind, strength, words in sorted(marked):
        if span.start <= frame < span.end + 1:
            time_s = wire_seconds(span.time_s(Fraction(frame).limit_denominator(10_000), rate))
            found.append(Event(time_s=time_s, kind=kind, words=words, strength=strength))
    return tuple(found[: limits.EVENTS])


def parse(name: str) -> tuple[str, float, str] | None:
    """(kind, strength, words) of a marker's name, or None if it does not name an event.

    A number beyond 1 that is no percentage counts markers ("step 12") and says nothing about strength.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    strength = 1.0
    if match["number"]:
        number = float(match["number"]) / (100.0 if match["percent"] else 1.0)
        strength = number if number <= 1.0 else 1.0
    return match["kind"].lower(), strength, scrub(match["words"], limits.WORDS)
