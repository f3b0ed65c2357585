# SPDX-License-Identifier: GPL-3.0-or-later
"""Words alone: which way they go, what ``--text`` accepts, and what it refuses in one sentence."""

from __future__ import annotations

import argparse
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon import options, presets, words_only
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, FootfallError, WrongUsage
from footfall.addon.wire.messages import CONDITIONS, FoleyRequest
from footfall.addon.wire.texts import FORBIDDEN
from hypothesis import given
from hypothesis import strategies as st

BY_CLIP = ("picture", "clip_text")
NOTHING = {"frames": np.zeros((0, 8, 8, 3), np.uint8), "times_s": np.zeros(0)}


def parsed(*words: str) -> argparse.Namespace:
    made = options.Parser(prog="test")
    options.add_sound_options(made)
    words_only.add_options(made)
    options.add_scene_options(made)
    return made.parse_args(words)


@pytest.mark.parametrize(
    ("through", "queries", "condition"),
    [
        ("auto", (), "clap_text"),  # not known: the worker says it if that is wrong
        ("auto", CONDITIONS, "clap_text"),
        ("auto", BY_CLIP, "clip_text"),
        ("auto", (*BY_CLIP, "clip_text_prior"), "clip_text_prior"),
        ("clip", CONDITIONS, "clip_text"),
        ("prior", (), "clip_text_prior"),
        ("clap", BY_CLIP, "clap_text"),
    ],
)
def test_the_way_that_words_go(through: str, queries: tuple[str, ...], condition: str) -> None:
    assert words_only.condition(through, queries) == condition


def test_every_condition_but_the_picture_has_a_way_and_back() -> None:
    assert set(words_only.THROUGH.values()) == set(CONDITIONS) - {"picture"} == set(words_only.BEST_FIRST)
    for way, condition in words_only.THROUGH.items():
        assert words_only.through(condition) == way
    assert words_only.through("picture") == "auto"


def test_a_background_needs_something_in_front_of_it() -> None:
    with pytest.raises(WrongUsage, match="leave out --background"):
        options.request_settings(parsed("--text", "a dog", "--background", "rain"))
    both = parsed("--text", "a dog", "--background", "rain", "--layers", "bed,spots")
    assert options.request_settings(both)["background"] == "rain"


def test_text_becomes_a_request_without_a_picture() -> None:
    asked = parsed("--text", " thunder far away ", "--pull", "rain=-1", "--seed", "4")
    settings = options.request_settings(asked, (*BY_CLIP, "clip_text_prior"))
    request = FoleyRequest(duration_s=Fraction(5), **NOTHING, **settings)
    assert (request.prompt, request.condition) == ("thunder far away", "clip_text_prior")
    assert request.pulls[0].words == "rain"
    assert options.picture_source(asked) == words_only.SOURCE
    assert options.picture_source(parsed()) == "auto"
    assert options.request_settings(parsed())["condition"] == "picture"


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["--text", ""], BadInput, "write what is to be heard"),
        (["--text", " \t\n"], BadInput, "write what is to be heard"),
        (["--text", "word " * 5000], BadInput, "too long"),
        (["--text", "rain", "--prompt", "wind"], WrongUsage, "--prompt"),
        (["--text", "rain", "--condition", "clip_text"], WrongUsage, "--condition"),
    ],
    ids=["empty", "blank", "5000 words", "prompt", "condition"],
)
def test_what_cannot_be_is_a_sentence(words: list[str], kind: type[FootfallError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        options.request_settings(parsed(*words))
    assert len(caught.value.sentence) < 200


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_words_make_a_request_or_a_sentence(text: str) -> None:
    try:
        settings = options.request_settings(parsed(f"--text={text}"))
    except FootfallError:
        assert not text.strip() or FORBIDDEN.search(text)
        return
    try:
        request = FoleyRequest(duration_s=Fraction(1), **NOTHING, **settings)
    except FootfallError:  # a character that nobody can write
        assert not text.isprintable()
        return
    assert request.prompt == text.strip()
    assert len(request.prompt) <= limits.PROMPT


def test_a_preset_may_hold_it() -> None:
    kept = presets.of_settings("Far thunder", {"prompt": "thunder", "condition": "clip_text"})
    asked = {"prompt": "thunder", "background": "", "condition": "clip_text"}
    assert presets.read(kept.text().encode(), "x").settings == asked
    with pytest.raises(BadInput, match="condition"):
        presets.read(b'{"footfall_preset": 1, "name": "x", "settings": {"condition": "smell"}}', "x")
