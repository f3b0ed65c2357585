# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots as JSON and back. What comes back is checked, since files get damaged."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from .shot import SPLITS, Hit, Shot

KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


def shot_fields(shot: Shot) -> dict[str, Any]:
    """The shot as JSON knows it; ``shot_of`` is the inverse."""
    fields = dataclasses.asdict(shot)
    return fields | {"parameters": dict(shot.parameters), "captions": list(shot.captions)}


def shot_of(fields: Any) -> Shot:
    """A shot from JSON that may be nonsense; unknown keys are let be.

    Raises ValueError saying what is wrong.
    """
    if not isinstance(fields, dict):
        raise ValueError("it is no object")
    key, split, family = (_text(fields, name) for name in ("key", "split", "family"))
    if not KEY.fullmatch(key) or split not in SPLITS:
        raise ValueError(f"{key[:40]!r} of {split[:40]!r} is no key of a split")
    parameters = fields.get("parameters")
    if not isinstance(parameters, dict):
        raise ValueError("parameters is no object")
    return Shot(
        key=key,
        split=split,
        number=_whole(fields, "number"),
        family=family,
        seed=_whole(fields, "seed"),
        parameters={name: v if isinstance(v, str) else _finite(v, name) for name, v in parameters.items()},
        hits=tuple(
            Hit(
                time_s=_finite(hit.get("time_s"), "time_s"), strength=_finite(hit.get("strength"), "strength")
            )
            for hit in _list(fields, "hits", dict)
        ),
        captions=tuple(_list(fields, "captions", str)),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    if not isinstance(fields.get(name), str):
        raise ValueError(f"{name} is no text")
    return str(fields[name])


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"{name} is no whole number from 0")
    return value


def _finite(value: Any, name: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) < 1e9 or not math.isfinite(value):
        raise ValueError(f"{name[:40]} is no number")
    return float(value)


def _list(fields: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise ValueError(f"{name} is no list of the right things")
    return value
