# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender as a child of the command line: it ends when we do, whatever stands between it and us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.cli import blender

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
DEAF = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint(os.getpid(), flush=True)"


def test_a_deaf_blender_behind_a_script_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell starts background jobs deaf to Ctrl-C, and a launcher's script passes nothing on."""
    monkeypatch.setattr(blender, "GRACE_S", 0.1)
    path = tmp_path / "pid"
    os.mkfifo(path)
    child = DEAF + "; signal.pause()"
    script = f'"{sys.executable}" -c "{child}" > "{path}"; true'

    def cancel() -> None:
        with path.open() as said:
            pids.append(int(said.readline()))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pids: list[int] = []
    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(Cancelled):
        blender.turn(["sh", "-c", script], stdout=subprocess.PIPE)
    canceller.join()
    gone, left = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=5)
    assert not left, gone
