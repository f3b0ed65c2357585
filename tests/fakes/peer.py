# SPDX-License-Identifier: GPL-3.0-or-later
"""A small raw host for one worker: spawns it, holds its lifeline, speaks DEALER and Seal. Tests only.

Not the add-on's client, so that what the worker does can be tested by itself, byte by byte where needed.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import psutil
import zmq
from footfall.addon.wire import auth, codec
from footfall.addon.wire.handshake import WorkerAddress, WorkerSettings, parse
from footfall.addon.wire.messages import (
    Accepted,
    Failed,
    FoleyRequest,
    Hello,
    Message,
    PictureRequest,
    Ping,
    Pong,
    Ready,
    Result,
    Shutdown,
    Submit,
)

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
DEADLINE_S = 30.0  # generous: reached only when something is broken
CLEAN = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}

M = TypeVar("M", bound=Message)


def new_job() -> str:
    return uuid.uuid4().hex


def request(prompt: str = "", *, seconds: Fraction | int = 1, frames: int = 4, **fields: Any) -> FoleyRequest:
    """A small picture request: ``frames`` grey frames of 8 x 8, the third one white."""
    pictures = np.full((frames, 8, 8, 3), 30, np.uint8)
    pictures[2:3] = 250
    times = np.arange(frames) * float(seconds) / max(frames, 1)
    return FoleyRequest(frames=pictures, times_s=times, duration_s=Fraction(seconds), prompt=prompt, **fields)


def picture_request(words: str = "a photo of a", *, parts: int = 2, **fields: Any) -> PictureRequest:
    """Pictures of a small sound: ``parts`` parts of a tenth of a second, each of another loudness."""
    rate_hz = 8_000
    loudness = np.repeat(np.arange(1, parts + 1, dtype=np.float32) / parts, rate_hz // 10)
    ends_s = tuple(Fraction(number + 1, 10) for number in range(parts))
    starts_s = tuple(Fraction(number, 10) for number in range(parts))
    return PictureRequest(
        waveform=loudness, rate_hz=rate_hz, starts_s=starts_s, ends_s=ends_s, words=words, **fields
    )


def wait_until(happens: Callable[[], Any], timeout_s: float = DEADLINE_S, what: str = "") -> Any:
    """The first true value of ``happens()``; AssertionError after the deadline."""
    pause = threading.Event()
    until = time.monotonic() + timeout_s
    while True:
        value = happens()
        if value:
            return value
        assert time.monotonic() < until, f"did not happen in {timeout_s} s: {what or happens}"
        pause.wait(0.002)


class WorkerProcess:
    """A worker, started as the add-on starts it; killed at the end whatever happens."""

    def __init__(
        self,
        log_dir: Path,
        *,
        script: Path = FAKE_WORKER,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
        greet: bool = True,
        wrapper: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        defaults: dict[str, Any] = {
            "key": auth.new_key(),
            "parent_pid": os.getpid(),
            "models_dir": str(log_dir),
            "log_dir": str(log_dir),
            "idle_s": 0.0,
        }
        self.settings = WorkerSettings(**(defaults | settings))
        self.log_dir = log_dir
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-I", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=CLEAN | (environment or {}),
            cwd=cwd,
            start_new_session=True,
            bufsize=0,
        )
        if greet:
            assert self.process.stdin is not None
            self.process.stdin.write(self.settings.line())

    def address(self, timeout_s: float = DEADLINE_S) -> WorkerAddress:
        """The line that the worker prints."""
        assert self.process.stdout is not None
        return parse(WorkerAddress, read_line(self.process.stdout.fileno(), timeout_s))

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    def errors(self) -> str:
        """What it wrote to stderr before its log was open. Only after its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def log(self) -> str:
        """All of its log."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.log_dir.glob("worker*.log")))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Peer:
    """A host in conversation with its worker. Every wait has a deadline."""

    def __init__(self, worker: WorkerProcess, *, receive_messages: int = 1000) -> None:
        self.worker = worker
        self.address = worker.address()
        key = auth.key_bytes(worker.settings.key)
        run = auth.run_nonce(key)
        self.seal = auth.Seal(key, run, "to_worker")
        self.verifier = auth.Verifier(key, run, "to_addon")
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, receive_messages)
        self.socket.plain_username = auth.DOOR_NAME.encode()
        self.socket.plain_password = auth.door_word(key).encode()
        self.socket.connect(self.address.endpoint)
        self.inbox: list[Message] = []  # everything received and not yet asked for

    @property
    def pid(self) -> int:
        return self.address.pid

    def send(self, message: Message) -> None:
        self.send_raw(self.seal.sign(codec.encode(message)))

    def send_raw(self, frames: Sequence[Any]) -> None:
        self.socket.send_multipart(frames)

    def receive(self, timeout_s: float = DEADLINE_S) -> Message:
        """The next message, in order."""
        if self.inbox:
            return self.inbox.pop(0)
        return self._read(timeout_s)

    def expect(self, kind: type[M], timeout_s: float = DEADLINE_S, **fields: Any) -> M:
        """The next message of ``kind`` with these fields; others stay in the inbox, in order."""

        def fits(message: Message) -> bool:
            return isinstance(message, kind) and all(getattr(message, n) == v for n, v in fields.items())

        for index, message in enumerate(self.inbox):
            if fits(message):
                del self.inbox[index]
                return message  # type: ignore[return-value]
        until = time.monotonic() + timeout_s
        while True:
            message = self._read(until - time.monotonic())
            if fits(message):
                return message  # type: ignore[return-value]
            self.inbox.append(message)

    def silent(self, within_s: float = 0.2) -> bool:
        """True if nothing arrives."""
        return not self.inbox and not self.socket.poll(int(within_s * 1000))

    def hello(self) -> Ready:
        self.send(Hello(version="test"))
        return self.expect(Ready)

    def submit(self, wanted: FoleyRequest, job_id: str | None = None) -> str:
        """Send a job and see it accepted; returns its number."""
        job_id = job_id or new_job()
        self.send(Submit(job_id=job_id, request=wanted))
        self.expect(Accepted, job_id=job_id)
        return job_id

    def ending(self, job_id: str, timeout_s: float = DEADLINE_S) -> Result | Failed:
        """How the job ends; its progress is dropped."""
        until = time.monotonic() + timeout_s
        while True:
            for index, message in enumerate(self.inbox):
                if isinstance(message, Result | Failed) and message.job_id == job_id:
                    del self.inbox[index]
                    return message
            self.inbox.append(self._read(until - time.monotonic()))

    def run(self, wanted: FoleyRequest, timeout_s: float = DEADLINE_S) -> Result | Failed:
        return self.ending(self.submit(wanted), timeout_s)

    def ping(self, number: int = 1) -> Pong:
        self.send(Ping(number=number))
        return self.expect(Pong, number=number)

    def shut_down(self) -> int:
        self.send(Shutdown())
        return self.worker.wait()

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()
        self.worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, timeout_s: float) -> Message:
        if not self.socket.poll(max(int(timeout_s * 1000), 0)):
            code = self.worker.process.poll()
            raise AssertionError(
                f"the worker said nothing more (exit code {code})\n{self.worker.log()[-4000:]}"
            )
        return codec.decode(self.verifier.open(self.socket.recv_multipart()))


def read_line(descriptor: int, timeout_s: float) -> bytes:
    """One line from a pipe, or what there was of it at its end."""
    until = time.monotonic() + timeout_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            assert selector.select(max(until - time.monotonic(), 0)), f"no line in {timeout_s} s: {line!r}"
            byte = os.read(descriptor, 1)
            if not byte:
                return line
            line += byte
    return line


def gone(pid: int) -> bool:
    """Whether that process has ended; a zombie counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
