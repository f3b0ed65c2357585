# SPDX-License-Identifier: GPL-3.0-or-later
"""Stories without the long parts that many of them share, and whole again.

The hits of a shot and what its pictures looked like are the same in every take of a strip. A list of takes
writes each of them once, under a digest. Both ways are remembered: a list is read and written at each step.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .provenance import MOST_CHARACTERS, plain_json

LONG = (("request", "events"), ("shot", "picture"))  # part of a story, and its field


@functools.lru_cache(maxsize=512)
def shorten(story: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the story with digests in place of its long parts, those parts by digest). Not to be changed."""
    short = dict(plain_json(story, MOST_CHARACTERS) or {})
    parts: dict[str, Any] = {}
    for part, name in LONG:
        long = _object(short.get(part)).get(name)
        if long:
            digest = hashlib.sha256(json.dumps(long).encode()).hexdigest()[:16]
            parts[digest] = long
            short[part] = {**short[part], name: [digest]}
    return short, parts


def lengthen(short: dict[str, Any], parts: Mapping[str, str]) -> str:
    """The story's text again. ``parts``: JSON by digest; a part that is missing there becomes null."""
    if not short:
        return ""
    wanted = []
    for part, name in LONG:
        match _object(short.get(part)).get(name):
            case [str(digest)]:
                wanted.append(parts.get(digest, "null"))
            case _:
                wanted.append("")
    return _lengthen(json.dumps(short, separators=(",", ":")), *wanted)


@functools.lru_cache(maxsize=512)
def _lengthen(short: str, *wanted: str) -> str:
    story = json.loads(short)
    for (part, name), text in zip(LONG, wanted, strict=True):
        if text:
            story[part][name] = json.loads(text)
    return json.dumps(story, separators=(",", ":"))


def _object(plain: Any) -> dict[str, Any]:
    return plain if isinstance(plain, dict) else {}
