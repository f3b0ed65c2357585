# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall worker``: the log as it grows; and the settings of every worker that the shell starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.cli.jobs import worker_launch
from footfall.cli.worker import _Log


def test_only_what_is_new_of_a_log_and_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    path.write_text("of an older worker\n" * 5_000)
    log = _Log(path)
    assert log.news() == []
    with path.open("ab") as file:
        file.write(b"one\ntwo\x1b[31m\nhal")
        file.flush()
        assert log.news() == ["one", "two[31m"]
        assert log.news() == []
        file.write(b"f\n")
    assert log.news() == ["half"]
    path.rename(tmp_path / "worker.1.log")
    assert log.news() == []
    path.write_text("after it was rotated\n")
    assert log.news() == ["after it was rotated"]


def test_a_log_that_begins_later(tmp_path: Path) -> None:
    log = _Log(tmp_path / "worker.log")
    assert log.news() == []
    (tmp_path / "worker.log").write_text("first\n")
    assert log.news() == ["first"]


def test_a_folder_of_models_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert worker_launch(Path("models")).settings("0" * 64).models_dir == str(tmp_path / "models")
