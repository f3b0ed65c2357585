# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits as a JSON file: a list of objects with Event's fields, times in seconds from the start of the shot.

A time is a number or a text such as "7/24", which keeps it exact.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..wire import limits
from ..wire.errors import BadInput, SaveError, WireError
from ..wire.messages import Event

MOST_BYTES = 32 * 1024 * 1024  # more than as many hits as one request takes, with all the words they may have


def rational(text: str) -> Fraction:
    """A plain decimal or "7/24"; exponents are refused, since Fraction would write out all their digits.

    Raises ValueError.
    """
    if not re.fullmatch(r"\d{1,12}(\.\d{1,18})?(/[1-9]\d{0,9})?", text) or ("." in text and "/" in text):
        raise ValueError(f"{text[:40]!r} is not a number of seconds")
    return Fraction(text).limit_denominator(2**31 - 1 if "/" in text else 1_000_000)


def read_events(path: Path) -> tuple[Event, ...]:
    """The hits in ``path``. Raises BadInput, with the number of the entry that is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadInput(f"{path.name} is too large for a list of hits; check the file.")
        plain = json.loads(data.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"The hits in {path.name} cannot be read; check the file.", str(error)) from error
    if not isinstance(plain, list) or len(plain) > limits.EVENTS:
        raise BadInput(f"{path.name} must hold a list of at most {limits.EVENTS} hits.")
    return tuple(_event(path, number, entry) for number, entry in enumerate(plain, start=1))


def _event(path: Path, number: int, entry: Any) -> Event:
    try:
        values = dict(entry)
        time = values["time_s"]
        exact = (
            Fraction(time).limit_denominator(1_000_000) if isinstance(time, float) else rational(str(time))
        )
        values["time_s"] = exact
        if "place" in values:
            values["place"] = tuple(values["place"])
        return Event(**values)
    except (KeyError, TypeError, ValueError, OverflowError, WireError) as error:
        known = ", ".join(item.name for item in fields(Event))
        raise BadInput(
            f"Hit {number} in {path.name} is wrong; its fields are {known}.", str(error)
        ) from error


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write ``events`` so that ``read_events`` gives the same. Raises SaveError, with nothing changed."""
    lines = ",\n".join(json.dumps(_plain(event), ensure_ascii=False) for event in events)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(f"[\n{lines}\n]\n" if lines else "[]\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise SaveError(f"{path} cannot be written; choose another place.", str(error)) from error


def _plain(event: Event) -> dict[str, Any]:
    """Its fields, without those that hold their default."""
    plain: dict[str, Any] = {"time_s": str(event.time_s)}
    for item in fields(Event):
        value = getattr(event, item.name)
        if item.name != "time_s" and value != item.default:
            plain[item.name] = list(value) if isinstance(value, tuple) else value
    return plain
