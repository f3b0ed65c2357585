# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker for real, with a tiny wheel made here and no network: every step, every interruption."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from footfall.addon.setup.environment import locked, look, read_state, requirements, worker_python
from footfall.addon.setup.making import SetupProgress, WorkerSetup
from footfall.addon.setup.package_check import CHECK, findings
from footfall.addon.wire.errors import BadInput, SaveError, WorkerNotInstalled

DEADLINE_S = 120.0
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell and signals")


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

    def begin(self, base: Path | None = Path(sys.executable), **options: object) -> WorkerSetup:
        return WorkerSetup(
            self.worker,
            self.root,
            online=False,
            base=base,
            pip_arguments=("--no-index", "--find-links", str(self.wheels)),
            **options,  # type: ignore[arg-type]
        )

    def state(self) -> str:
        return look(self.worker, requirements(self.root)).state


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


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


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def bare_python(copy: Path) -> Path:
    """A copy of this Python without any bytecode, writable, so that whatever is written to it shows."""
    probe = "import sys, sysconfig; print(sys.base_prefix); print(sysconfig.get_path('stdlib'))"
    told = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True)
    prefix, library = (Path(line) for line in told.stdout.splitlines())
    skip = shutil.ignore_patterns("__pycache__", "test", "site-packages", "config-*", "idlelib", "tkinter")
    shutil.copytree(library, copy / library.relative_to(prefix), ignore=skip)
    (copy / "bin").mkdir()
    shutil.copy2(Path(sys.executable).resolve(), copy / "bin" / "python3")
    for shared in (prefix / "lib").glob("libpython*"):
        if shared.is_file():
            shutil.copy2(shared, copy / "lib" / shared.name)
    return copy / "bin" / "python3"


@posix
def test_it_makes_an_environment_and_leaves_the_base_alone(shop: Shop, tmp_path: Path) -> None:
    base = bare_python(tmp_path / "blender python")
    untouched = files_of(base.parent.parent)
    assert shop.state() == "missing"
    setup = shop.begin(base)
    assert shop.state() == "installing"
    assert read_state(shop.worker) == {"state": "incomplete"}, "said before anything is done"
    seen: list[SetupProgress] = []
    slowest = 0.0
    while not seen or seen[-1].state == "running":
        before = time.thread_time()
        seen.append(setup.poll())
        slowest = max(slowest, time.thread_time() - before)
        threading.Event().wait(0.005)
    assert seen[-1].state == "ready", seen[-1]
    assert files_of(base.parent.parent) == untouched, "the base Python is only run"
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {"python", "environment", "packages", "check"} <= {progress.phase for progress in seen}
    assert slowest < 0.05, "a poll never takes the main thread's time"
    assert shop.state() == "ready"
    assert not locked(shop.worker)
    assert not (shop.worker / "downloads").exists()
    log = setup.log_path.read_text()
    assert "Successfully installed tinypart-1.0" in log
    python = look(shop.worker, requirements(shop.root)).python
    assert python == worker_python(shop.worker)
    told = subprocess.run(
        [str(python), "-I", "-c", "import tinypart; print(tinypart.ANSWER)"], capture_output=True, text=True
    )
    assert told.stdout == "42\n", told.stderr


@pytest.mark.slow
def test_what_worked_is_not_lost_on_a_second_setup_that_fails(shop: Shop) -> None:
    """A failed update says so; the folder never claims to be ready when it is not."""
    assert run(shop.begin()).state == "ready"
    shop.needs("tinypart>=1", "missingpart>=2")
    assert shop.state() == "outdated"
    progress = run(shop.begin())
    assert progress.state == "failed"
    assert isinstance(progress.error, WorkerNotInstalled)
    assert "choose Python 3.11" in progress.error.sentence
    assert "missingpart" in progress.error.detail
    assert shop.state() == "incomplete"
    shop.sells("missingpart", "")
    shop.needs("tinypart>=1", "missingpart>=1")
    assert run(shop.begin()).state == "ready"


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_found(shop: Shop) -> None:
    shop.sells("tinypart", "raise OSError('a driver is missing')\n")
    progress = run(shop.begin())
    assert progress.state == "failed"
    assert progress.error is not None
    assert "tinypart" in progress.error.sentence
    assert "a driver is missing" in progress.error.detail
    assert shop.state() == "incomplete"


def test_the_check_names_what_does_not_work() -> None:
    command = [sys.executable, "-I", "-B", "-c", CHECK, "pyzmq", "no-such_package"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    found = findings(told.stdout)
    assert list(found["problems"]) == ["no-such_package"]
    assert found["version"].startswith("3.")


slow = pytest.mark.slow


@posix
@pytest.mark.parametrize(
    "phase",
    ["python", "environment", pytest.param("packages", marks=slow), pytest.param("check", marks=slow)],
)
def test_cancel_in_every_phase_and_go_on_later(shop: Shop, phase: str) -> None:
    setup = shop.begin()
    until(setup, lambda progress: progress.phase == phase)
    setup.cancel()
    progress = run(setup)
    assert progress.state == "cancelled"
    assert shop.state() == "incomplete"
    assert not locked(shop.worker)
    if phase == "check":
        assert run(shop.begin()).state == "ready"


HOST = """
import sys, threading
from pathlib import Path
from footfall.addon.setup.making import WorkerSetup
worker, root, wheels, phase = sys.argv[1:]
setup = WorkerSetup(Path(worker), Path(root), online=False, base=Path(sys.executable),
                    pip_arguments=("--no-index", "--find-links", wheels))
while setup.poll().phase != phase:
    threading.Event().wait(0.002)
print("there", setup._child.pid, flush=True)
sys.stdin.read()
"""


@posix
@pytest.mark.parametrize(
    "phase", [pytest.param("environment", marks=slow), "packages", pytest.param("check", marks=slow)]
)
def test_a_killed_host_leaves_a_folder_that_can_be_set_up_again(shop: Shop, phase: str) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(shop.worker), str(shop.root), str(shop.wheels), phase],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    assert host.stdin is not None
    there, pid = host.stdout.readline().split()
    assert there == "there"
    host.kill()
    host.wait()
    host.stdin.close()
    host.stdout.close()
    # The step that was running may go on by itself; it keeps the lock, so nobody installs beside it.
    end = time.monotonic() + DEADLINE_S
    while locked(shop.worker):
        assert time.monotonic() < end
        with pytest.raises(BadInput, match="already"):
            shop.begin()
        os.kill(int(pid), signal.SIGKILL)
        threading.Event().wait(0.05)
    assert shop.state() == "incomplete"
    assert run(shop.begin()).state == "ready"


def test_without_the_internet_it_says_so(shop: Shop) -> None:
    with pytest.raises(BadInput, match="Allow Online Access"):
        WorkerSetup(shop.worker, shop.root, online=False)
    assert not shop.worker.exists()


def test_two_do_not_install_at_once(shop: Shop) -> None:
    first = shop.begin()
    with pytest.raises(BadInput, match="being set up already"):
        shop.begin()
    first.close()
    assert first.poll().state == "cancelled"
    second = shop.begin()
    second.close()


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


def test_a_folder_that_cannot_be_made(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shop.worker = tmp_path / "file" / "worker"
    with pytest.raises(SaveError):
        shop.begin()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(shop: Shop, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    shop.worker = closed / "worker"
    with pytest.raises(SaveError, match="may not write"):
        shop.begin()


def test_too_little_space_is_said_before_anything_is_loaded(shop: Shop) -> None:
    with pytest.raises(SaveError, match="free space"):
        shop.begin(space_bytes=2**62)
    assert not locked(shop.worker)
    shop.begin().close()


@posix
def test_a_disk_that_fills_up_meanwhile(shop: Shop, tmp_path: Path) -> None:
    """The base Python's venv fails as on a full disk."""
    base = tmp_path / "python"
    base.write_text(
        f"#!{sys.executable}\nimport os, sys\nif 'venv' in sys.argv:\n"
        f"    sys.exit('OSError: [Errno {errno.ENOSPC}] No space left on device')\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
    )
    base.chmod(0o755)
    progress = run(shop.begin(base))
    assert progress.state == "failed"
    assert progress.error is not None
    assert "disk is full" in progress.error.sentence
