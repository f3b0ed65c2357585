# SPDX-License-Identifier: GPL-3.0-or-later
"""A message as a file: the same message back, or a clear no."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.batch import message_file
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.addon.wire.messages import FoleyRequest, Submit
from hypothesis import given
from hypothesis import strategies as st


def message(prompt: str = "rain") -> Submit:
    request = FoleyRequest(
        frames=np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3),
        times_s=np.array([0.0, 0.5]),
        duration_s=Fraction(1),
        prompt=prompt,
    )
    return Submit(job_id="ab" * 16, request=request)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farm") / "deeper" / "0001.request"


@pytest.fixture(scope="module")
def whole(path: Path) -> bytes:
    message_file.write(path, message())
    return path.read_bytes()


def test_round_trip(path: Path, whole: bytes) -> None:
    path.write_bytes(whole)
    read = message_file.read(path)
    assert isinstance(read, Submit)
    assert read.request.prompt == "rain"
    assert np.array_equal(read.request.frames, message().request.frames)
    assert [item.name for item in path.parent.iterdir()] == [path.name], "nothing is left beside it"


@given(data=st.data())
def test_what_is_cut_or_changed_is_never_read(path: Path, whole: bytes, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        broken = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    path.write_bytes(broken)
    with pytest.raises(BadInput, match="damaged or not copied"):
        message_file.read(path)


@given(st.binary(max_size=400))
def test_rubbish(path: Path, rubbish: bytes) -> None:
    path.write_bytes(rubbish)
    with pytest.raises(BadInput):
        message_file.read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="shared folder"):
        message_file.read(tmp_path / "nothing.result")


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.request"
    message_file.write(target, message("old"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match="full"):
        message_file.write(target, message("new"))
    read = message_file.read(target)
    assert isinstance(read, Submit)
    assert read.request.prompt == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.request"]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    """As on a read-only disk, taking the half file away fails too: that is no second error."""
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "a.request"
    with pytest.raises(SaveError, match=re.escape(str(target))):
        message_file.write(target, message())
