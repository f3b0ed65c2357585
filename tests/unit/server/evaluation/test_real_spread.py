# SPDX-License-Identifier: GPL-3.0-or-later
"""The real families' spread is described once, and again when the world or the file is another."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from footfall.server.evaluation import real_spread, statistics
from footfall.server.train import mel
from footfall.server.train.shards import read_shards


@pytest.fixture
def mine(work: Path, tmp_path: Path) -> Path:
    """A folder of one's own with the sounds that only the judge knows."""
    (tmp_path / "world").mkdir()
    shutil.copy2(work / "world" / "judge-0000.tar", tmp_path / "world")
    return tmp_path


def test_every_sound_of_the_split_is_described_under_its_family(mine: Path) -> None:
    told: list[int] = []
    table = real_spread.described(mine, told.append)
    assert {name: len(rows) for name, rows in table.items()} == {"impact_wood": 6, "rain": 6, "creak": 6}
    assert told == list(range(1, 19))
    first = next(iter(read_shards(mine / "world", "judge")))
    alone = statistics.describe(mel.prepare(first.sound_48k), mel.RATE_HZ)
    assert table[first.shot.family][0] == pytest.approx(alone)
    assert np.isfinite([list(row.values()) for rows in table.values() for row in rows]).all()


def test_they_are_described_once(mine: Path) -> None:
    table = real_spread.described(mine)

    def never(done: int) -> None:
        raise AssertionError("described again")

    assert real_spread.described(mine, never) == table
    assert sorted(path.name for path in (mine / "eval").iterdir()) == ["real-statistics.json"]


def test_another_world_is_described_again(mine: Path) -> None:
    before = real_spread.described(mine)
    shard = mine / "world" / "judge-0000.tar"
    shutil.copy2(shard, shard.with_name("judge-0001.tar"))  # its keys are there already
    told: list[int] = []
    assert real_spread.described(mine, told.append) == before
    assert told


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"mark": 1}', b"\xff"])
def test_a_damaged_file_is_made_again(mine: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    before = real_spread.described(mine)
    (mine / real_spread.FILE).write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert real_spread.described(mine) == before
    assert json.loads((mine / real_spread.FILE).read_bytes())["families"] == before


def test_a_run_that_is_stopped_keeps_nothing_half(mine: Path) -> None:
    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        real_spread.described(mine, stop)
    assert not (mine / "eval").exists()


def test_a_world_without_them_has_none(tmp_path: Path) -> None:
    assert real_spread.described(tmp_path) == {}
    assert not (tmp_path / "eval").exists()
