# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows only: a job object that ends the worker with its parent, and a look into a pipe without waiting.

The job object is a second belt beside the lifeline on stdin. It can be refused (a parent that is itself in a
job which forbids nesting); then the caller is told why, and goes on with the first belt alone.
"""

from __future__ import annotations

import ctypes
import sys

_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation


class _BasicLimits(ctypes.Structure):
    _fields_ = [
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    ]


class _ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    ]


class KillOnClose:
    """Holds the process ``handle`` in a job that dies with this object. ``problem``: why not, or empty."""

    def __init__(self, handle: int) -> None:
        self.problem = ""
        self._job = 0
        if sys.platform == "win32":
            self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            self._hold(handle)

    def _hold(self, handle: int) -> None:
        if sys.platform == "win32":
            self._kernel.CreateJobObjectW.restype = ctypes.c_void_p
            self._job = self._kernel.CreateJobObjectW(None, None) or 0
            limits = _ExtendedLimits()
            limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
            job = ctypes.c_void_p(self._job)
            if not (
                self._job
                and self._kernel.SetInformationJobObject(
                    job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
                )
                and self._kernel.AssignProcessToJobObject(job, ctypes.c_void_p(handle))
            ):
                error = ctypes.get_last_error()
                self.problem = f"job object: {ctypes.FormatError(error).strip()} ({error})"
                self.close()

    def end(self) -> None:
        """End every process in the job."""
        if sys.platform == "win32" and self._job:
            self._kernel.TerminateJobObject(ctypes.c_void_p(self._job), 1)

    def close(self) -> None:
        """Let go of the job; what still runs in it ends. Twice is harmless."""
        if sys.platform == "win32" and self._job:
            self._kernel.CloseHandle(ctypes.c_void_p(self._job))
            self._job = 0


def readable_bytes(descriptor: int) -> int:
    """Bytes that a read from the pipe gives at once. Raises OSError when the other end is gone."""
    if sys.platform != "win32":
        raise OSError("only on Windows")
    import msvcrt

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    count = ctypes.c_uint32(0)
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(descriptor))
    if not kernel.PeekNamedPipe(handle, None, 0, None, ctypes.byref(count), None):
        raise ctypes.WinError(ctypes.get_last_error())
    return int(count.value)
