# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits in a file: what is written is read again, and nonsense is told by its number."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from footfall.addon.hits import file as hit_file
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.addon.wire.messages import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

unit = st.floats(0, 1, width=32)
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
events = st.builds(
    Event,
    time_s=st.fractions(0, limits.DURATION_S, max_denominator=2**31 - 1),
    kind=words,
    words=words,
    strength=unit,
    pan=st.floats(-1, 1, width=32),
    distance_m=st.floats(0, 1e6, width=32),
    place=st.just(()) | st.tuples(unit, unit, unit),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(events, max_size=5))
def test_what_is_written_is_read_again(tmp_path: Path, hits: list[Event]) -> None:
    file = tmp_path / "hits “x”.json"
    hit_file.write_events(file, hits)
    assert hit_file.read_events(file) == tuple(hits)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_times_may_be_numbers_or_fractions(tmp_path: Path) -> None:
    file = tmp_path / "hits.json"
    file.write_text('[{"time_s": 0.5, "words": "glass"}, {"time_s": "7/24", "strength": 1}, {"time_s": 2}]')
    assert hit_file.read_events(file) == (
        Event(time_s=Fraction(1, 2), words="glass"),
        Event(time_s=Fraction(7, 24)),
        Event(time_s=Fraction(2)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        "[{}]",
        '[{"time_s": -1}]',
        '[{"time_s": NaN}]',
        '[{"time_s": Infinity}]',
        '[{"time_s": true}]',
        '[{"time_s": "1e99999999"}]',
        '[{"time_s": 0, "volume": 3}]',
        '[{"time_s": 0, "strength": 2}]',
        '[{"time_s": 0, "strength": NaN}]',
        '[{"time_s": 0, "place": [0.5]}]',
        '[{"time_s": 0, "place": 3}]',
        '[{"time_s": 0, "words": "a\\u0000b"}]',
        "[" * 100_000,
    ],
)
def test_nonsense_is_bad_input(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hits.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"hits\.json"):
        hit_file.read_events(file)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s), max_leaves=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_any_json_is_read_or_refused(tmp_path: Path, plain: object) -> None:
    file = tmp_path / "hits.json"
    file.write_text(json.dumps([plain]))
    with pytest.raises(BadInput):
        hit_file.read_events(file)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\x00")
    for name in ("none.json", "binary.json", "."):
        with pytest.raises(BadInput, match="check the file"):
            hit_file.read_events(tmp_path / name)
    with pytest.raises(SaveError, match="choose another place"):
        hit_file.write_events(tmp_path / "no" / "such.json", [])


def test_a_huge_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hit_file, "MOST_BYTES", 10)
    (tmp_path / "huge.json").write_text("[" + " " * 20 + "]")
    with pytest.raises(BadInput, match="too large"):
        hit_file.read_events(tmp_path / "huge.json")
