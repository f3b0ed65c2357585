# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that a picture of a sound carries, on its strip and in its file: what was heard, by which model,
under which licence.

JSON with a key of its own, so that a picture is never taken for a sound of ours.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from .provenance import MOST_CHARACTERS, plain_json
from .wire.messages import Picture, PictureRequest, PictureResult

KEY = "footfall_picture"  # of the custom property, of the words in the file, and of the schema's number
SCHEMA = 1
_LEFT_OUT = {"waveform", "starts_s", "ends_s"}


def story(
    request: PictureRequest, result: PictureResult, picture: Picture, *, source: str, uuid: str = ""
) -> str:
    """As JSON. source: what the sound is called; uuid: of the strip."""
    asked: dict[str, Any] = {
        item.name: getattr(request, item.name)
        for item in dataclasses.fields(request)
        if item.name not in _LEFT_OUT
    }
    model = {
        item.name: getattr(result.provenance, item.name) for item in dataclasses.fields(result.provenance)
    }
    plain = {
        KEY: SCHEMA,
        "uuid": uuid,
        "job_id": result.job_id,
        "sound": source,
        "start_s": float(request.starts_s[picture.span]),
        "end_s": float(request.ends_s[picture.span]),
        "take": picture.take,
        "request": asked,
        "model": model,
    }
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(text: object) -> dict[str, Any] | None:
    """The story in a custom property, or None for anything else; believes nothing of what is in it."""
    plain = plain_json(text, MOST_CHARACTERS)
    return plain if plain is not None and type(plain.get(KEY)) is int else None
