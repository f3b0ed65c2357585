# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared options: what they accept, what they refuse, and that they always make a valid request."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon import options
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, WrongUsage
from footfall.addon.wire.messages import Event, FoleyRequest
from hypothesis import given
from hypothesis import strategies as st


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="test")
    options.add_sound_options(made)
    options.add_picture_options(made)
    options.add_scene_options(made)
    options.add_output_options(made)
    return made


def request_of(namespace: argparse.Namespace) -> FoleyRequest:
    return FoleyRequest(
        frames=np.zeros((1, 8, 8, 3), np.uint8),
        times_s=np.zeros(1),
        duration_s=Fraction(1),
        **options.request_settings(namespace),
    )


def test_defaults_make_a_valid_request() -> None:
    request = request_of(parser().parse_args([]))
    assert (request.bundle, request.layers, request.takes) == ("starter", ("bed",), 1)


def test_a_seed_is_drawn_when_none_is_given() -> None:
    seeds = {options.request_settings(parser().parse_args([]))["seed"] for _ in range(20)}
    assert len(seeds) > 1
    assert options.request_settings(parser().parse_args(["--seed", "0"]))["seed"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--nudge", "1.01"],
        ["--nudge", "nan"],
        ["--takes", "0"],
        ["--takes", str(limits.TAKES + 1)],
        ["--seed", "-1"],
        ["--seed", str(limits.SEED + 1)],
        ["--layers", "bed,bed"],
        ["--layers", "music"],
        ["--layers", ""],
        ["--start", "-1"],
        ["--end", "1e9"],
        ["--end", "1e999999999"],
        ["--start", "1/0"],
        ["--quality", "superb"],
        ["--per-second", "0"],
        ["--prompt", "x" * (limits.PROMPT + 1)],
    ],
)
def test_wrong_usage_ends_with_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


@given(
    st.floats(0, 1),
    st.integers(1, limits.TAKES),
    st.integers(0, limits.SEED),
    st.sampled_from(["bed", "spots", "bed,spots", "spots, bed"]),
)
def test_whatever_is_accepted_is_a_valid_request(nudge: float, takes: int, seed: int, layers: str) -> None:
    words = ["--nudge", repr(nudge), "--takes", str(takes), "--seed", str(seed), "--layers", layers]
    request = request_of(parser().parse_args(words))
    assert (request.nudge, request.takes, request.seed) == (nudge, takes, seed)


def test_seconds_stay_exact() -> None:
    namespace = parser().parse_args(["--start", "1/24", "--end", "10.01"])
    assert (namespace.start, namespace.end) == (Fraction(1, 24), Fraction(1001, 100))


def test_a_model_may_be_a_name_or_a_folder(tmp_path: Path) -> None:
    bundle = tmp_path / "my bundle"
    bundle.mkdir()
    assert options.model_choice("starter") == ("starter", None)
    with pytest.raises(BadInput, match=r"bundle\.toml"):
        options.model_choice(str(bundle))
    (bundle / "bundle.toml").touch()
    assert options.model_choice(str(bundle)) == ("my bundle", tmp_path)


def test_events_are_read(tmp_path: Path) -> None:
    file = tmp_path / "hits.json"
    file.write_text(json.dumps([{"time_s": 0.5, "words": "glass"}, {"time_s": "7/24", "strength": 0.25}]))
    assert options.read_events(file) == (
        Event(time_s=Fraction(1, 2), words="glass"),
        Event(time_s=Fraction(7, 24), strength=0.25),
    )
    namespace = parser().parse_args(["--events", str(file)])
    assert len(request_of(namespace).events) == 2
    assert request_of(namespace).least_strength == 0.0
    request = request_of(parser().parse_args(["--events", str(file), "--threshold", "0.5"]))
    assert ([event.words for event in request.events], request.least_strength) == (["glass"], 0.5)


def test_missing_events_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="check the file"):
        options.read_events(tmp_path / "none.json")


def test_how_bed_and_spots_go_together() -> None:
    words = ["--duck", "6", "--spots-as", "mixed", "--in-sync", "--hard-cuts", "--loop", "--vary", "0.25"]
    asked = request_of(parser().parse_args([*words, "--pull", "music=-1", "--pull", "wet = gravel=0.5"]))
    assert (asked.duck_db, asked.spots_as, asked.vary) == (6.0, "mixed", 0.25)
    assert (asked.in_sync, asked.hard_cuts, asked.loop) == (True, True, True)
    assert [(pull.words, pull.weight) for pull in asked.pulls] == [("music", -1.0), ("wet = gravel", 0.5)]
    plain = request_of(parser().parse_args([]))
    assert (plain.in_sync, plain.hard_cuts, plain.loop) == (False, False, False)
    assert (plain.pulls, plain.duck_db) == ((), 0.0)


@pytest.mark.parametrize("text", ["music", "music=2", "music=x", "=", "music=nan", "a" * 300 + "=1"])
def test_pulls_that_are_none(text: str) -> None:
    asked = options.Parser(prog="test")
    options.add_sound_options(asked)
    with pytest.raises(WrongUsage, match="WORDS=W"):
        asked.parse_args(["--pull", text])
