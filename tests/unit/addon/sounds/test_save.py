# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound on disk: whole or not there, never outside the chosen folders, never over another file."""

from __future__ import annotations

import errno
import gc
import os
import stat
import struct
import tracemalloc
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.sounds import save, wav
from footfall.addon.sounds.save import Place, SaveTarget, choose_folder, file_name, write_clip
from footfall.addon.wire.errors import SaveError
from hypothesis import given
from hypothesis import strategies as st

JOB = "0123456789abcdef0123456789abcdef"
NAME = file_name(JOB, 0, "bed")
RATE = 48_000

# Root may write anywhere, so read-only folders are only read-only for other users.
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="NOT TESTED AS ROOT: read-only folders bind others only",
)


def target(*folders: Path) -> SaveTarget:
    return SaveTarget(places=tuple(Place(folder=folder, parents=n > 0) for n, folder in enumerate(folders)))


def tone(samples: int, channels: int = 1) -> np.ndarray:
    wave_ = np.sin(np.arange(samples, dtype=np.float32) * np.float32(0.05)) * np.float32(0.5)
    return np.repeat(wave_[:, None], channels, axis=1)


def samples_of(path: Path) -> np.ndarray:
    """(n, channels) int32 steps of a 24-bit WAV."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 3
        octets = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, 3)
        shape = (file.getnframes(), file.getnchannels())
    padded = np.concatenate([np.zeros((len(octets), 1), np.uint8), octets], axis=1)
    return (padded.copy().view("<i4").reshape(shape) >> 8).astype(np.int32)


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


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


def fail_open(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    original = os.open

    def guarded(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).parent == folder:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr(save.os, "open", guarded)


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


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """``disk["folder"]`` takes ``disk["room"]`` bytes; ``disk["at"]``: the call that notices."""
    disk: dict[str, Any] = {"folder": None, "room": 0, "at": "write"}
    original = os.fdopen
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __init__(self, raw: Any) -> None:
            self.raw, self.used = raw, 0

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: Any) -> None:
            self.raw.close()

        def write(self, data: Any) -> int:
            self.used += len(data)
            if disk["at"] == "write" and self.used > disk["room"]:
                raise full
            return int(self.raw.write(data))

        def flush(self) -> None:
            if self.used > disk["room"]:
                raise full
            self.raw.flush()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.raw, name)

    def fdopen(descriptor: int, mode: str) -> Any:
        raw = original(descriptor, mode)
        where = Path(os.readlink(f"/proc/self/fd/{descriptor}")).parent
        return Full(raw) if where == disk["folder"] else raw

    monkeypatch.setattr(save.os, "fdopen", fdopen)
    return disk


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to stage a full disk")
class TestFullDisk:
    @pytest.mark.parametrize("at", ["write", "flush"])
    @pytest.mark.parametrize("room", [0, 20, 44, 100_000])
    def test_falls_back_and_leaves_no_half_file(
        self, tmp_path: Path, small_disk: dict[str, Any], at: str, room: int
    ) -> None:
        (tmp_path / "full").mkdir()
        small_disk |= {"folder": tmp_path / "full", "room": room, "at": at}
        saved = write_clip(target(tmp_path / "full", tmp_path / "ours"), NAME, tone(100_000), RATE)
        assert saved.path.parent == tmp_path / "ours"
        assert "full" in saved.sentence
        assert str(tmp_path / "ours") in saved.sentence
        assert left_in(tmp_path / "full") == []
        assert len(samples_of(saved.path)) == 100_000

    def test_nowhere_left(self, tmp_path: Path, small_disk: dict[str, Any]) -> None:
        small_disk |= {"folder": tmp_path, "room": 10}
        with pytest.raises(SaveError, match="room on the disk") as caught:
            write_clip(target(tmp_path), NAME, tone(1000), RATE)
        assert "disk is full" in caught.value.detail
        assert left_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_the_system_really_refuses_to_write(tmp_path: Path) -> None:
    """The buffered file must not complain a second time when it is closed or collected."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, limits[1]))
    try:
        with pytest.raises(SaveError):
            write_clip(target(tmp_path), NAME, tone(200_000), RATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    gc.collect()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_a_folder_that_turned_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fail_open(monkeypatch, tmp_path / "a", number)
    saved = write_clip(target(tmp_path / "a", tmp_path / "b"), NAME, tone(10), RATE)
    assert saved.path.parent == tmp_path / "b"


def test_the_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, destination: Any) -> None:
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(save.os, "replace", refuse)
    with pytest.raises(SaveError):
        write_clip(target(tmp_path), NAME, tone(10), RATE)
    assert left_in(tmp_path) == []


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
