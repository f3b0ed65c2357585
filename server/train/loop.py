# SPDX-License-Identifier: GPL-3.0-or-later
"""The one training loop: it feeds a task's players, logs, saves and goes on to the bit where it stopped.

What a step computes depends on nothing but the weights, the seed and the step's number, so a training that
was killed gives the same weights as one that was not. Under ``accelerate launch`` or ``torchrun`` each
process takes its slice of every batch (``Team.slice``) and the first one writes. Losses stay on the device
until they are logged: in the first steps each time, later every ``LOG_EVERY`` steps.

A state is saved only after every loss and gradient before it was seen to be a number.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...addon.wire.errors import BadInput, Cancelled
from ..models.device import memory_guard, pick_device
from . import checkpoints
from .checkpoints import State, full_disk
from .ema import swapped
from .interrupts import interrupts
from .journal import Journal
from .ledger import Diverged, Ledger
from .precision import pick_precision
from .seats import Batch, Player, Seat, Team

__all__ = ["Batch", "Diverged", "Player", "Progress", "Summary", "Task", "train", "write_part"]

LOG_EVERY = 10
STATE = "state"
PART = "part"


class Task(Protocol):
    """What to train. ``config()`` is JSON; a state of another one is refused. Its "seed" counts, if any.

    ``batch(step)``: tensors on the CPU with the batch first (scalars go to all processes), a pure function of
    seed and step; it may be called in another thread, and never twice at a time. ``write_part(folder)`` finds
    the players' averaged weights in their modules, in eval mode; what it does to them is undone afterwards.
    """

    name: str
    players: tuple[Player, ...]

    def config(self) -> dict[str, Any]: ...

    def batch(self, step: int) -> Batch: ...

    def write_part(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Told after each step. ``losses``: as logged last. ``seconds_left``: None until it can be told."""

    name: str
    step: int
    steps: int
    seconds_left: float | None
    losses: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """``done``: all steps are made and the part is written. ``seconds``: of training, all runs together."""

    name: str
    step: int
    steps: int
    done: bool
    seconds: float
    device: str
    precision: str
    losses: Mapping[str, float | None]


def train(
    task: Task,
    folder: Path,
    *,
    steps: int,
    device: str = "auto",
    precision: str = "auto",
    save_every_s: float = 120.0,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Summary:
    """Trains until ``steps`` steps are made in all, from where ``folder`` stands, and writes ``folder``/part.

    ``stop``: asked after each step; true saves and returns with ``done`` false. Ctrl-C and SIGTERM save and
    raise Cancelled, a second Ctrl-C does not wait. Raises Diverged, ModelRefused (a state of another
    configuration, or damaged), SaveError (a full disk), OutOfMemory; each leaves the last state whole.
    """
    if steps < 0:
        raise BadInput("The number of steps must not be negative.")
    team, chosen = _team(device)
    run = _Run(task, folder, steps, chosen, pick_precision(chosen, precision), team)
    devices = [chosen] if chosen.type == "cuda" else []
    with torch.random.fork_rng(devices), memory_guard(chosen, f"training {task.name}"):
        run.resume()
        with contextlib.ExitStack() as stack:
            journal = Journal(folder, run.step) if run.writes else None
            if journal is not None:
                stack.callback(journal.close)
            run.go(journal, save_every_s, progress, stop)
        if run.done and run.writes:
            run.write_part()
    run.meet()
    return run.summary()


def write_part(task: Task, folder: Path) -> int:
    """Writes ``folder``/part from the state saved last, done or not. Returns its step.

    Raises BadInput if nothing has been saved yet.
    """
    if not checkpoints.exists(folder / STATE):
        raise BadInput(f"There is no training in {folder} yet; run footfall train {task.name} first.")
    run = _Run(task, folder, 0, torch.device("cpu"), torch.float32, Team())
    run.resume()
    run.write_part()
    return run.step


def _team(device: str) -> tuple[Team, torch.device]:
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team(), pick_device(device)
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu")
    return Team(state.num_processes, state.process_index), state.device


class _Run:
    """A training from where its folder stands to where it is to go."""

    def __init__(
        self, task: Task, folder: Path, steps: int, device: torch.device, dtype: torch.dtype, team: Team
    ) -> None:
        self.step, self.writes = 0, team.rank == 0
        self._task, self._folder, self._steps = task, folder, steps
        self._device, self._dtype, self._team = device, dtype, team
        names = [player.name for player in task.players]
        self._config = task.config() | {"task": task.name, "players": names}
        self._seed = int(self._config.get("seed", 0))
        self._seats = [Seat(player, device, dtype, team) for player in task.players]
        strict = {f"{n}/loss" for n in names} | {f"{s.player.name}/gradient" for s in self._seats if s.strict}
        self._ledger = Ledger(frozenset(strict))
        self._seconds = 0.0  # of earlier runs
        self._began, self._first, self._saved = time.monotonic(), 0, -1

    @property
    def done(self) -> bool:
        return self.step >= self._steps

    def resume(self) -> None:
        """Takes up the state in the folder, if there is one."""
        if checkpoints.exists(self._folder / STATE):
            state = checkpoints.load(self._folder / STATE)
            checkpoints.check_config(state, self._config, self._folder)
            for seat in self._seats:
                seat.load(state.tensors, state.facts["players"].get(seat.player.name, {}))
            self.step = self._saved = state.facts["step"]
            self._seconds = float(state.facts["seconds"])
            self._ledger.settled = list(state.facts["pending"])
            self._ledger.last = dict(state.facts["losses"])
        for seat in self._seats:
            seat.share_state(buffers_only=False)
        self._began, self._first = time.monotonic(), self.step

    def go(
        self,
        journal: Journal | None,
        save_every_s: float,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        """All steps that are left. Raises Cancelled after Ctrl-C, with the state saved."""
        due = time.monotonic() + save_every_s
        with interrupts() as interrupted, self._feed() as feed:
            while not self.done:
                self._one(feed())
                if self._is_logged(self.step):
                    self._log(journal)
                if progress is not None and self.writes:
                    progress(self._progress())
                halt = interrupted() or (stop is not None and stop())
                halt, save = self._agree(halt, time.monotonic() >= due)
                if halt or save:
                    self.save()
                    due = time.monotonic() + save_every_s
                if halt and interrupted():
                    raise Cancelled(
                        f"Stopped after step {self.step} of {self._steps}; run it again to go on."
                    )
                if halt:
                    return
            self.save()

    def _one(self, whole: Batch) -> None:
        mine, share = self._team.slice(whole)
        batch = {key: tensor.to(self._device, non_blocking=True) for key, tensor in mine.items()}
        rows: dict[str, Tensor] = {}
        for seat in self._seats:
            for other in self._seats:
                other.play(False)
            seat.play(True)
            rows |= seat.turn(batch, share, self.step, self._seed)
        for seat in self._seats:
            seat.play(True)
            seat.share_state(buffers_only=True)
        self.step += 1
        self._ledger.fresh.append((self.step, rows))

    @contextlib.contextmanager
    def _feed(self) -> Iterator[Callable[[], Batch]]:
        """Batches in order. For a GPU the next one is made while it computes; a CPU has no time to spare.

        Whatever goes wrong in making one, the steps before are saved.
        """
        ahead = ThreadPoolExecutor(1) if self._device.type != "cpu" else None
        waiting: Future[Batch] | None = None

        def take() -> Batch:
            nonlocal waiting
            try:
                if ahead is None:
                    return self._task.batch(self.step)
                batch = (waiting or ahead.submit(self._task.batch, self.step)).result()
                more = self.step + 1 < self._steps
                waiting = ahead.submit(self._task.batch, self.step + 1) if more else None
                return batch
            except BaseException:
                if self._team.count == 1:
                    self.save()
                raise

        try:
            yield take
        finally:
            if ahead is not None:
                ahead.shutdown(wait=True, cancel_futures=True)

    def _agree(self, halt: bool, save: bool) -> tuple[bool, bool]:
        """What all processes do: one that is told to stop stops all, and the first one's clock decides."""
        if self._team.count == 1:
            return halt, save
        if not self._is_logged(self.step):
            return False, False
        from accelerate.utils import reduce

        wishes = torch.tensor([float(halt), float(save and self.writes)], device=self._device)
        return tuple(wish > 0 for wish in reduce(wishes, "sum").tolist())  # type: ignore[return-value]

    @staticmethod
    def _is_logged(step: int) -> bool:
        return step <= LOG_EVERY or step % LOG_EVERY == 0

    def _log(self, journal: Journal | None) -> None:
        self._ledger.settle(self._task.name, self._team)
        row = {"step": self.step, "seconds": round(self._elapsed(), 3), **self._ledger.means()}
        if journal is not None:
            journal.add(row)

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._began

    def _progress(self) -> Progress:
        made = self.step - self._first
        each = (time.monotonic() - self._began) / made if made else None
        return Progress(
            name=self._task.name,
            step=self.step,
            steps=self._steps,
            seconds_left=None if each is None else each * (self._steps - self.step),
            losses=self._ledger.last,
        )

    def save(self) -> None:
        """Saves the state, unless this very step is saved already. Raises Diverged instead of a bad one."""
        self._ledger.settle(self._task.name, self._team)
        if not self.writes or self.step == self._saved:
            return
        facts = {
            "step": self.step,
            "config": self._config,
            "seconds": self._elapsed(),
            "players": {seat.player.name: seat.facts() for seat in self._seats},
            "pending": self._ledger.settled,
            "losses": self._ledger.last,
        }
        tensors = {name: tensor for seat in self._seats for name, tensor in seat.tensors().items()}
        checkpoints.save(self._folder / STATE, State(facts=facts, tensors=tensors))
        self._saved = self.step

    def write_part(self) -> None:
        """The finished part takes the place of the one before."""
        target, new, old = (self._folder / name for name in (PART, f"{PART}.new", f"{PART}.old"))
        try:
            for leftover in (new, old):
                shutil.rmtree(leftover, ignore_errors=True)
            new.mkdir(parents=True)
            with contextlib.ExitStack() as stack, torch.no_grad():
                for seat in self._seats:
                    stack.enter_context(swapped(seat.player.module, seat.average))
                self._task.write_part(new)
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise full_disk(target, error, "The training's state is whole.") from error

    def meet(self) -> None:
        """Waits for all processes."""
        if self._team.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def summary(self) -> Summary:
        return Summary(
            name=self._task.name,
            step=self.step,
            steps=self._steps,
            done=self.done,
            seconds=self._elapsed(),
            device=self._device.type,
            precision=str(self._dtype).removeprefix("torch."),
            losses=dict(self._ledger.last),
        )
