# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards: what is written comes back, what is damaged is named and left out, the rest is read."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.server.train import tar_walk
from footfall.server.train.shards import (
    Sample,
    decode,
    fingerprint,
    read_shards,
    shard_name,
    write_frames,
    write_sounds,
)
from footfall.server.train.synth.shot import RATE_HZ, Hit, Shot
from footfall.server.train.synth.shot_json import shot_fields, shot_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image


def shot(number: int, split: str = "train") -> Shot:
    return Shot(
        key=f"{split}-{number:06d}",
        split=split,
        number=number,
        family="impact_wood",
        seed=number + 5,
        parameters={"size": 0.5, "material": "wood"},
        hits=(Hit(time_s=0.25, strength=0.75),),
        captions=("a knock", "wood is hit"),
    )


def sound(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).uniform(-0.5, 0.5, 2000)
    return (np.round(noise * 32768) / 32768).astype(np.float32)


def jpeg(value: int, side: int = 112) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, 0, 255)).save(buffer, "JPEG")
    return buffer.getvalue()


def write(folder: Path, numbers: Sequence[int], index: int = 0) -> Path:
    path = folder / shard_name("train", index)
    assert write_sounds(path, ((shot(n), sound(n)) for n in numbers)) == len(numbers)
    return path


def keys(samples: Sequence[Sample]) -> list[int]:
    return [sample.shot.number for sample in samples]


@pytest.fixture
def told() -> list[str]:
    return []


def test_what_is_written_comes_back(tmp_path: Path, told: list[str]) -> None:
    write(tmp_path, [0, 1, 2])
    write(tmp_path, [3, 4], index=1)
    write_frames(tmp_path / shard_name("train", 1, frames=True), [("train-000003", [jpeg(10), jpeg(200)])])
    found = list(read_shards(tmp_path, "train", told.append))
    assert [sample.shot for sample in found] == [shot(n) for n in range(5)]
    for number, sample in enumerate(found):
        np.testing.assert_array_equal(sample.sound_48k, sound(number))
    assert [len(sample.frames) for sample in found] == [0, 0, 0, 2, 0]
    frames = found[3].frames
    assert (frames.shape, frames.dtype) == ((2, 112, 112, 3), np.uint8)
    assert frames[0, ..., 0].mean() < 30 < 180 < frames[1, ..., 0].mean()
    assert found[3].jpegs == (jpeg(10), jpeg(200))
    assert told == []
    assert list(read_shards(tmp_path, "scene", told.append)) == []


def test_the_same_shots_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", [0, 1]).read_bytes() == write(tmp_path / "b", [0, 1]).read_bytes()


def test_any_tar_reader_can_read_it(tmp_path: Path) -> None:
    """WebDataset's way: names of one shot stand side by side and share what stands before the first dot."""
    with tarfile.open(write(tmp_path, [0, 1])) as tar:
        assert tar.getnames() == [f"train-00000{n}.{end}" for n in (0, 1) for end in ("json", "flac")]
        file = tar.extractfile("train-000001.flac")
        assert file is not None
        assert soundfile.info(io.BytesIO(file.read())).samplerate == RATE_HZ


def test_pictures_that_come_later_are_found_and_noticed(tmp_path: Path) -> None:
    write(tmp_path, [0])
    before = fingerprint(tmp_path, "train"), fingerprint(tmp_path, "train", frames=True)
    write_frames(tmp_path / shard_name("train", 0, frames=True), [("train-000000", [jpeg(1)])])
    assert fingerprint(tmp_path, "train") == before[0]
    assert fingerprint(tmp_path, "train", frames=True) != before[1]
    assert len(next(read_shards(tmp_path, "train")).frames) == 1


def test_many_threads_may_look_at_pictures(tmp_path: Path) -> None:
    write(tmp_path, range(6))
    rows = [(shot(n).key, [jpeg(n)]) for n in range(6)]
    write_frames(tmp_path / shard_name("train", 0, frames=True), rows)
    samples, seen = list(read_shards(tmp_path, "train")), []
    threads = [threading.Thread(target=lambda s=s: seen.append(s.frames.shape)) for s in samples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [(1, 112, 112, 3)] * 6


# Damage -------------------------------------------------------------------------------------------------


def test_a_shard_cut_short_gives_what_is_left(tmp_path: Path, told: list[str]) -> None:
    path = write(tmp_path, [0, 1, 2])
    write(tmp_path, [3], index=1)
    places = {member.name: member.offset for member in tar_walk.members(path, told.append)}
    path.write_bytes(path.read_bytes()[: places["train-000001.flac"] + 700])
    assert keys(list(read_shards(tmp_path, "train", told.append))) == [0, 3]
    assert told == [
        "train-0000.tar is cut short: train-000001.flac is not whole",
        "train-000001 in train-0000.tar is not complete",
    ] or told[:1] == ["train-0000.tar is cut short: train-000001.flac is not whole"]
    assert any("train-000001" in sentence for sentence in told)


def spoil(path: Path, name: str, at: int, data: bytes) -> None:
    """Puts ``data`` over what ``name`` holds from its byte ``at`` on."""
    place = next(m.offset for m in tar_walk.members(path, lambda said: None) if m.name == name)
    with path.open("rb+") as file:
        file.seek(place + at)
        file.write(data)


@pytest.mark.parametrize(
    ("name", "at", "data", "named"),
    [
        ("train-000001.flac", 900, b"\x55" * 40, "train-000001.flac in train-0000.tar is damaged"),
        ("train-000001.flac", 0, b"RIFF", "train-000001.flac in train-0000.tar is damaged"),
        ("train-000001.json", 0, b"]", "train-000001.json in train-0000.tar cannot be read"),
        ("train-000001.json", 0, b"\xff\xfe", "train-000001.json in train-0000.tar cannot be read"),
        ("train-000001.json", -512, b"nonsense", "train-0000.tar is damaged at byte"),
        ("train-000001.flac", -512, b"\x01" * 512, "train-0000.tar is damaged at byte"),
    ],
)
def test_one_damaged_file_costs_one_shot(
    tmp_path: Path, told: list[str], name: str, at: int, data: bytes, named: str
) -> None:
    spoil(write(tmp_path, [0, 1, 2]), name, at, data)
    assert keys(list(read_shards(tmp_path, "train", told.append))) == [0, 2]
    assert any(sentence.startswith(named) for sentence in told), told


def test_a_file_that_is_no_tar(tmp_path: Path, told: list[str]) -> None:
    write(tmp_path, [7], index=1)
    (tmp_path / "train-0000.tar").write_bytes(b"<html>" * 1000)
    (tmp_path / "train-0002.tar").write_bytes(b"")
    (tmp_path / "train-0003.tar").mkdir()
    assert keys(list(read_shards(tmp_path, "train", told.append))) == [7]
    assert {sentence.split()[0] for sentence in told} == {
        "train-0000.tar", "train-0002.tar", "train-0003.tar"
    }  # fmt: skip


def test_shots_without_a_checksum_are_decoded_to_see(tmp_path: Path, told: list[str]) -> None:
    """Shards from elsewhere."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(0), RATE_HZ, format="FLAC")
    with tarfile.open(tmp_path / "train-0000.tar", "w") as tar:
        for number, flac in enumerate([buffer.getvalue(), b"fLaC but not really"]):
            tar_walk.add(tar, f"train-00000{number}.json", json.dumps(shot_fields(shot(number))).encode())
            tar_walk.add(tar, f"train-00000{number}.flac", flac)
    assert keys(list(read_shards(tmp_path, "train", told.append))) == [0]
    assert told == ["train-000001.flac in train-0000.tar is damaged"]


def test_a_shot_twice_or_of_another_split_is_left_out(tmp_path: Path, told: list[str]) -> None:
    write(tmp_path, [0])
    write_sounds(
        tmp_path / "train-0001.tar", [(shot(0), sound(0)), (shot(1, "judge"), sound(1)), (shot(2), sound(2))]
    )
    assert keys(list(read_shards(tmp_path, "train", told.append))) == [0, 2]
    assert len(told) == 2


def test_damaged_pictures_are_left_out(tmp_path: Path, told: list[str]) -> None:
    write(tmp_path, [0])
    pictures = [jpeg(10), b"no picture", jpeg(20, side=64), jpeg(200)[:400], jpeg(30)]
    write_frames(tmp_path / shard_name("train", 0, frames=True), [("train-000000", pictures)])
    sample = next(read_shards(tmp_path, "train", told.append))
    assert len(sample.frames) == 2
    assert [sentence.split()[0] for sentence in told] == [f"train-000000.{n}.jpg" for n in (1, 2, 3)]


def test_a_sound_of_another_rate_is_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(0), 44_100, format="FLAC")
    with pytest.raises(BadInput, match=r"one\.flac is no sound at 48 kHz"):
        decode(buffer.getvalue(), "one.flac")


def test_a_write_that_fails_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path, [0])
    before = path.read_bytes()

    def rows() -> Any:
        yield shot(1), sound(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match=r"No space left on device.*made before is whole"):
        write_sounds(path, rows())
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    left, mine = (tmp_path / f"train-0000.tar.part{pid}" for pid in (ended.pid, os.getppid()))
    left.touch()
    mine.touch()
    write(tmp_path, [0])
    assert not left.exists()
    assert mine.exists()  # its writer lives


# Parsing ------------------------------------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6)
shots = st.builds(
    Shot,
    key=st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
    split=st.sampled_from(["train", "scene", "combo", "judge"]),
    number=st.integers(0, 10**6),
    family=st.text(max_size=20),
    seed=st.integers(0, 2**63 - 1),
    parameters=st.dictionaries(st.text(max_size=10), numbers | st.text(max_size=10), max_size=4),
    hits=st.lists(st.builds(Hit, time_s=numbers, strength=numbers), max_size=4).map(tuple),
    captions=st.lists(st.text(max_size=30), max_size=4).map(tuple),
)


@given(shots)
def test_a_shot_survives_json(one: Shot) -> None:
    assert shot_of(json.loads(json.dumps(shot_fields(one)))) == one


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(one=shots, name=st.sampled_from(list(Shot.__slots__)), value=values)
def test_nonsense_in_place_of_a_field_is_an_error_with_words(one: Shot, name: str, value: Any) -> None:
    fields = shot_fields(one) | {name: value}
    words = "none"
    try:
        assert shot_fields(shot_of(fields)).keys() == fields.keys()
    except ValueError as error:
        words = str(error)
    assert words


@given(data=st.binary(max_size=3000), at=st.integers(0, 6000))
def test_no_bytes_make_reading_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("noise")
    path = write(folder, [0, 1])
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    for sample in read_shards(folder, "train", lambda said: None):
        assert len(sample.sound_48k) == 2000
