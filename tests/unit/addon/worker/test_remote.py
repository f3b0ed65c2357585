# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences say of a worker on another computer: address and keys, believed only when whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.addon.wire.errors import BadInput
from footfall.addon.worker.remote import remote_launch
from footfall.cli.worker import make_keys
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def artist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "made"
    make_keys(folder)
    return folder / "artist"


@pytest.mark.parametrize("address", ["10.0.0.7:5599", "tcp://render-3.local:1", " [fe80::1]:65535 "])
def test_addresses(address: str, artist: Path) -> None:
    launch = remote_launch(address, artist, Path())
    assert launch.endpoint == "tcp://" + address.strip().removeprefix("tcp://")


@pytest.mark.parametrize(
    "address", ["", "host", "host:0", "host:65536", "http://host:80", "a b:1", "host:1/x"]
)
def test_wrong_addresses(address: str, artist: Path) -> None:
    with pytest.raises(BadInput, match="where the worker is"):
        remote_launch(address, artist, Path())


def test_the_secret_key_shows_nowhere(artist: Path) -> None:
    launch = remote_launch("host:1", artist, Path())
    assert launch.secret.value.decode() in (artist / "artist.key_secret").read_text()
    assert launch.secret.value.decode() not in repr(launch)
    assert launch.secret.value.decode() not in launch.where


def test_a_folder_without_keys(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make-keys"):
        remote_launch("host:1", tmp_path, Path())


@given(st.binary(max_size=200))
def test_rubbish_for_a_key(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "rubbish"
    folder.mkdir(exist_ok=True)
    for name in ("worker.key", "own.key_secret"):
        (folder / name).write_bytes(rubbish)
    with pytest.raises(BadInput, match="key"):
        remote_launch("host:1", folder, Path())


def test_keys_are_never_written_over(artist: Path) -> None:
    with pytest.raises(BadInput, match="not empty"):
        make_keys(artist.parent)


def test_the_secrets_are_for_their_owner_alone(artist: Path) -> None:
    for path in artist.parent.rglob("*.key_secret"):
        assert path.stat().st_mode & 0o077 == 0
