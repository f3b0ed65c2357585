# SPDX-License-Identifier: GPL-3.0-or-later
"""What Set Up Worker is tried with: an extension that needs one tiny package, and a folder that has it."""

from __future__ import annotations

import base64
import hashlib
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from footfall.addon.setup.environment import look, requirements
from footfall.addon.setup.making import SetupProgress, WorkerSetup

DEADLINE_S = 120.0


def make_wheel(folder: Path, name: str, code: str) -> None:
    """A wheel of one module, as small as a wheel can be."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(text.encode())}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))


class Shop:
    """A stand-in for the extension's folder, and wheels to install from."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "extension with 'quotes' and ü"
        self.wheels = folder / "wheels"
        self.worker = folder / "worker folder"
        self.root.mkdir()
        self.wheels.mkdir()
        self.needs("tinypart>=1")
        self.sells("tinypart", "ANSWER = 42\n")

    def needs(self, *items: str) -> None:
        listed = ", ".join(f'"{item}"' for item in items)
        (self.root / "pyproject.toml").write_text(
            f"[project]\nname = 'x'\ndependencies = []\noptional-dependencies.worker = [{listed}]\n"
        )

    def sells(self, name: str, code: str) -> None:
        make_wheel(self.wheels, name, code)

    def begin(
        self, base: Path | None = Path(sys.executable), space_bytes: int = 0, **options: object
    ) -> WorkerSetup:
        """The tiny package fits on any disk, so how full this machine's is has no say."""
        return WorkerSetup(
            self.worker,
            self.root,
            online=False,
            base=base,
            pip_arguments=("--no-index", "--find-links", str(self.wheels)),
            space_bytes=space_bytes,
            **options,  # type: ignore[arg-type]
        )

    def state(self) -> str:
        return look(self.worker, requirements(self.root)).state


def until(setup: WorkerSetup, enough: Callable[[SetupProgress], bool]) -> SetupProgress:
    """Poll until ``enough``; the last progress."""
    end = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while True:
        progress = setup.poll()
        if enough(progress):
            return progress
        assert time.monotonic() < end, progress
        pause.wait(0.005)


def run(setup: WorkerSetup) -> SetupProgress:
    return until(setup, lambda progress: progress.state != "running")
