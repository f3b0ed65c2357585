# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from the other side, read with suspicion: everything ambiguous or bottomless is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import numpy as np

from .errors import LimitExceeded, Malformed
from .texts import scrub

_LONGEST_NUMBER = 40  # characters; Python writes no float and no 64-bit integer longer
# Possessive, and content with a missing end quote, so that hostile text costs linear time.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def loads(raw: bytes, *, most_bytes: int, most_depth: int) -> Any:
    """Plain Python values from UTF-8 JSON, numbers within 64 bits. Raises Malformed or LimitExceeded."""
    if len(raw) > most_bytes:
        raise LimitExceeded(f"A message's text part has more than {most_bytes} bytes.")
    if depth(raw) > most_depth:
        raise LimitExceeded(f"A message's text part is nested deeper than {most_depth}.")
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_constant,
        )
    except ValueError as error:  # bad UTF-8 and bad JSON alike
        raise Malformed("A message's text part is not readable.", scrub(str(error), 500)) from error


def depth(raw: bytes) -> int:
    """Deepest nesting of brackets outside strings, found without recursion before anything is parsed."""
    brackets = np.frombuffer(_STRING.sub(b"", raw).translate(None, _NOT_BRACKETS), np.uint8)
    if not brackets.size:
        return 0
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    return max(0, int(np.cumsum(opening * np.int8(2) - np.int8(1), dtype=np.int32).max()))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise Malformed("A message names a field twice.")
    return plain


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER or not -(2**63) <= (value := int(text)) < 2**63:
        raise LimitExceeded("A message holds a number of more than 64 bits.")
    return value


def _real(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or not math.isfinite(value := float(text)):
        raise LimitExceeded("A message holds a number beyond all bounds.")
    return value


def _constant(text: str) -> NoReturn:
    raise Malformed(f"A message holds {text}, which is not a number.")
