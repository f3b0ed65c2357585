# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prompt makes the fake pipeline do wrong, and what then goes wrong. Tests only.

A prompt (of a picture: its words) is ``NAME [ARGUMENTS] [in PLACE]``; PLACE is a phase of a job,
``sampling-last`` or, left out, the first step of sampling. NAME is a key of MISBEHAVIOURS (argument: seconds,
or the exit code), or one of:

    slow N [MS]      N steps of MS milliseconds (50), each looking at the cancel token
    flood [MB]       MB megabytes (50) of output in every phase: by print, by descriptor, from C with the GIL
    bad WHAT         a rendering that must not be believed; WHAT is a key of SPOILERS
    oom [S]          out of memory, as torch says it; with S only for sounds longer than S seconds
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from footfall.addon.wire.errors import BadInput, ModelMissing
from footfall.server.control import JobControl, Painting, Rendering

PLACES = ("loading", "looking", "mapping", "sampling", "sampling-last", "decoding", "finishing")


class OutOfMemoryError(RuntimeError):
    """Named and worded as torch's own, which the worker must recognise without importing torch."""


class Script:
    """What a request's prompt tells the pipeline to do wrong."""

    def __init__(self, prompt: str, duration_s: Fraction, control: JobControl) -> None:
        words = prompt.split()
        self._place = "sampling"
        if len(words) > 2 and words[-2] == "in" and words[-1] in PLACES:
            self._place = words[-1]
            words = words[:-2]
        self._name, self._arguments = (words[0], words[1:]) if words else ("", [])
        self._duration_s = duration_s
        self._control = control

    def pace(self, steps: int) -> tuple[int, float]:
        """Steps of sampling, and seconds of each."""
        if self._name != "slow":
            return steps, 0.0
        return int(self._number(0, 20)), self._number(1, 50) / 1000

    def at(self, place: str) -> None:
        """Do it, if this is the place."""
        if self._name == "flood":
            flood(int(self._number(0, 50)))
        if place != self._place:
            return
        if self._name == "oom" and self._duration_s > self._number(0, -1):
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        if self._name in MISBEHAVIOURS:
            MISBEHAVIOURS[self._name](self._control, self._number(0, 3600))

    def spoil(self, rendering: Rendering) -> Rendering:
        """Break the rendering, if that is what is asked for."""
        return SPOILERS[self._arguments[0]](rendering) if self._name == "bad" else rendering

    def spoil_painting(self, painting: Painting) -> Painting:
        """As ``spoil``."""
        return PAINTING_SPOILERS[self._arguments[0]](painting) if self._name == "bad" else painting

    def _number(self, index: int, default: float) -> float:
        return float(self._arguments[index]) if len(self._arguments) > index else default


# What may go wrong inside a model


def _wait(control: JobControl, seconds: float) -> None:
    """A long part that looks at the cancel token and gives signs of life, as a well-behaved model does."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        control.check()
        pause.wait(0.002)


def _hang(control: JobControl, seconds: float) -> None:
    """Blocked on a lock that nobody will open; the GIL is free."""
    threading.Event().wait(seconds)


def _sleep(control: JobControl, seconds: float) -> None:
    """Inside a long call of the operating system; the GIL is free."""
    time.sleep(seconds)


def _spin(control: JobControl, seconds: float) -> None:
    """Busy in Python, never looking at the token."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        continue


def _hang_gil(control: JobControl, seconds: float) -> None:
    """Inside one long call of C with the GIL held: no other Python thread runs meanwhile."""
    threading.Event().wait(0.05)  # let the transport say how far the job is
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(int(seconds * 1000))
    else:
        ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1_000_000)))


def _crash(control: JobControl, seconds: float) -> None:
    faulthandler._sigsegv()  # type: ignore[attr-defined]


def _exit(control: JobControl, code: float) -> None:
    os._exit(3 if code == 3600 else int(code))


def _quit(control: JobControl, code: float) -> None:
    raise SystemExit("a model that thinks it is the program")


def _fail(control: JobControl, seconds: float) -> None:
    raise RuntimeError("the fake model was told to fail")


def _memory(control: JobControl, seconds: float) -> None:
    raise MemoryError


def _bad_input(control: JobControl, seconds: float) -> None:
    raise BadInput("There is nothing to see in this shot; choose another range.")


def _missing(control: JobControl, seconds: float) -> None:
    raise ModelMissing("The model 'fake' is not on this computer; pull it first.")


MISBEHAVIOURS: dict[str, Callable[[JobControl, float], None]] = {
    "wait": _wait,
    "hang": _hang,
    "sleep": _sleep,
    "spin": _spin,
    "hang-gil": _hang_gil,
    "crash": _crash,
    "exit": _exit,
    "quit": _quit,
    "fail": _fail,
    "memory": _memory,
    "bad-input": _bad_input,
    "missing": _missing,
}


def flood(megabytes: int) -> None:
    """As much output, a third each by print, by file descriptor, and from C while the GIL is held."""
    line = "x" * 1023 + "\n"
    block = line * 64
    blocks = megabytes * 16
    for number in range(blocks):
        if number % 3 == 0:
            print(block, end="", file=sys.stdout if number % 2 else sys.stderr)
        elif number % 3 == 1 or sys.platform == "win32":
            _write_all(1 + number % 2, block.encode())
        else:
            _write_from_c(1 + number % 2, block.encode())


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _write_from_c(descriptor: int, data: bytes) -> None:
    library = ctypes.PyDLL(None)
    while data:
        data = data[library.write(descriptor, data, len(data)) :]


def _with_waveform(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Rendering], Rendering]:
    def spoil(rendering: Rendering) -> Rendering:
        clip = rendering.clips[0]
        # A clip checks itself when it is made; a model that misbehaves gets around that.
        object.__setattr__(clip, "waveform", change(clip.waveform.copy()))
        return rendering

    return spoil


def _with_clip(**changes: object) -> Callable[[Rendering], Rendering]:
    def spoil(rendering: Rendering) -> Rendering:
        first, *rest = rendering.clips
        return replace(rendering, clips=(replace(first, **changes), *rest))  # type: ignore[arg-type]

    return spoil


def _filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def fill(waveform: np.ndarray) -> np.ndarray:
        waveform[len(waveform) // 2] = value
        return waveform

    return fill


SPOILERS: dict[str, Callable[[Rendering], Rendering]] = {
    "nan": _with_waveform(_filled(float("nan"))),
    "inf": _with_waveform(_filled(float("inf"))),
    "loud": _with_waveform(_filled(1.5)),
    "dtype": _with_waveform(lambda waveform: waveform.astype("<f8")),
    "long": _with_waveform(lambda waveform: np.concatenate([waveform, waveform[:1]])),
    "short": _with_waveform(lambda waveform: waveform[:-1].copy()),
    "rate": _with_clip(rate_hz=22_050),
    "layer": _with_clip(layer="spots"),
    "take": _with_clip(take=9),
    "nothing": lambda rendering: replace(rendering, clips=()),
    "none": lambda rendering: None,  # type: ignore[arg-type,return-value]
}


def _turned(painting: Painting) -> Painting:
    """Its pixels change their order in memory once they were checked, as a view that is turned has them."""
    object.__setattr__(painting.pictures[0], "pixels", painting.pictures[0].pixels.transpose(1, 0, 2)[::2])
    return painting


PAINTING_SPOILERS: dict[str, Callable[[Painting], Painting]] = {
    "turned": _turned,
    "missing": lambda painting: replace(painting, pictures=painting.pictures[1:]),
    "order": lambda painting: replace(painting, pictures=painting.pictures[::-1]),
    "none": lambda painting: None,  # type: ignore[arg-type,return-value]
}
