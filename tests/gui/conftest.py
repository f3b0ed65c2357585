# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender with a window, named by FOOTFALL_BLENDER, with the extension installed from its zip.

Without one every test here is skipped aloud. Each test has its own Blender, user folder and places for files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BLENDER = os.environ.get("FOOTFALL_BLENDER", "")
FAKE_WORKER = ROOT / "tests" / "fakes" / "fake_worker.py"
REAL = os.environ.get("FOOTFALL_REAL_WORKER", "") == "1"  # for the README's picture, where the models are
PICTURES = os.environ.get("FOOTFALL_PICTURES", "")  # where the screen's pictures are to be kept
PATIENCE_S = 240.0

Window = Callable[..., dict[str, Any]]


def pytest_report_header() -> str:
    return f"window tests with {BLENDER}" if BLENDER else "NO FOOTFALL_BLENDER: the window tests do not run"


def environment(user_folder: Path) -> dict[str, str]:
    """Blender's own folders under ``user_folder``, and what a Blender in another root has to see."""
    bound = [sys.base_prefix, sys.prefix, str(ROOT), *os.environ.get("REAL_BLENDER_BIND", "").split(":")]
    return {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(user_folder),
        "XDG_DATA_HOME": str(user_folder / "data"),
        "FOOTFALL_WORKER_PYTHON": sys.executable if REAL else str(fake_python(user_folder)),
        "REAL_BLENDER_BIND": ":".join(dict.fromkeys(filter(None, bound))),
    }


def fake_python(folder: Path) -> Path:
    """A program that stands where the worker's Python would, and runs the fake worker whatever it is told."""
    program = folder / "fake python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKE_WORKER}"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def blender() -> str:
    if not BLENDER:
        pytest.skip("NO BLENDER WINDOW: set FOOTFALL_BLENDER to an executable to run these tests")
    return BLENDER


@pytest.fixture
def script(tmp_path: Path, blender: str) -> Callable[[str], dict[str, Any]]:
    """Run a check of this folder in a window, on the tree as it stands; what it found out."""

    def run(name: str) -> dict[str, Any]:
        report = tmp_path / "found.json"
        bound = [str(ROOT), *filter(None, os.environ.get("REAL_BLENDER_BIND", "").split(":"))]
        done = subprocess.run(
            [blender, "--factory-startup", "--python", str(HERE / name), "--", str(report)],
            env={
                **os.environ,
                "BLENDER_USER_RESOURCES": str(tmp_path),
                "REAL_BLENDER_BIND": ":".join(bound),
                "TMPDIR": str(tmp_path),  # where Blender tells of its own crash
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        crashes = [path.read_text(errors="replace") for path in tmp_path.glob("*.crash.txt")]
        output = "\n".join([done.stdout, done.stderr, *crashes])
        assert report.exists(), output
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return {**found, "code": done.returncode, "output": output}

    return run


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory, blender: str) -> Path:
    """The zip for Blender 5.1 and later, as it stands in this tree."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, str(ROOT / "scripts" / "build_extension.py"), "--out", str(out), "--blender", ""]
    subprocess.run(build, check=True, timeout=PATIENCE_S)
    return next(out.glob("footfall-*-blender-5.1.zip"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, blender: str, extension: Path) -> Path:
    """A user folder in which Blender itself has installed and enabled the zip."""
    folder = tmp_path_factory.mktemp("user")
    command = [blender, "--command", "extension", "install-file", "-r", "user_default", "-e", str(extension)]
    done = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def window(tmp_path: Path, blender: str, installed: Path) -> Window:
    """Play one of the scenes in a window of its own, with Blender's ``options``; what it found out."""

    def play(scene: str, options: Sequence[str] = (), **words: Any) -> dict[str, Any]:
        user = tmp_path / "user"
        shutil.copytree(installed, user)
        folder = tmp_path / "shots with spaces"
        folder.mkdir()
        told = {"scene": scene, "folder": str(folder), **words}
        began = time.monotonic()
        done = subprocess.run(
            [blender, *options, "--python", str(HERE / "driver.py"), "--", json.dumps(told)],
            env=environment(user),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        output = done.stdout + done.stderr
        if PICTURES:
            keep = Path(PICTURES)
            keep.mkdir(parents=True, exist_ok=True)
            for picture in folder.glob("*.png"):
                shutil.copy(picture, keep / picture.name)
        report = folder / "found.json"
        assert report.exists(), output
        found: dict[str, Any] = json.loads(report.read_text())
        assert found["done"], found.get("problem", "") + output
        assert "Traceback" not in output, output
        return {**found, "output": output, "code": done.returncode, "took_s": time.monotonic() - began}

    return play
