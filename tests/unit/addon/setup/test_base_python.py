# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python Set Up Worker takes, and what it says about one that does not suit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from footfall.addon.setup.environment import locked
from footfall.tests.fakes.worker_shop import Shop, run, until


def test_an_old_python_is_named(shop: Shop, tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    old.write_text(
        f"#!{sys.executable}\n"
        'print(\'{"version": [3, 8, 18], "bits": 64, "venv": true, "ensurepip": true}\')\n'
    )
    old.chmod(0o755)
    progress = run(shop.begin(old))
    assert progress.state == "failed"
    assert progress.error is not None
    assert "The chosen Python is 3.8.18 and too old" in progress.error.sentence


def real_old_pythons() -> Iterator[Path]:
    known = sorted((Path.home() / ".pyenv" / "versions").glob("3.[5-9].*/bin/python3"))
    for name in ("python3.8", "python3.9", "python3.7", *map(str, known)):
        found = shutil.which(name)
        told = subprocess.run([found, "-c", ""], capture_output=True, check=False) if found else None
        if found and told is not None and told.returncode == 0:
            yield Path(found)


def test_a_real_old_python_is_named(shop: Shop) -> None:
    old = next(real_old_pythons(), None)
    if old is None:
        pytest.skip("no Python older than 3.11 on this machine")
    progress = run(shop.begin(old))
    assert progress.error is not None
    assert "too old" in progress.error.sentence


@pytest.mark.parametrize("kind", ["missing", "not a program", "fails"])
def test_a_chosen_python_that_does_not_run(shop: Shop, tmp_path: Path, kind: str) -> None:
    base = tmp_path / "python"
    if kind != "missing":
        base.write_text("#!/bin/false\n" if kind == "fails" else "hello")
        base.chmod(0o755)
    progress = run(shop.begin(base))
    assert progress.state == "failed"
    assert progress.error is not None
    assert "does not run" in progress.error.sentence
    assert not locked(shop.worker)


def test_another_python_is_looked_for(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender's own cannot make environments (as in some distributions); the one on PATH can."""
    path = tmp_path / "bin"
    path.mkdir()
    (path / "python3.12").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    setup = shop.begin(None, own=tmp_path / "no python")
    until(setup, lambda progress: progress.phase == "environment")
    setup.close()
    assert f"$ {path / 'python3.12'} -I -B -m venv" in setup.log_path.read_text()


def test_no_python_at_all(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    progress = run(shop.begin(None, own=tmp_path / "no python"))
    assert progress.error is not None
    assert "install Python 3.12" in progress.error.sentence
