# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that a picture of a sound carries, on its strip and in its file: what was heard, by which model,
under which licence.

JSON with a key of its own, so that a picture is never taken for a sound of ours.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..takes.provenance import MOST_CHARACTERS, plain_json
from ..wire.messages import Picture, PictureRequest, PictureResult

KEY = "footfall_picture"  # of the custom property, of the words in the file, and of the schema's number
SCHEMA = 1
_NOT_SETTINGS = {"waveform", "starts_s", "ends_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPictures:
    """What was asked for, without the sound itself, kept while a job runs. ``source``: the name of the sound;
    ``begin_s``: where in it the pictured part begins.
    """

    settings: Mapping[str, Any]
    starts_s: tuple[Fraction, ...]
    ends_s: tuple[Fraction, ...]
    source: str
    begin_s: Fraction = Fraction(0)


def asked(request: PictureRequest, source: str, begin_s: Fraction = Fraction(0)) -> AskedPictures:
    """The plain part of ``request``; holds no array."""
    names = [item.name for item in dataclasses.fields(request) if item.name not in _NOT_SETTINGS]
    return AskedPictures(
        settings={name: getattr(request, name) for name in names},
        starts_s=request.starts_s,
        ends_s=request.ends_s,
        source=source,
        begin_s=begin_s,
    )


def story(what: AskedPictures, result: PictureResult, picture: Picture, uuid: str = "") -> str:
    """As JSON, which ``read`` reads. uuid: of the strip."""
    model = result.provenance
    plain = {
        KEY: SCHEMA,
        "uuid": uuid,
        "job_id": result.job_id,
        "sound": what.source,
        "start_s": float(what.begin_s + what.starts_s[picture.span]),
        "end_s": float(what.begin_s + what.ends_s[picture.span]),
        "take": picture.take,
        "request": dict(what.settings),
        "model": {item.name: getattr(model, item.name) for item in dataclasses.fields(model)},
    }
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(text: object) -> dict[str, Any] | None:
    """The story in a custom property, or None for anything else; believes nothing of what is in it."""
    plain = plain_json(text, MOST_CHARACTERS)
    return plain if plain is not None and type(plain.get(KEY)) is int else None
