# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full, read-only or broken: the next folder is taken, and no half file stays."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.sounds import save
from footfall.addon.sounds.save import write_clip
from footfall.addon.wire.errors import SaveError
from footfall.tests.fakes.tones import NAME, RATE, fail_open, left_in, samples_of, target, tone


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
    from footfall.tests.fakes.small_disk import small_disk

    with small_disk(70_000), pytest.raises(SaveError):
        write_clip(target(tmp_path), NAME, tone(200_000), RATE)
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
