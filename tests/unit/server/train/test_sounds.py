# SPDX-License-Identifier: GPL-3.0-or-later
"""The kept sounds: made once, made again when the world changes, and never from half a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from footfall.addon.wire.errors import BadInput
from footfall.server.train import mel, sounds
from footfall.server.train.shards import shard_name, write_sounds
from footfall.server.train.synth.shot import SAMPLES as WORLD_SAMPLES
from footfall.server.train.synth.shots import make_shot


def add_shard(work: Path, index: int, count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(index)
    made = [0.3 * draw.standard_normal(WORLD_SAMPLES).clip(-3, 3).astype(np.float32) for _ in range(count)]
    rows = [(make_shot("train", 10 * index + number), sound) for number, sound in enumerate(made)]
    write_sounds(work / "world" / shard_name("train", index), rows)
    return made


def test_sounds_are_those_of_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "PER_FILE", 2)
    made = add_shard(tmp_path, 0, 5)
    ticks: list[int] = []
    kept = sounds.load_sounds(tmp_path, "train", ticks.append)
    assert len(kept) == 5
    assert ticks[-1] == 5
    for number in (0, 1, 4):
        assert np.allclose(kept.wave(number), mel.prepare(made[number]), atol=1e-4)
    assert np.array_equal(kept.wave(3, 100, 50), kept.wave(3)[100:150])


def test_they_are_made_again_for_another_world_only(tmp_path: Path) -> None:
    add_shard(tmp_path, 0, 2)
    sounds.load_sounds(tmp_path, "train")
    ticks: list[int] = []
    assert len(sounds.load_sounds(tmp_path, "train", ticks.append)) == 2
    assert not ticks
    add_shard(tmp_path, 1, 1)
    assert len(sounds.load_sounds(tmp_path, "train", ticks.append)) == 3
    assert ticks


def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    add_shard(tmp_path, 0, 2)
    first = sounds.load_sounds(tmp_path, "train").wave(1)
    file = tmp_path / "sounds" / "train-0000.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(sounds.load_sounds(tmp_path, "train").wave(1), first)


def test_a_world_without_sounds_is_said(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    with pytest.raises(BadInput):
        sounds.load_sounds(tmp_path, "train")


def test_general_sounds_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "SAMPLES", 4096)
    ticks: list[int] = []
    made = sounds.load_general(tmp_path, 3, ticks.append)
    assert ticks == [1, 2, 3]
    assert len(made) == 3
    assert not np.array_equal(made.wave(0, 0, 4096), made.wave(1, 0, 4096))
    again = sounds.load_general(tmp_path, 3, ticks.append)
    assert len(ticks) == 3
    assert np.array_equal(again.wave(2, 0, 4096), made.wave(2, 0, 4096))
    assert len(sounds.load_general(tmp_path, 2)) == 2
