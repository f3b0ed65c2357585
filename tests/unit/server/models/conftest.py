# SPDX-License-Identifier: GPL-3.0-or-later
"""One tiny bundle for all tests of models, and copies of it to break."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from footfall.server.models import manifest
from footfall.server.models.bundle import Bundle, open_bundle

from .fake_hub import FakeHub
from .hub_rows import repo_of


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


@pytest.fixture
def own_hugging_face_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "HF_TOKEN_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "hf"))


@pytest.fixture
def fake(tiny: Bundle, own_hugging_face_home: None) -> Iterator[FakeHub]:
    """The weights and the tokenizer of the tiny bundle, in three repositories."""
    wanted = [path for path in tiny.files if path.endswith(".safetensors") or path == "clap/tokenizer.json"]
    with FakeHub(
        {f"{repo_of(path)}/{path}": tiny.file(path).read_bytes() for path in wanted}
    ).running() as running:
        yield running


def reseal(root: Path) -> None:
    """Lists the files as they are now, as if the bundle had been made like this."""
    said, _ = manifest.read(root)
    manifest.seal(root, said)


def flip_byte(path: Path, position: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(1, 1))
