# SPDX-License-Identifier: GPL-3.0-or-later
"""Which held-out shots are chosen: evenly, apart from each other, and whatever of the world is damaged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from footfall.addon.wire.errors import BadInput
from footfall.server.evaluation.shots import interleaved, is_seen, select

from .conftest import EACH, FAMILIES, write_world


def quiet(words: str) -> None:
    raise AssertionError(words)


def test_families_are_even_and_both_halves_apart(work: Path) -> None:
    found = select(work / "world", 9, quiet)
    for half in (found.evaluated, found.others):
        assert Counter(one.shot.family for one in half) == dict.fromkeys(FAMILIES, 3)
    keys = [one.shot.key for one in (*found.evaluated, *found.others)]
    assert len(set(keys)) == len(keys)
    # both kinds of held-out shot are in both halves
    for half in (found.evaluated, found.others):
        assert {"scene", "combo"} <= {one.shot.split for one in half}


def test_what_there_is_is_enough(work: Path) -> None:
    found = select(work / "world", 1000, quiet)
    assert len(found.evaluated) + len(found.others) == EACH * len(FAMILIES) + 3


def test_the_same_world_gives_the_same_shots(work: Path) -> None:
    first, again = (select(work / "world", 6, quiet) for _ in range(2))
    assert [one.shot for one in first.evaluated] == [one.shot for one in again.evaluated]


def test_a_shot_brings_its_sound_and_its_pictures(work: Path) -> None:
    for one in select(work / "world", 6, quiet).evaluated:
        assert one.sound.shape == (40_960,)
        assert len(one.frames) == len(one.times_s) == (0 if one.shot.family == "creak" else 8)
        assert is_seen(one) == (one.shot.family != "creak")


def test_some_families_alone(work: Path) -> None:
    found = select(work / "world", 4, quiet, families=("rain", "creak"))
    assert {one.shot.family for one in found.evaluated} == {"rain", "creak"}


def test_a_world_without_held_out_shots_is_told_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="footfall train world"):
        select(tmp_path, 10, quiet)


def test_a_shard_that_was_cut_short_is_reported_and_the_rest_used(tmp_path: Path) -> None:
    write_world(tmp_path)
    shard = tmp_path / "scene-0000.tar"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * 2 // 3])
    said: list[str] = []
    found = select(tmp_path, 100, said.append)
    assert said
    assert len(found.evaluated) >= 4


def test_any_beginning_holds_each_list_in_its_share() -> None:
    mixed = interleaved([[("a", n) for n in range(8)], [("b", n) for n in range(4)]])  # type: ignore[list-item]
    assert len(mixed) == 12
    for length in (3, 6, 9, 12):
        assert Counter(name for name, _ in mixed[:length])["b"] == length // 3
