# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that every strip carries: what was asked for, which model answered, under which licence.

It is JSON in a custom property, so it travels with the .blend to other people, machines and versions of ours.
Reading therefore believes nothing: what an older version did not know gets its default, what a newer one
added is kept as it is, what is damaged is left out, and what is no story at all reads as None. No bpy here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..shots.fingerprint import sign
from ..wire import limits
from ..wire.errors import WireError
from ..wire.fields import Incoming
from ..wire.messages import LAYERS, Event, FoleyRequest, Heard, Provenance, Result

KEY = "footfall"  # of the custom property, and of the schema's number inside
SCHEMA = 1
MOST_CHARACTERS = 1_000_000
EVENTS_KEPT = 200  # more are left out of the strip: they are found again in the scene

Fact = str | int | float | bool | None
_PICTURE = ("frames", "times_s", "motion")  # drawn again when a take is made again
_DEFAULTS = {
    item.name: item.default
    for item in dataclasses.fields(FoleyRequest)
    if item.name not in _PICTURE and item.default is not dataclasses.MISSING
}
_KNOWN = {
    "uuid",
    "job_id",
    "take",
    "layer",
    "index",
    "label",
    "request",
    "left_out",
    "model",
    "heard",
    "shot",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One strip's story.

    settings: fields of FoleyRequest but the picture, as values that its constructor takes;
    left_out: settings that were too long to keep; model: fields of the wire's Provenance;
    shot: facts of the add-on's own (scene, range, source); schema, extra: see ``read``.
    """

    uuid: str
    job_id: str
    take: int
    layer: str
    index: int = 0
    label: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    heard: tuple[Heard, ...] = ()
    shot: Mapping[str, Fact] = field(default_factory=dict)
    schema: int = SCHEMA
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def newer(self) -> bool:
        """Written by a later version; what it added is in ``extra``."""
        return self.schema > SCHEMA

    @property
    def made_with(self) -> dict[str, Any]:
        """All settings that the story can tell: one that its version did not have was at its default."""
        return {**_DEFAULTS, **self.settings}

    def text(self) -> str:
        """As the JSON that ``read`` reads."""
        plain = {
            KEY: self.schema,
            "uuid": self.uuid,
            "job_id": self.job_id,
            "take": self.take,
            "layer": self.layer,
            "index": self.index,
            "label": self.label,
            "request": _pack(FoleyRequest, self.settings),
            "left_out": list(self.left_out),
            "model": _pack(Provenance, self.model),
            "heard": [_pack(Heard, {"words": h.words, "weight": h.weight}) for h in self.heard],
            "shot": dict(self.shot),
        }
        return json.dumps({**self.extra, **plain}, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, without the picture, to be kept while a job runs."""

    settings: Mapping[str, Any]
    left_out: tuple[str, ...] = ()
    shot: Mapping[str, Fact] = field(default_factory=dict)


def asked(request: FoleyRequest, shot: Mapping[str, Fact | Fraction] | None = None) -> Asked:
    """The settings of ``request`` and facts about its shot (fractions become text, its pictures a
    fingerprint); holds no array.
    """
    names = [item.name for item in dataclasses.fields(request) if item.name not in _PICTURE]
    left_out = tuple(name for name in names if name == "events" and len(request.events) > EVENTS_KEPT)
    facts = {n: str(v) if isinstance(v, Fraction) else v for n, v in (shot or {}).items()}
    facts["picture"] = sign(request.frames)
    settings = {name: getattr(request, name) for name in names if name not in left_out}
    return Asked(settings=settings, left_out=left_out, shot=facts)


def story(uuid: str, result: Result, clip: int, index: int, what: Asked) -> Story:
    """The story of ``result.clips[clip]``, the ``index``-th of its take and layer."""
    sound, model = result.clips[clip], result.provenance
    settings, left_out = dict(what.settings), what.left_out
    if sound.layer == "spots" and 0 <= sound.event < len(result.events):
        # A hundred spots need not all tell of a hundred hits.
        settings["events"] = (result.events[sound.event],)
        left_out = tuple(name for name in left_out if name != "events")
    return Story(
        uuid=uuid,
        job_id=result.job_id,
        take=sound.take,
        layer=sound.layer,
        index=index,
        label=sound.label,
        settings=settings,
        left_out=left_out,
        model={item.name: getattr(model, item.name) for item in dataclasses.fields(model)},
        heard=result.heard,
        shot=what.shot,
    )


def read(text: object) -> Story | None:
    """The story in a custom property, or None for anything else. Never raises on what a file may hold."""
    plain = plain_json(text, MOST_CHARACTERS)
    if plain is None or not _count(plain.get(KEY), 10**6) or plain[KEY] < 1:
        return None
    uuid: Any = plain.get("uuid")
    job_id: Any = plain.get("job_id")
    take: Any = plain.get("take")
    layer: Any = plain.get("layer")
    if not (is_hex(uuid) and is_hex(job_id) and _count(take, limits.TAKES - 1) and layer in LAYERS):
        return None
    return Story(
        uuid=uuid,
        job_id=job_id,
        take=take,
        layer=layer,
        index=plain["index"] if _count(plain.get("index"), limits.CLIPS) else 0,
        label=plain["label"][: limits.NAME] if isinstance(plain.get("label"), str) else "",
        settings=_unpack(FoleyRequest, plain.get("request")),
        left_out=tuple(n for n in _list(plain.get("left_out")) if isinstance(n, str)),
        model=_unpack(Provenance, plain.get("model")),
        heard=_heard(plain.get("heard")),
        shot={n: v for n, v in _object(plain.get("shot")).items() if v is None or type(v) in _FACTS},
        schema=plain[KEY],
        extra={n: v for n, v in plain.items() if n not in _KNOWN and n != KEY},
    )


def with_events(text: str, events: tuple[Event, ...]) -> str | None:
    """A story told of other hits, or None where there is no story or they are too many to keep."""
    plain = plain_json(text, MOST_CHARACTERS)
    if plain is None or not isinstance(plain.get("request"), dict) or len(events) > EVENTS_KEPT:
        return None
    plain["request"] = {**plain["request"], **_pack(FoleyRequest, {"events": events})}
    return json.dumps(plain, allow_nan=False, separators=(",", ":"))


def plain_json(text: object, most: int) -> dict[str, Any] | None:
    """The JSON object in ``text``, of at most ``most`` characters, or None. Numbers that are none: null."""
    if not isinstance(text, str) or len(text) > most:
        return None
    try:
        plain = json.loads(text, parse_float=_finite, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def is_hex(value: object) -> bool:
    """Whether ``value`` can be the name of a job, a strip or a take."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value, re.ASCII) is not None


_FACTS = (str, int, float, bool)


def _pack(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every value, defaults too: another version may have other defaults."""
    specs = _specs(kind)
    return {name: specs[name].pack(value, []) for name, value in values.items() if name in specs}


def _unpack(kind: type, plain: Any) -> dict[str, Any]:
    """The fields of ``kind`` in ``plain`` that this version understands."""
    values = {}
    for name, spec in _specs(kind).items():
        try:
            if name in _object(plain):
                values[name] = spec.unpack(name, plain[name], Incoming())
        except WireError:
            continue  # damaged, or a choice that this version does not have: the default takes its place
    return values


def _specs(kind: type) -> dict[str, Any]:
    return {
        item.name: item.metadata["spec"] for item in dataclasses.fields(kind) if item.name not in _PICTURE
    }


def _heard(plain: Any) -> tuple[Heard, ...]:
    found = (_unpack(Heard, entry) for entry in _list(plain)[: limits.HEARD])
    return tuple(Heard(**values) for values in found if len(values) == 2)


def _object(plain: Any) -> dict[str, Any]:
    return plain if isinstance(plain, dict) else {}


def _list(plain: Any) -> list[Any]:
    return plain if isinstance(plain, list) else []


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _count(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
