# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on and worker in one thread, on a clock that only moves when told, over a wire that can fail.

Real are the conductor with all behind it, the worker's session, codec and signatures. Made up are the
process, the engine (a job takes a number of ticks) and the wire, which drops, doubles or delays messages as
asked. Tests only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from footfall.addon.wire import auth, codec
from footfall.addon.wire.errors import Forged
from footfall.addon.wire.handshake import WorkerAddress, WorkerSettings
from footfall.addon.wire.messages import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Clip,
    Failed,
    FoleyRequest,
    Message,
    Progress,
    Result,
)
from footfall.addon.worker.conductor import Conductor
from footfall.addon.worker.reports import EventQueue, Report, WorkerStatus
from footfall.addon.worker.supervisor import Patience
from footfall.server.worker.engine import Description
from footfall.server.worker.session import Session
from footfall.tests.fakes.stories import MODEL

TICK_S = 0.05
Frames = list[Any]
# Given direction, number of the message in that direction and its type: after how many seconds copies arrive.
Fault = Callable[[str, int, str], Sequence[float]]


def no_fault(direction: str, number: int, kind: str) -> Sequence[float]:
    return (0.0,)


def request(seed: int = 0, **fields: Any) -> FoleyRequest:
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    times = np.arange(2) / 4
    given: dict[str, Any] = {"duration_s": Fraction(1, 2), "rate_hz": 8_000, "seed": seed}
    return FoleyRequest(frames=pictures, times_s=times, **(given | fields))


def answer(job_id: str, asked: FoleyRequest, **changes: Any) -> Result:
    """A good result of ``asked``; ``changes`` to its first clip."""
    fields: dict[str, Any] = {"rate_hz": asked.rate_hz, "start_s": Fraction(0), "layer": "bed"}
    samples = round(asked.duration_s * asked.rate_hz)
    noise = np.random.default_rng(asked.seed).uniform(-0.5, 0.5, (samples, 1)).astype("<f4")
    clips = tuple(Clip(**({"take": n, "waveform": noise} | fields | changes)) for n in range(asked.takes))
    return Result(job_id=job_id, clips=clips, provenance=MODEL)


@dataclass
class TickEngine:
    """Stands in for the engine: a job takes ``ticks`` ticks. ``runs`` counts how often each job was begun."""

    ticks: int = 4
    runs: dict[str, int] = field(default_factory=dict)
    queue: list[tuple[str, FoleyRequest]] = field(default_factory=list)
    posts: list[Message] = field(default_factory=list)
    make: Callable[[str, FoleyRequest], Message] = answer
    stuck: bool = False  # the model hangs: nothing moves, nothing can be stopped
    deaf: bool = False  # it works on, but never looks at the cancel token
    steps_done: int = 0
    device_bytes: int = 0
    description: Description | None = field(default_factory=lambda: Description(device="CPU", bundles=()))
    _left: int = 0
    _cancelled: bool = False

    def submit(self, job_id: str, request: FoleyRequest) -> None:
        self.runs[job_id] = self.runs.get(job_id, 0) + 1
        self.queue.append((job_id, request))
        if len(self.queue) == 1:
            self._left = self.ticks

    def has(self, job_id: str) -> bool:
        return any(job_id == queued for queued, _ in self.queue)

    def cancel(self, job_id: str) -> bool:
        if self.has(job_id):
            self._cancelled = True
            return True
        return False

    def describe(self) -> None:
        return

    @property
    def state(self) -> str:
        return "busy" if self.queue else "idle"

    def tick(self) -> None:
        if not self.queue or self.stuck:
            return
        job_id, asked = self.queue[0]
        self.steps_done += 1
        self._left -= 1
        if self._cancelled and not self.deaf:
            self._end(Failed(job_id=job_id, code="cancelled", sentence="Cancelled."))
        elif self._left <= 0 and not self.deaf:
            self._end(self.make(job_id, asked))
        else:
            done = max(0.0, 1 - self._left / self.ticks) * 0.9
            self.posts.append(Progress(job_id=job_id, phase="sampling", fraction=min(done, 0.99)))

    def _end(self, ending: Message) -> None:
        self.posts.append(ending)
        self.queue.pop(0)
        self._left, self._cancelled = self.ticks, False

    def take_all(self) -> list[Message]:
        taken, self.posts = self.posts, []
        return taken


class Worker:
    """One run of the worker: its process, its session, and its end of the wire."""

    def __init__(self, rig: Rig, number: int) -> None:
        self.rig = rig
        self.settings = WorkerSettings(
            key=f"{number:064x}", parent_pid=1, models_dir="", log_dir=str(rig.log_dir)
        )
        self.pid = 1_000 + number
        self.hint, self.ready_s = "try again", float("inf")
        self.ending = False
        self.shown = True  # has said its address
        self.code: int | None = None
        self.closed = False
        self.rungs: list[str] = []
        key = auth.key_bytes(self.settings.key)
        run = auth.run_nonce(key)
        self.verifier = auth.Verifier(key, run, "to_worker")
        self.seal = auth.Seal(key, run, "to_addon")
        self.engine = rig.make_engine()
        self.session = Session(self.engine, version="1", memory_bytes=lambda: 0, posts=self.engine.take_all)
        self.forged = 0

    # As the supervisor sees the process

    def read_address(self) -> WorkerAddress | None:
        if not self.shown:
            return None
        return WorkerAddress(
            endpoint="tcp://127.0.0.1:1",
            pid=self.pid,
            major=PROTOCOL_MAJOR,
            minor=PROTOCOL_MINOR,
            version="1",
        )

    def poll(self, now: float) -> int | None:
        return self.code

    def exit_reason(self) -> str:
        return f"The worker ended with {self.code}."

    def said(self) -> str:
        return ""

    def ask_to_end(self, now: float) -> None:
        self.ending = True

    def step_ladder(self, now: float, *, patience: float = 1.0) -> None:
        self.rungs.append("kill" if patience == 0 else "ask")
        if patience == 0:
            self.code = -9

    def close(self) -> None:
        self.closed = True

    # As the wire sees it

    def turn(self) -> None:
        if self.code is not None:
            return
        self.engine.tick()
        self.session.catch_up()
        for frames in self.rig.wire.arrived("to_worker", self):
            try:
                opened = self.verifier.open(frames)
            except Forged:
                self.forged += 1
                continue
            self.session.handle(codec.decode(opened))
        self.session.tick()
        while len(self.session.outbox):
            message = self.session.outbox.take()
            frames = self.seal.sign(codec.encode(message))
            self.rig.wire.send("to_addon", self, frames, type(message).__name__)
        if self.session.ended:
            self.code = 0


class FaultyWire:
    """Whole messages on their way, each for one run of the worker."""

    def __init__(self, clock: Callable[[], float], fault: Fault) -> None:
        self.clock = clock
        self.fault = fault
        self.sent: list[tuple[str, str]] = []
        self._numbers = {"to_worker": itertools.count(), "to_addon": itertools.count()}
        self._order = itertools.count()
        self._way: list[tuple[float, int, str, Worker, Frames]] = []

    def send(self, direction: str, worker: Worker, frames: Sequence[Any], kind: str) -> None:
        number = next(self._numbers[direction])
        self.sent.append((direction, kind))
        # Through a socket nothing keeps its address.
        copies = [bytes(frame) for frame in frames]
        for delay in self.fault(direction, number, kind):
            self._way.append((self.clock() + delay, next(self._order), direction, worker, copies))

    def arrived(self, direction: str, worker: Worker) -> list[Frames]:
        now = self.clock()
        here = [m for m in self._way if m[2] == direction and m[3] is worker and m[0] <= now]
        self._way = [message for message in self._way if message not in here]
        return [message[4] for message in sorted(here, key=lambda message: message[:2])]


class AddonEnd:
    """The add-on's end of one run, in place of a Link."""

    def __init__(self, rig: Rig, worker: Worker) -> None:
        self._rig = rig
        self._worker = worker
        key = auth.key_bytes(worker.settings.key)
        run = auth.run_nonce(key)
        self._seal = auth.Seal(key, run, "to_worker")
        self._verifier = auth.Verifier(key, run, "to_addon")
        self._inbox: list[Frames] = []
        self.closed = False

    def send(self, message: Message) -> bool:
        frames = self._seal.sign(codec.encode(message))
        self._rig.wire.send("to_worker", self._worker, frames, type(message).__name__)
        return True

    def receive(self) -> Message | None:
        self._inbox += self._rig.wire.arrived("to_addon", self._worker)
        while self._inbox:
            try:
                return codec.decode(self._verifier.open(self._inbox.pop(0)))
            except Forged:
                self._rig.forged += 1
        return None

    def close(self) -> None:
        self.closed = True


class Rig:
    """Both ends. ``run`` lets time pass; ``events`` holds everything that the owner was told."""

    def __init__(
        self,
        clock: Any,
        *,
        fault: Fault = no_fault,
        engine: Callable[[], TickEngine] = TickEngine,
        log_dir: Any = "nowhere",
        **options: Any,
    ) -> None:
        self.clock = clock
        self.wire = FaultyWire(clock, fault)
        self.make_engine = engine
        self.log_dir = log_dir
        self.workers: list[Worker] = []
        self.forged = 0
        self.queue = EventQueue()
        self.events: list[Report] = []
        self.before_spawn: Callable[[Worker], None] = lambda worker: None
        options.setdefault("patience", Patience())
        self.conductor = Conductor(self._spawn, self._connect, self.queue, version="1", **options)

    def _spawn(self) -> Worker:
        worker = Worker(self, len(self.workers) + 1)
        self.workers.append(worker)
        self.before_spawn(worker)
        return worker

    def _connect(self, address: WorkerAddress, settings: WorkerSettings) -> AddonEnd:
        return AddonEnd(self, self.workers[-1])

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    def submit(self, job_id: str, asked: FoleyRequest | None = None) -> None:
        self.conductor.jobs.submit(job_id, asked or request())

    def cancel(self, job_id: str) -> None:
        self.conductor.jobs.cancel(job_id, self.clock())

    def step(self, *, drain: bool = True) -> None:
        """One tick of both ends."""
        self.conductor.step(self.clock())
        if self.workers:
            self.worker.turn()
        if drain:
            self.events += self.queue.take()
        self.clock.advance(TICK_S)

    def run(self, seconds: float, *, drain: bool = True) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.step(drain=drain)

    def until(self, enough: Callable[[], Any], within_s: float = 60.0) -> Any:
        """Let time pass until ``enough()``; AssertionError after ``within_s`` seconds of that clock."""
        end = self.clock() + within_s
        while not (value := enough()):
            assert self.clock() < end, f"not within {within_s} s: {self.events}"
            self.step()
        return value

    def of(self, kind: Any, job_id: str | None = None) -> list[Any]:
        """All events of a kind, of one job if named."""
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if job_id is None or event.job_id == job_id]

    def states(self) -> list[str]:
        """The worker's states in order, each told once."""
        found = [event.state for event in self.of(WorkerStatus)]
        return [state for index, state in enumerate(found) if index == 0 or state != found[index - 1]]

    def ends(self, job_id: str) -> list[Any]:
        """How a job ended; more than one entry would be a mistake."""
        from footfall.addon.worker.reports import Delivered

        return self.of((Result, Delivered, Failed), job_id)

    def runs(self, job_id: str) -> int:
        """How often any engine began that job."""
        return sum(worker.engine.runs.get(job_id, 0) for worker in self.workers)
