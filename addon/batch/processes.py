# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the process that claimed a shot still run? Ids are given again, so its birth is asked for as well."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_MAY_ASK, _NO_SUCH, _RUNNING = 0x1000, 87, 259  # Windows' own numbers


def born(pid: int) -> str:
    """A text that tells a process from a later one with the same id, also across a restart of the computer;
    empty where the system does not tell.
    """
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        ticks = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot}/{ticks}"


def alive(pid: int, birth: str) -> bool:
    """Whether a process of this computer may still run. In doubt it does: then its lease has to run out."""
    if sys.platform == "win32":  # os.kill would end it there
        return _runs_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not birth or born(pid) == birth


def _runs_on_windows(pid: int) -> bool:
    if sys.platform != "win32":
        return True
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(_MAY_ASK, False, pid)
    if not handle:
        return ctypes.get_last_error() != _NO_SUCH
    code = ctypes.c_ulong(_RUNNING)
    kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
    kernel.CloseHandle(ctypes.c_void_p(handle))
    return code.value == _RUNNING
