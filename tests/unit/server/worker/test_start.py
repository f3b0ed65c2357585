# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker's process arranges before it loads the heavy libraries."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType
from typing import Any

import pytest
from footfall.addon.wire.handshake import WorkerSettings
from footfall.server.__main__ import SPINS, _real_pipeline

PIPELINE = "footfall.server.making.pipeline"
SETTINGS = WorkerSettings(key="0" * 64, parent_pid=0, models_dir="models", log_dir="logs")


class Libraries(ModuleType):
    """Stands for the pipeline's module; notes how the process was when it was loaded."""

    def __init__(self) -> None:
        super().__init__(PIPELINE)
        self.collecting = True
        self.spins: str | None = None

    def __getattr__(self, name: str) -> Any:
        if name != "FoleyPipeline":
            raise AttributeError(name)
        self.collecting = gc.isenabled()
        self.spins = os.environ.get("GOMP_SPINCOUNT")
        return lambda settings: settings


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Libraries:
    found = Libraries()
    monkeypatch.setitem(sys.modules, PIPELINE, found)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(gc, "freeze", lambda: None)  # for good: other tests look at garbage
    return found


def test_nothing_is_looked_through_for_garbage_while_the_libraries_load(libraries: Libraries) -> None:
    assert _real_pipeline(SETTINGS) is SETTINGS
    assert not libraries.collecting
    assert gc.isenabled()


def test_what_the_libraries_brought_is_left_alone_afterwards(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(not libraries.collecting))
    _real_pipeline(SETTINGS)
    assert frozen == [True]


def test_garbage_is_looked_for_again_where_a_library_is_missing(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PIPELINE, None)
    with pytest.raises(ImportError):
        _real_pipeline(SETTINGS)
    assert gc.isenabled()


def test_waiting_threads_soon_sleep(libraries: Libraries) -> None:
    _real_pipeline(SETTINGS)
    assert libraries.spins == SPINS


@pytest.mark.parametrize(
    ("said", "spins"), [({"OMP_WAIT_POLICY": "ACTIVE"}, None), ({"GOMP_SPINCOUNT": "5"}, "5")]
)
def test_waiting_is_as_the_user_says(libraries: Libraries, said: dict[str, str], spins: str | None) -> None:
    os.environ.update(said)
    _real_pipeline(SETTINGS)
    assert libraries.spins == spins
