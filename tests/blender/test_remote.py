# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on another computer, chosen in the preferences."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from footfall.addon.host import settings
from footfall.addon.host.worker import setup as setup_worker
from footfall.addon.host.worker.launch import make_launch
from footfall.addon.wire.errors import BadInput

KEY = 'metadata\ncurve\n    public-key = "{0}"\n'
SECRET = KEY + '    secret-key = "{1}"\n'


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """As ``footfall worker --make-keys`` writes an artist's part."""
    (tmp_path / "worker.key").write_text(KEY.format("w" * 40))
    (tmp_path / "artist.key_secret").write_text(SECRET.format("a" * 40, "s" * 40))
    return tmp_path


def chosen(**changes: object) -> settings.Settings:
    return dataclasses.replace(settings.current(), remote=True, worker_python=None, **changes)


def test_it_takes_the_place_of_a_worker_here(keys: Path) -> None:
    now = chosen(remote_address="render-3:5599", remote_keys=keys)
    assert setup_worker.ready(now), "nothing is to be set up on this computer"
    launch = make_launch(now, lambda: now)
    assert launch.where.startswith("tcp://render-3:5599")
    here = make_launch(dataclasses.replace(now, remote=False, worker_python=keys), lambda: now)
    assert here.where != launch.where


@pytest.mark.parametrize(("address", "said"), [("", "where the worker is"), ("render-3:5599", "make-keys")])
def test_what_is_missing_is_said(address: str, said: str, tmp_path: Path) -> None:
    now = chosen(remote_address=address, remote_keys=tmp_path)
    with pytest.raises(BadInput, match=said):
        make_launch(now, lambda: now)


def test_it_is_off_by_default() -> None:
    assert not settings.current().remote
