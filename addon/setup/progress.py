# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip prints while it installs, turned into a fraction and into words; and its failures into sentences.

pip tells neither how many packages there will be nor how large they are, so the fraction nears its end
without knowing it; it never runs backwards, and reaches 1 only when pip says that it is done.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..wire.texts import scrub

_USUAL_PACKAGES = 60  # what a usual installation loads: about so many packages, and so many megabytes
_USUAL_MB = 1_500.0
_FETCHED = 0.85  # share of loading; the rest is unpacking
_MB = {"kB": 1e-3, "MB": 1.0, "GB": 1e3, "bytes": 1e-6}

_COLLECTING = re.compile(r"Collecting (\S+)")
_WHEEL = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (\S+?)"
    r"(?: \(([\d.]+) (kB|MB|GB|bytes)\))?(?: \(from .*)?\s*$"
)
_RAW = re.compile(r"Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"Installing collected packages: (.*)")


@dataclass(slots=True)
class PipProgress:
    """Feed it every line; ``fraction`` (0..1) and ``words`` say how far it is."""

    fraction: float = 0.0
    words: str = ""
    _packages: float = 0.0
    _megabytes: float = 0.0
    _current: float = 0.0  # megabytes of the file that is being loaded

    def feed(self, line: str) -> None:
        if raw := _RAW.search(line):
            done, size = int(raw[1]), max(1, int(raw[2]))
            self._move(self._current * min(1.0, done / size))
            return
        if wheel := _WHEEL.match(line):
            self._wheel(wheel)
        elif collecting := _COLLECTING.match(line):
            self.words = f"Looking for {scrub(collecting[1], 80)}"
        elif installing := _INSTALLING.match(line):
            count = len(installing[1].split(","))
            self.fraction = max(self.fraction, _FETCHED)
            self.words = f"Unpacking {count} packages; this can take some minutes"
        elif line.startswith("Successfully installed"):
            self.fraction = 1.0

    def _wheel(self, wheel: re.Match[str]) -> None:
        name = wheel[1].replace("\\", "/").rsplit("/", 1)[-1]
        if name.endswith(".metadata"):
            return
        self._packages += 1
        self._megabytes += self._current
        self._current = float(wheel[2]) * _MB[wheel[3]] if wheel[2] else 0.0
        package = scrub(name.split("-")[0], 80)
        size = f" ({self._current:.0f} MB)" if self._current >= 1 else ""
        self.words = f"Loading {package}{size}"
        self._move(0.0)

    def _move(self, megabytes: float) -> None:
        usual = self._packages / _USUAL_PACKAGES + (self._megabytes + megabytes) / _USUAL_MB
        self.fraction = max(self.fraction, _FETCHED * (1 - math.exp(-usual)))


_FAILURES = (
    (
        r"No space left on device|\[Errno 28\]|not enough space on the disk|\[Errno 122\]|Disk quota",
        "The disk is full; make room or choose another worker folder, then click Set Up Worker again.",
    ),
    (
        r"Read-only file system|Permission denied|\[Errno 13\]|\[Errno 30\]|\[WinError 5\]|Access is denied",
        "Footfall may not write into the worker folder; choose another one in the preferences.",
    ),
    (
        r"name resolution|Name or service not known|getaddrinfo failed|NewConnectionError|Max retries"
        r"|Connection (?:refused|reset|aborted)|timed out|ProxyError|SSLError|Network is unreachable",
        "The packages could not be loaded; check the internet connection, then click Set Up Worker again.",
    ),
    (
        r"No matching distribution found|Could not find a version|is not a supported wheel",
        "A package that the worker needs does not exist for this Python; choose Python 3.11, 3.12 or 3.13 in "
        "the preferences.",
    ),
    (
        r"No module named '?ensurepip|ensurepip is not|No module named '?venv",
        "This Python cannot make environments; install its venv package or choose another Python.",
    ),
)


def failure_sentence(output: str) -> str:
    """What to tell an artist about a step that failed with ``output``."""
    for pattern, sentence in _FAILURES:
        if re.search(pattern, output):
            return sentence
    return "Setting up the worker did not work; copy the details, then click Set Up Worker to try again."
