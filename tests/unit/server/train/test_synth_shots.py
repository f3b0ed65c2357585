# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots of the synthetic world: balanced, repeatable, true to their words; what is held out stays out."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict
from pathlib import Path

import footfall.server.models.captions as model_captions
import pytest
from footfall.server.train.synth.families import FAMILIES, NAMES, WITHHELD, WITHHELD_STEPS, family
from footfall.server.train.synth.shot import SECONDS, SPLITS, Shot
from footfall.server.train.synth.shots import HELD_OUT, make_shot
from footfall.server.train.synth.wordings import TEMPLATES
from hypothesis import given
from hypothesis import strategies as st

ROUND = len(FAMILIES)


def shots(split: str, rounds: int) -> list[Shot]:
    return [make_shot(split, number) for number in range(rounds * ROUND)]


def pair(shot: Shot) -> tuple[str, str]:
    other = "ground" if shot.family.startswith("steps_") else "material"
    return str(shot.parameters.get("object", "")), str(shot.parameters.get(other, ""))


def test_there_are_families_enough_and_each_has_words() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 40
    assert sum(kin.seen for kin in FAMILIES) >= 25
    assert set(TEMPLATES) == set(NAMES)
    assert all(len(set(templates)) >= 6 for templates in TEMPLATES.values())
    assert family("rain").name == "rain"
    with pytest.raises(KeyError):
        family("silence")


def test_families_take_turns() -> None:
    assert [shot.family for shot in shots("train", 2)] == [*NAMES, *NAMES]


@given(split=st.sampled_from(SPLITS), number=st.integers(0, 10**7))
def test_any_shot_is_whole_and_repeatable(split: str, number: int) -> None:
    shot = make_shot(split, number)
    assert shot == make_shot(split, number)
    kin = family(shot.family)
    times = [hit.time_s for hit in shot.hits]
    assert times == sorted(set(times))
    assert all(0 < time_s < SECONDS - 0.05 for time_s in times)
    assert all(0 < hit.strength <= 1 for hit in shot.hits)
    assert bool(shot.hits) == (kin.kind == "hits")
    assert len(shot.hits) <= kin.most
    if kin.kind == "hits":
        assert shot.parameters["count"] == len(shot.hits)
    assert all(0 <= float(shot.parameters[name]) <= 1 for name in ("size", "speed", "intensity", "distance"))
    if kin.kind == "strokes":
        assert kin.every_s[0] * 0.99 <= float(shot.parameters["every"]) <= kin.every_s[1] * 1.01
        assert 0 <= float(shot.parameters["at"]) < float(shot.parameters["every"])
    for name, choices in (("object", kin.objects), ("material", kin.materials), ("ground", kin.grounds)):
        assert shot.parameters.get(name) in choices if choices else name not in shot.parameters
    assert len(set(shot.captions)) == len(shot.captions) >= 4
    assert not any("{" in caption or "  " in caption for caption in shot.captions)
    json.dumps(asdict(shot))


@pytest.mark.parametrize(("split", "number"), [("test", 0), ("train", -1)])
def test_no_such_shot(split: str, number: int) -> None:
    with pytest.raises(ValueError, match="no shot"):
        make_shot(split, number)


def test_training_sees_no_held_out_range() -> None:
    for shot in shots("train", 12):
        for name, (low, high) in HELD_OUT.items():
            value = float(shot.parameters[name])
            assert not low + 1e-3 < value < high - 1e-3, (shot.key, name, value)


def test_each_held_out_scene_has_a_value_never_trained_on() -> None:
    for shot in shots("scene", 10):
        assert any(low <= float(shot.parameters[name]) <= high for name, (low, high) in HELD_OUT.items())


def test_withheld_pairs_are_only_in_their_own_split() -> None:
    kept = WITHHELD | WITHHELD_STEPS
    for split in ("train", "scene"):
        assert not [shot.key for shot in shots(split, 12) if pair(shot) in kept]
    assert all(pair(shot) in kept for shot in shots("combo", 4))


def test_each_half_of_a_withheld_pair_is_trained_on() -> None:
    """But for the jar: it is only ever of glass, so breaking one is wholly new."""
    trained = {pair(shot) for shot in shots("train", 25)}
    for thing, stuff in (WITHHELD | WITHHELD_STEPS) - {("jar", "glass")}:
        assert any(one == thing for one, _ in trained), thing
        assert any(other == stuff for _, other in trained), stuff


def test_splits_never_share_a_seed() -> None:
    seeds = [shot.seed for split in SPLITS for shot in shots(split, 6)]
    assert len(set(seeds)) > 0.999 * len(seeds)


def test_a_ball_bounces_lower_and_sooner_each_time() -> None:
    balls = [
        shot for shot in shots("train", 25) if shot.parameters.get("object") == "ball" and len(shot.hits) > 3
    ]
    balls = [shot for shot in balls if shot.family.startswith("impact_")]
    assert balls
    for shot in balls:
        times = [hit.time_s for hit in shot.hits]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert gaps == sorted(gaps, reverse=True)
        assert shot.hits[-1].strength < shot.hits[0].strength


def test_speed_sets_the_rhythm_of_steps() -> None:
    walks = sorted(
        (shot for shot in shots("train", 25) if shot.family.startswith("steps_") and len(shot.hits) > 1),
        key=lambda shot: float(shot.parameters["speed"]),
    )
    gaps = [shot.hits[1].time_s - shot.hits[0].time_s for shot in walks]
    assert sum(gaps[:20]) > 1.5 * sum(gaps[-20:])


def test_captions_tell_the_truth() -> None:
    for shot in shots("train", 12):
        said = " ".join(shot.captions)
        slow = float(shot.parameters["speed"]) < 0.35
        assert not (slow and re.search(r"steps running|quickly on|fast (on|over)|revving", said)), shot
        assert not (float(shot.parameters["distance"]) < 0.5 and "distan" in said), shot
        assert not re.search(r"\ba [aeiou]", said), said
        if shot.family == "impact_wood":
            assert re.search(r"\b(wooden|wood|hardwood)\b", shot.captions[0])


def test_words_are_those_that_models_are_told() -> None:
    """Most words of the captions stand in the captions that fit mappers from text alone."""
    listed = Path(model_captions.__file__).with_name("captions.txt").read_text("utf-8").lower()
    known = set(re.findall(r"[a-z]+", listed))
    said = [word for shot in shots("train", 8) for c in shot.captions for word in re.findall(r"[a-z]+", c)]
    assert sum(word in known for word in said) > 0.95 * len(said)
