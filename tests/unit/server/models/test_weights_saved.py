# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights are written whole or not at all, and whoever may read what else is written there may read them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from footfall.server.models.random_bundle import write_random_bundle
from footfall.server.models.random_mapper import KINDS, write_random_mapper
from footfall.server.models.weights import open_weights, save_weights
from footfall.tests.fakes.small_disk import small_disk

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions and limits are POSIX's")

SMALL, LARGE = {"a": torch.ones(3)}, {"a": torch.zeros(50_000)}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_decides_who_may_read(tmp_path: Path, mask: int, mode: int) -> None:
    with umask(mask):
        save_weights(SMALL, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == mode


def test_a_shared_models_folder_can_be_read_by_others(tmp_path: Path) -> None:
    with umask(0o022):
        write_random_bundle("audioldm-s-full-v2", tmp_path / "tiny", tiny=True)
        for kind in KINDS:
            write_random_mapper(tmp_path / "tiny", kind, tiny=True)
    found = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {0o644}


def test_a_full_disk_is_an_oserror_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(SMALL, path, {"format": "pt"})
    with small_disk(8192), pytest.raises(OSError, match="too large") as refused:
        save_weights(LARGE, path)
    assert refused.value.errno == errno.EFBIG
    assert torch.equal(open_weights(path)["a"], SMALL["a"])
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_weights(SMALL, tmp_path / "gone" / "model.safetensors")


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    left = tmp_path / ".model.safetensors.part"
    left.mkdir()
    (left / ".tmpAbCdEf").write_bytes(b"half")
    save_weights(SMALL, path)
    assert list(tmp_path.iterdir()) == [path]
