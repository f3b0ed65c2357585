# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress on stderr: a bar with time left on a terminal, plain lines elsewhere, nothing when asked to be
quiet.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 5.0


class ProgressLine:
    """``with ProgressLine(quiet) as line: line.show("sampling", 0.4)``; fractions of the whole, 0..1."""

    def __init__(self, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        self._quiet = quiet
        self._last_line = -LINE_EVERY_S
        self._words = ""
        if console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description:12}", markup=False),  # names of shots may hold brackets
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> ProgressLine:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, words: str, fraction: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=words, completed=fraction)
        elif not self._quiet:
            self._line(words, fraction)

    def _line(self, words: str, fraction: float) -> None:
        now = time.monotonic()
        if words == self._words and now - self._last_line < LINE_EVERY_S:
            return
        self._words, self._last_line = words, now
        print(f"{fraction:4.0%} {words}", file=sys.stderr, flush=True)
