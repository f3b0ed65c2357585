# SPDX-License-Identifier: GPL-3.0-or-later
"""The mixdown: whole or not at all, of the scene that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host.sounds import mixdown, placing
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.tests.blender.sounds.placed import scene_now

pytestmark = pytest.mark.usefixtures("audio")


class TestMixdown:
    @pytest.fixture(autouse=True)
    def short(self) -> None:
        scene_now().frame_end = 12

    def test_replaces_an_old_file(self, tmp_path: Path, job: Any) -> None:
        path = tmp_path / "mix.wav"
        path.write_bytes(b"old")
        placing.place(job(start=1), placing.home(scene_now()))
        assert mixdown.mixdown(scene_now(), path) == path
        assert mixdown.whole(path)
        assert path.stat().st_size > 12 * 2_000 * 2 * 4
        assert [p.name for p in tmp_path.iterdir() if p.suffix == ".wav"] == ["mix.wav"]
        assert not mixdown.running()

    def test_of_another_scene(self, tmp_path: Path, job: Any) -> None:
        other = bpy.data.scenes.new("Edit")
        other.frame_end = 48
        placing.place(job(start=1), placing.home(other))
        mixdown.mixdown(other, tmp_path / "mix.wav", channels="MONO")
        samples = np.frombuffer((tmp_path / "mix.wav").read_bytes()[-48 * 2_000 * 4 :], "<f4")
        assert np.abs(samples).max() > 0.3

    def test_nothing_to_mix(self, tmp_path: Path) -> None:
        scene_now().sequence_editor_clear()
        with pytest.raises(BadInput, match="no sequencer"):
            mixdown.mixdown(scene_now(), tmp_path / "mix.wav")

    def test_a_folder_that_is_none(self, tmp_path: Path, job: Any) -> None:
        """As on a read-only disk, nothing of ours can be taken away there either."""
        placing.place(job(start=1), placing.home(scene_now()))
        (tmp_path / "file").touch()
        with pytest.raises(SaveError, match="choose a folder"):
            mixdown.mixdown(scene_now(), tmp_path / "file" / "mix.wav")
        assert not mixdown.running()

    def test_nowhere_to_write(self, tmp_path: Path, job: Any) -> None:
        placing.place(job(start=1), placing.home(scene_now()))
        ticks = iter(range(0, 10_000, 5))
        with pytest.raises(SaveError):
            mixdown.mixdown(scene_now(), tmp_path / "gone" / "mix.wav", clock=lambda: float(next(ticks)))
        assert not mixdown.running()

    @pytest.mark.parametrize(
        "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\xff\0\0\0WAVE" + b"x" * 99]
    )
    def test_half_a_file_is_not_whole(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.wav"
        assert not mixdown.whole(path)
        path.write_bytes(content)
        assert not mixdown.whole(path)
