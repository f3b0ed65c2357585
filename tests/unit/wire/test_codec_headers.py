# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers that are malformed, bomb-like (S8) or hostile to the reader's time are refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from footfall.addon.wire import codec, limits, strict_json
from footfall.addon.wire.errors import LimitExceeded, Malformed, WireError
from hypothesis import given
from hypothesis import strategies as st


def ping(number: str = "7") -> bytes:
    return f'{{"type":"Ping","body":{{"number":{number}}}}}'.encode()


MALFORMED = {
    "nothing": b"",
    "not JSON": b"hello",
    "half": ping()[:-1],
    "two": ping() + ping(),
    "trailing comma": b'{"type":"Ping","body":{"number":7,}}',
    "comment": b'{"type":"Ping"/**/,"body":{"number":7}}',
    "single quotes": b"{'type':'Ping','body':{'number':7}}",
    "byte order mark": b"\xef\xbb\xbf" + ping(),
    "UTF-16": ping().decode().encode("utf-16"),
    "bad UTF-8": b'{"type":"Ping\xff","body":{"number":7}}',
    "overlong UTF-8": b'{"type":"Ping\xc0\x80","body":{"number":7}}',
    "NUL": b'{"type":"Ping","body":{"number":7}}\x00',
    "raw newline in text": b'{"type":"Pi\nng","body":{"number":7}}',
    "NaN": ping("NaN"),
    "Infinity": ping("Infinity"),
    "minus Infinity": ping("-Infinity"),
    "double key": b'{"type":"Ping","body":{"number":7,"number":7}}',
    "double type": b'{"type":"Ping","type":"Ping","body":{"number":7}}',
    "list": b'["Ping",{"number":7}]',
    "text": b'"Ping"',
    "null": b"null",
    "no body": b'{"type":"Ping"}',
    "no type": b'{"body":{"number":7}}',
    "extra key": b'{"type":"Ping","body":{"number":7},"more":1}',
    "body is a list": b'{"type":"Ping","body":[]}',
    "body is null": b'{"type":"Ping","body":null}',
    "text for a number": ping('"7"'),
    "true for a number": ping("true"),
    "float for a whole number": ping("7.0"),
    "exponent": ping("7e0"),
    "null for a number": ping("null"),
    "leading zero": ping("07"),
    "plus": ping("+7"),
    "hexadecimal": ping("0x7"),
    "lone surrogate as a name": b'{"type":"Ping","body":{"\\ud800":7}}',
}
TOO_MUCH = {
    "2^63": ping(str(2**63)),
    "-2^63 - 1": ping(str(-(2**63) - 1)),
    "5,000 digits": ping("9" * 5_000),
    "a million digits": ping("9" * 1_000_000),
    "1e999": ping("1e999"),
    "-1e999": ping("-1e999"),
    "a long float": ping("0." + "3" * 1_000_000),
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep within the body": b'{"type":"Ping","body":{"number":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep behind an escaped quote": b'{"\\"":' + b"[" * 100_000,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_headers_are_refused(what: str) -> None:
    with pytest.raises(Malformed):
        codec.decode([MALFORMED[what]])


@pytest.mark.parametrize("what", TOO_MUCH)
def test_bombs_are_refused(what: str) -> None:
    with pytest.raises(LimitExceeded):
        codec.decode([TOO_MUCH[what]])


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b'{"a":-Infinity}'])
def test_no_field_ever_sees_what_is_not_a_number(raw: bytes) -> None:
    with pytest.raises(Malformed, match="not a number"):
        strict_json.loads(raw, most_bytes=100, most_depth=3)


def test_brackets_inside_texts_are_no_depth() -> None:
    assert strict_json.depth(b'{"a":"[[[[\\"[[[","b":[[]]}') == 3
    assert strict_json.depth(b'"\\\\"[[') == 2
    assert strict_json.depth(b"]]]]") == 0
    assert strict_json.depth(b"") == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{}"\\ab', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\a', max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON)
def test_depth_is_right_for_any_json(plain: Any) -> None:
    def deep(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inside is None else 1 + max(map(deep, inside), default=0)

    assert strict_json.depth(json.dumps(plain).encode()) == deep(plain)


@pytest.mark.parametrize("piece", [b'\\"', b'"', b'"\\', b"\\", b"[]", b'"a",', b'{"a":', b'"\\\\'])
def test_hostile_headers_cost_linear_time(piece: bytes) -> None:
    """Four times the text may take about four times as long, not sixteen; and never seconds."""
    raw = b'"' + piece * (limits.HEADER_BYTES // len(piece) - 1)
    start = time.monotonic()
    with pytest.raises(WireError):
        codec.decode([raw])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "frames", [[], (), [None], [5], ["text"], [memoryview(ping() * 2)[::2]], [ping(), None]]
)
def test_what_are_no_frames_is_refused(frames: Any) -> None:
    with pytest.raises(WireError):
        codec.decode(frames)
