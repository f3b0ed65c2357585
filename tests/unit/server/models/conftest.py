# SPDX-License-Identifier: GPL-3.0-or-later
"""One tiny bundle for all tests of models, and copies of it to break."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from footfall.server.models import manifest
from footfall.server.models.bundle import Bundle, open_bundle


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random bundle. Not to be changed: see ``copy_bundle``."""
    from footfall.server.models.random_bundle import write_random_bundle

    root = tmp_path_factory.mktemp("bundles") / "tiny"
    write_random_bundle("audioldm-s-full-v2", root, tiny=True)
    return root


@pytest.fixture
def tiny(tiny_root: Path) -> Bundle:
    return open_bundle(tiny_root)


@pytest.fixture
def copy_bundle(tiny_root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a copy of the tiny bundle in an own models folder; its files may be changed."""

    def copy(name: str = "copy") -> Path:
        target = tmp_path / "models" / name
        shutil.copytree(tiny_root, target, ignore=shutil.ignore_patterns(".checked.json"))
        return target

    return copy


def reseal(root: Path) -> None:
    """Lists the files as they are now, as if the bundle had been made like this."""
    said, _ = manifest.read(root)
    manifest.seal(root, said)


def flip_byte(path: Path, position: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(1, 1))
