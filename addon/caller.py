# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the ``footfall`` command that started this Blender still waits; it may be killed any time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

ENV_CALLER = "FOOTFALL_CALLER"  # its process


class Caller:
    """Who started us, as it says itself; nobody where nobody says so, and on Windows."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, parent: Callable[[], int] = os.getppid
    ) -> None:
        named = environment.get(ENV_CALLER, "")
        self._pid = int(named) if os.name == "posix" and named.isdecimal() and len(named) < 10 else 0
        self._parent = parent
        self._direct = parent() == self._pid  # otherwise a launcher's script stands between us

    def gone(self) -> bool:
        """Only equality counts: orphans are adopted by more processes than number 1."""
        if not self._pid:
            return False
        if self._direct:
            return self._parent() != self._pid
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is there, and somebody else's
            return False
        return False
