# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker for real, with a tiny wheel made here and no network: every step, every interruption."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from footfall.addon.setup.environment import locked, look, read_state, requirements, worker_python
from footfall.addon.setup.making import SPACE_BYTES, SetupProgress, WorkerSetup
from footfall.addon.wire.errors import BadInput, SaveError, WorkerNotInstalled
from footfall.tests.fakes.worker_shop import DEADLINE_S, Shop, run, until

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell and signals")
slow = pytest.mark.slow


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
                    pip_arguments=("--no-index", "--find-links", wheels), space_bytes=0)
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


def test_too_little_space_is_said_before_anything_is_loaded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40 - 2**30, 2**30))
        with pytest.raises(SaveError, match=r"at least 2 GB of free space .* there are 1\.0;"):
            shop.begin(space_bytes=SPACE_BYTES)
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_disk_that_is_full_before_the_first_line_of_the_log(shop: Shop) -> None:
    shop.worker.mkdir()
    (shop.worker / "setup.log").symlink_to("/dev/full")
    setup = shop.begin()
    progress = setup.poll()
    assert progress.state == "failed"
    assert progress.error is not None
    assert "disk is full" in progress.error.sentence
    assert not locked(shop.worker)
