# SPDX-License-Identifier: GPL-3.0-or-later
"""Any text can be made to fit, so telling of a failure never fails; and no text is a path (S10)."""

from __future__ import annotations

import dataclasses
import re

import pytest
from footfall.addon.wire import codec, fields, limits, messages
from footfall.addon.wire.errors import BY_CODE, Malformed, WireError, from_code
from footfall.addon.wire.texts import scrub
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.text(st.characters(codec=None), max_size=200)
JOB = "0" * 32


@given(ANYTHING, st.integers(-1, 150))
def test_scrubbed_texts_always_fit(text: str, most: int) -> None:
    fields.Text(max(most, 0)).check("text", scrub(text, most))


@given(ANYTHING)
def test_scrubbed_texts_can_be_sent(text: str) -> None:
    sent = messages.Failed(
        job_id=JOB,
        code="error",
        sentence=scrub(text, limits.SENTENCE),
        detail=scrub(text * 200, limits.DETAIL),
    )
    assert codec.decode(codec.encode(sent)) == sent


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=50))
def test_a_good_text_is_left_alone(text: str) -> None:
    assert scrub(text, 50) == text


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("a\r\nb\rc\td", 20, "a\nb\nc\td"),
        ("\x1b[31mred\x07", 20, "[31mred"),
        ("x\x00y\x7fz\x85", 20, "xyz"),
        ("caf\udce9", 20, "caf\ufffd"),
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("x" * 10_000_000, 3, "xx…"),
    ],
)
def test_scrub(text: str, most: int, expected: str) -> None:
    assert scrub(text, most) == expected


@pytest.mark.parametrize("bad", ["\x00", "\x1b[2J", "\r", "\x7f", "\x9b", "\ud800", "a\udfffb"])
def test_control_characters_are_refused_at_both_ends(bad: str) -> None:
    with pytest.raises(Malformed):
        messages.Failed(job_id=JOB, code="error", sentence=bad)
    header = codec.encode(messages.Failed(job_id=JOB, code="error", sentence="SENTENCE"))[0]
    escaped = "".join(f"\\u{ord(c):04x}" for c in bad)
    with pytest.raises(WireError):
        codec.decode([bytes(header).replace(b"SENTENCE", escaped.encode())])


@pytest.mark.parametrize(
    "job_id", ["../../x", "CON", "a" * 300, "a" * 31 + "\x00", "A" * 32, "g" * 32, "", "a" * 32 + "\n"]
)
def test_a_job_id_is_32_hexadecimal_digits(job_id: str) -> None:
    with pytest.raises(WireError):
        messages.Cancel(job_id=job_id)


PATHLIKE = re.compile(
    r"(^|_)(path|paths|file|files|filename|folder|dir|directory|url|uri|href|location|root)(_|$)"
)


def test_no_path_fields() -> None:
    known = [kind for kind in vars(messages).values() if isinstance(kind, type)]
    kinds = [kind for kind in known if dataclasses.is_dataclass(kind) and issubclass(kind, messages.Message)]
    names = {f"{kind.__name__}.{item.name}" for kind in kinds for item in dataclasses.fields(kind)}
    assert len(names) > 50
    assert not {name for name in names if PATHLIKE.search(name.split(".")[1])}


@pytest.mark.parametrize("name", ["path", "out_path", "file_name", "model_dir", "url", "download_url"])
def test_the_pattern_knows_paths(name: str) -> None:
    assert PATHLIKE.search(name)


@pytest.mark.parametrize("code", BY_CODE)
def test_every_error_survives_the_journey(code: str) -> None:
    sent = messages.Failed(job_id=JOB, code=code, sentence="Do this.", detail="because")
    got = codec.decode(codec.encode(sent))
    assert isinstance(got, messages.Failed)
    error = from_code(got.code, got.sentence, got.detail)
    assert type(error) is BY_CODE[code]
    assert (str(error), error.detail, error.code) == ("Do this.", "because", code)


def test_an_unknown_code_is_still_an_error() -> None:
    assert str(from_code("from_the_future", "Do this.")) == "Do this."
