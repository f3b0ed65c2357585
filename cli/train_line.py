# SPDX-License-Identifier: GPL-3.0-or-later
"""How a training tells how far it is: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

LINE_EVERY_S = 10.0
DRAW_EVERY_S = 0.1


def duration(seconds: float | None) -> str:
    """ "2 h 05 min", "3 min 20 s" or "8 s"; "?" as long as nobody knows."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def loss_words(losses: Mapping[str, float | None], most: int = 3) -> str:
    """A few losses; norms of gradients are left to the log."""
    shown = [(name, value) for name, value in losses.items() if not name.endswith("/gradient")]
    shown.sort(key=lambda item: not item[0].endswith("/loss"))  # what is minimised comes first
    return ", ".join(f"{name} {'?' if value is None else f'{value:.4g}'}" for name, value in shown[:most])


class TrainLine:
    """``with TrainLine(quiet) as line: line.show("vae", 20, 2000, 90.0, "loss 0.3")``. Warnings go above it.

    ``quiet``: nothing but warnings.
    """

    def __init__(self, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(stderr=True)
        self._quiet, self._clock = quiet, clock
        self._told: tuple[str, float] = ("", 0.0)
        self._bar: Progress | None = None
        if self._console.is_terminal and not quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TextColumn("{task.fields[words]}"),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._row = self._bar.add_task("starting", total=1, words="")
        self._handler = _Above(self._above)

    def __enter__(self) -> TrainLine:
        _train_logger().addHandler(self._handler)
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _train_logger().removeHandler(self._handler)
        if self._bar is not None:
            self._bar.stop()

    def show(self, name: str, done: int, total: int, seconds_left: float | None, words: str = "") -> None:
        """``done`` of ``total`` of what ``name`` says; called as often as one likes."""
        now = self._clock()
        every = LINE_EVERY_S if self._bar is None else DRAW_EVERY_S
        if self._quiet or (self._told[0] == name and now - self._told[1] < every and done < total):
            return
        self._told = (name, now)
        said = f"{duration(seconds_left)} left"
        said += f", {words}" if words else ""
        if self._bar is not None:
            self._bar.update(self._row, description=name, completed=done, total=total, words=said)
        else:
            print(f"{name} {done}/{total}, {said}", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """One line that stays."""
        if not self._quiet:
            self._above(sentence)

    def _above(self, sentence: str) -> None:
        if self._bar is not None:
            self._console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=sys.stderr, flush=True)


class _Above(logging.Handler):
    """What the training warns of, such as a damaged file that is left out."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


def _train_logger() -> logging.Logger:
    return logging.getLogger(f"{__name__.rsplit('.cli.', 1)[0]}.server.train")
