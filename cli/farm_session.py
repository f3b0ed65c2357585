# SPDX-License-Identifier: GPL-3.0-or-later
"""One warm worker for all tasks of a farm session: ``open`` starts it, tasks reach it, ``close`` ends it.

The worker is one "for other computers" that listens on loopback, behind keys made for this session; its
keeper is a process of its own that lives as long as the session's keys and the program that opened it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from ..addon.folders import log_folder
from ..addon.wire.errors import BadInput, WorkerFailedToStart
from ..addon.worker.remote import RemoteLaunch, remote_launch
from . import remote
from .worker import make_keys

KEYS, ADDRESS, SAID = "keys", "address", "keeper.log"
OPEN_S = 300.0
CLOSE_S = 20.0
LOOK_S = 0.1


def open_session(folder: Path, models: Path | None) -> str:
    """Start the keeper and wait until its worker listens; the address.

    Raises BadInput, WorkerFailedToStart.
    """
    make_keys(folder / KEYS)
    (folder / ADDRESS).unlink(missing_ok=True)
    words = ["farm", "keep", str(folder), "--while-pid", str(os.getppid())]
    words += ["--models", str(models)] if models is not None else []
    with (folder / SAID).open("wb") as said:  # not our own output: who started us waits for that to close
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "footfall.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=os.name == "posix",
        )
    opened = False
    try:
        _wait_for_address(folder, keeper)
        opened = True
    finally:
        if not opened:  # also after Ctrl-C: the worker goes with its keeper, and open may be tried again
            keeper.kill()
            keeper.wait()
            shutil.rmtree(folder / KEYS, ignore_errors=True)
    return (folder / ADDRESS).read_text("utf-8")


def _wait_for_address(folder: Path, keeper: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + OPEN_S
    while not (folder / ADDRESS).is_file():
        if keeper.poll() is not None or time.monotonic() > until:
            raise WorkerFailedToStart(
                "The session's worker did not start; footfall doctor tells what is missing.",
                (folder / SAID).read_text(errors="replace")[-2_000:],
            )
        time.sleep(LOOK_S)


def keep(folder: Path, models: Path | None, while_pid: int) -> int:
    """The keeper: until the keys are taken away, or process ``while_pid`` is gone."""
    owner = psutil.Process(while_pid) if psutil.pid_exists(while_pid) else None

    def over() -> bool:
        return not (folder / KEYS).is_dir() or owner is None or not owner.is_running()

    def say(line: str) -> None:
        print(line, flush=True)
        if line.startswith("worker "):
            part = folder / f".{ADDRESS}.part"
            part.write_text(line.split()[2].strip(",").removeprefix("tcp://"), encoding="utf-8")
            os.replace(part, folder / ADDRESS)

    try:
        return remote.serve("tcp://127.0.0.1:*", folder / KEYS / "worker", models, say=say, over=over)
    finally:
        (folder / ADDRESS).unlink(missing_ok=True)


def close_session(folder: Path) -> None:
    """Take the keys away and wait until the worker is gone."""
    shutil.rmtree(folder / KEYS, ignore_errors=True)
    until = time.monotonic() + CLOSE_S
    while (folder / ADDRESS).is_file() and time.monotonic() < until:
        time.sleep(LOOK_S)


def session_launch(folder: Path) -> RemoteLaunch:
    """How a task reaches the session's worker. Raises BadInput when there is none."""
    try:
        address = (folder / ADDRESS).read_text("utf-8")
    except OSError as error:
        raise BadInput(
            f"No session is open in {folder}; footfall farm open starts one.", str(error)
        ) from error
    return remote_launch(address, folder / KEYS / "artist", log_folder())
