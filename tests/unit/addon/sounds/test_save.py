# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound on disk: whole or not there, never outside the chosen folders, never over another file."""

from __future__ import annotations

import os
import stat
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.sounds import wav
from footfall.addon.sounds.save import choose_folder, file_name, write_clip
from footfall.addon.wire.errors import SaveError
from footfall.tests.fakes.tones import JOB, NAME, RATE, left_in, samples_of, target, tone
from hypothesis import given
from hypothesis import strategies as st


class TestFileName:
    def test_parts(self) -> None:
        assert file_name(JOB, 0, "bed") == "0123456789ab-take1-bed.wav"
        assert file_name(JOB, 2, "spots", 11, "Glass & Stone") == (
            "0123456789ab-take3-spots-012-glass-stone.wav"
        )
        assert file_name(JOB, 0, "bed", label="bed") == "0123456789ab-take1-bed.wav"

    @pytest.mark.parametrize(
        "job_id",
        [
            "../../x",
            "CON",
            "a" * 300,
            JOB[:-1] + "\0",
            JOB + "\n",
            JOB.upper(),
            "",
            "\u0660" * 32,
            JOB[:-1],
            None,
            7,
        ],
    )
    def test_refuses_what_is_no_job_id(self, job_id: Any) -> None:
        with pytest.raises(SaveError):
            file_name(job_id, 0, "bed")

    @pytest.mark.parametrize(
        ("take", "layer", "index"),
        [
            (-1, "bed", 0),
            (16, "bed", 0),
            (0, "../x", 0),
            (0, "spots", 1024),
            (True, "bed", 0),
            (0, "bed", -1),
        ],
    )
    def test_refuses_other_parts(self, take: Any, layer: str, index: int) -> None:
        with pytest.raises(SaveError):
            file_name(JOB, take, layer, index)

    @given(label=st.text(max_size=300))
    def test_any_label_makes_a_plain_name(self, label: str) -> None:
        name = file_name(JOB, 15, "spots", 255, label)
        assert len(name) < 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert name.endswith(".wav")
        assert name.count(".") == 1


class TestWriteClip:
    def test_samples_silence_and_length(self, tmp_path: Path) -> None:
        sound = tone(100_000, 2)
        path = write_clip(target(tmp_path), NAME, sound, RATE, lead=70_000, samples=250_001).path
        steps = samples_of(path)
        assert steps.shape == (250_001, 2)
        assert not steps[:70_000].any()
        assert not steps[170_000:].any()
        assert np.array_equal(steps[70_000:170_000], np.rint(sound.astype(np.float64) * 2**23))
        assert left_in(tmp_path) == [NAME]

    def test_rounds_to_nearest_and_holds_full_scale(self) -> None:
        piece = np.array([[1.0], [-1.0], [0.4 / 2**23], [0.6 / 2**23], [-0.6 / 2**23]], np.float32)
        octets = np.frombuffer(wav.pcm24(piece), np.uint8).reshape(-1, 3)
        assert [int.from_bytes(bytes(row), "little", signed=True) for row in octets] == [
            2**23 - 1,
            -(2**23),
            0,
            1,
            -1,
        ]

    @pytest.mark.parametrize("samples", [1, 2, 1001])
    def test_riff_sizes_fit_the_file(self, tmp_path: Path, samples: int) -> None:
        path = write_clip(target(tmp_path), NAME, tone(samples), RATE).path
        data = path.read_bytes()
        assert len(data) % 2 == 0
        assert struct.unpack("<L", data[4:8])[0] == len(data) - 8
        assert struct.unpack("<L", data[40:44])[0] == samples * 3
        assert len(samples_of(path)) == samples

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5])
    def test_damaged_sound_leaves_nothing(self, tmp_path: Path, bad: float) -> None:
        sound = tone(10)
        sound[5] = bad
        with pytest.raises(SaveError, match="damaged"):
            write_clip(target(tmp_path), NAME, sound, RATE)
        assert left_in(tmp_path) == []

    def test_an_existing_file_is_never_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / NAME).write_text("mine")
        first = write_clip(target(tmp_path), NAME, tone(10), RATE).path
        second = write_clip(target(tmp_path), NAME, tone(20), RATE).path
        assert (tmp_path / NAME).read_text() == "mine"
        assert len({first, second, tmp_path / NAME}) == 3
        assert (len(samples_of(first)), len(samples_of(second))) == (10, 20)

    def test_a_planted_link_is_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("mine")
        folder = tmp_path / "footfall"
        folder.mkdir()
        (folder / NAME).symlink_to(outside / "secret")
        (folder / NAME.replace(".wav", "-2.wav")).symlink_to(outside / "dangling")
        path = write_clip(target(folder), NAME, tone(10), RATE).path
        assert path == folder / NAME.replace(".wav", "-3.wav")
        assert not path.is_symlink()
        assert (outside / "secret").read_text() == "mine"
        assert left_in(outside) == ["secret"]

    def test_a_folder_swapped_for_a_link_is_not_followed(self, tmp_path: Path) -> None:
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        (tmp_path / "elsewhere").mkdir()
        chosen.folder.rmdir()
        chosen.folder.symlink_to(tmp_path / "elsewhere")
        saved = write_clip(chosen, NAME, tone(10), RATE)
        assert saved.path.parent == tmp_path / "ours"
        assert "link" in saved.sentence
        assert left_in(tmp_path / "elsewhere") == []

    @pytest.mark.parametrize("name", ["../x.wav", "a/b.wav", "x.wav\0", "CON", "x" * 300 + ".wav", "x.wav\n"])
    def test_refuses_other_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(SaveError):
            write_clip(target(tmp_path), name, tone(10), RATE)
        assert left_in(tmp_path) == []

    @pytest.mark.parametrize("name", ["with space", 'it\'s "quoted" & $HOME', "🎬 Ton für Ton", "x" * 250])
    def test_folders_of_any_name(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        chosen = choose_folder(str(tmp_path / name / "shot.blend"), "", tmp_path / "ours")
        path = write_clip(chosen, NAME, tone(10), RATE).path
        assert path.parent == tmp_path / name / "footfall"
        assert len(samples_of(path)) == 10

    def test_a_path_that_is_too_long_goes_elsewhere(self, tmp_path: Path) -> None:
        deep = tmp_path
        while len(str(deep)) < 5_000:
            deep /= "x" * 200
        saved = write_clip(target(deep, tmp_path / "ours"), NAME, tone(10), RATE)
        assert saved.path.parent == tmp_path / "ours"
        assert "too long" in saved.sentence

    def test_a_vanished_folder_is_made_again(self, tmp_path: Path) -> None:
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        chosen.folder.rmdir()
        assert write_clip(chosen, NAME, tone(10), RATE).path.parent == chosen.folder

    def test_a_vanished_project_goes_to_the_fallback(self, tmp_path: Path) -> None:
        (tmp_path / "project").mkdir()
        chosen = choose_folder(str(tmp_path / "project" / "shot.blend"), "", tmp_path / "ours")
        chosen.folder.rmdir()
        (tmp_path / "project").rmdir()
        saved = write_clip(chosen, NAME, tone(10), RATE)
        assert saved.path.parent == tmp_path / "ours"
        assert "gone" in saved.sentence
        assert not (tmp_path / "project").exists()

    def test_permissions_are_the_users(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            path = write_clip(target(tmp_path), NAME, tone(10), RATE).path
        finally:
            os.umask(before)
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_long_sound_takes_little_memory(tmp_path: Path) -> None:
    """Two minutes of stereo: 46 MB of samples, and no second copy of them."""
    sound = np.zeros((120 * RATE, 2), np.float32)
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        write_clip(target(tmp_path), NAME, sound, RATE, lead=RATE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not traced:
            tracemalloc.stop()
    assert peak - before < 8e6
