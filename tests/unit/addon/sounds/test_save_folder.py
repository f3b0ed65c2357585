# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sound is saved: beside the file, where the user says, or in a folder of our own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from footfall.addon.sounds.save import choose_folder
from footfall.addon.wire.errors import SaveError
from footfall.tests.fakes.tones import fail_open, left_in, needs_permissions


class TestChooseFolder:
    def test_beside_the_file(self, tmp_path: Path) -> None:
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        assert chosen.folder == tmp_path / "footfall"
        assert chosen.folder.is_dir()
        assert str(chosen.folder) in chosen.sentence
        assert left_in(chosen.folder) == []

    def test_preference_comes_first(self, tmp_path: Path) -> None:
        (tmp_path / "sound").mkdir()
        chosen = choose_folder(str(tmp_path / "shot.blend"), str(tmp_path / "sound"), tmp_path / "ours")
        assert [p.folder for p in chosen.places] == [
            tmp_path / "sound",
            tmp_path / "footfall",
            tmp_path / "ours",
        ]

    def test_preference_relative_to_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "shots").mkdir()
        chosen = choose_folder(str(tmp_path / "shots" / "a.blend"), "//../sound", tmp_path / "ours")
        assert chosen.folder == tmp_path / "sound"

    def test_unsaved_file_says_where(self, tmp_path: Path) -> None:
        chosen = choose_folder("", "", tmp_path / "deep" / "ours")
        assert chosen.folder == tmp_path / "deep" / "ours"
        assert "not been saved" in chosen.sentence
        assert str(chosen.folder) in chosen.sentence

    def test_unsaved_file_with_relative_preference(self, tmp_path: Path) -> None:
        chosen = choose_folder("", "//sound", tmp_path / "ours")
        assert chosen.folder == tmp_path / "ours"
        assert "relative" in chosen.sentence

    @pytest.mark.parametrize("preference", ["sound/here", "a\0b"])
    def test_preference_that_is_no_full_path(self, tmp_path: Path, preference: str) -> None:
        chosen = choose_folder(str(tmp_path / "shot.blend"), preference, tmp_path / "ours")
        assert chosen.folder == tmp_path / "footfall"
        assert "preferences" in chosen.sentence

    def test_preference_on_a_missing_disk_is_not_made(self, tmp_path: Path) -> None:
        chosen = choose_folder(str(tmp_path / "a.blend"), str(tmp_path / "gone" / "sound"), tmp_path / "ours")
        assert chosen.folder == tmp_path / "footfall"
        assert not (tmp_path / "gone").exists()
        assert "gone" in chosen.sentence

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "footfall").write_text("mine")
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        assert chosen.folder == tmp_path / "ours"
        assert "it is not a folder" in chosen.sentence
        assert (tmp_path / "footfall").read_text() == "mine"

    def test_a_link_beside_the_file_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "footfall").symlink_to(tmp_path / "elsewhere")
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        assert chosen.folder == tmp_path / "ours"
        assert "link" in chosen.sentence
        assert left_in(tmp_path / "elsewhere") == []

    @needs_permissions
    def test_read_only_folder(self, tmp_path: Path) -> None:
        shots = tmp_path / "shots"
        shots.mkdir()
        shots.chmod(0o555)
        chosen = choose_folder(str(shots / "shot.blend"), "", tmp_path / "ours")
        assert chosen.folder == tmp_path / "ours"
        assert "may not be written" in chosen.sentence

    def test_read_only_folder_as_any_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fail_open(monkeypatch, tmp_path / "footfall", errno.EACCES)
        chosen = choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "ours")
        assert chosen.folder == tmp_path / "ours"
        assert "may not be written" in chosen.sentence

    def test_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "block").write_text("")
        with pytest.raises(SaveError, match="preferences"):
            choose_folder(str(tmp_path / "block" / "shot.blend"), "", tmp_path / "block" / "ours")

    def test_what_a_crash_left_is_swept_but_nothing_else(self, tmp_path: Path) -> None:
        ours = tmp_path / "footfall"
        ours.mkdir()
        names = [".footfall-0123456789abcdef.part", ".footfall-mine.part", "take.wav"]
        for name in names:
            (ours / name).write_text("x")
            os.utime(ours / name, (1, 1))
        (ours / ".footfall-ffffffffffffffff.part").write_text("being written now")
        choose_folder(str(tmp_path / "shot.blend"), "", tmp_path / "fallback")
        assert left_in(ours) == sorted([*names[1:], ".footfall-ffffffffffffffff.part"])
