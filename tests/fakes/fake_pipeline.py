# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline of numpy and nothing else, deterministic, that misbehaves when the prompt says so. Tests only.

The sound: quiet noise from a generator seeded by a hash of the whole request, and a click of 1 ms at the
sample of each frame whose mean brightness jumps, and of each event (in the bed, or as a spot of its own where
the request has that layer). So tests can measure sync, and see that nothing but the request made the sound.

The pictures: a flat colour from a hash of the request's part of the sound, so that tests can tell them apart.

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
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from footfall.addon.wire.errors import BadInput, ModelMissing
from footfall.addon.wire.fields import pack_fields
from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import (
    BundleInfo,
    Clip,
    FoleyRequest,
    Heard,
    Picture,
    PictureRequest,
    Provenance,
    Request,
)
from footfall.server.control import JobControl, Memory, Painting, Rendering

STEPS = {"draft": 4, "good": 8, "best": 16}
JUMP = 40.0  # of 255, between the mean brightness of two frames
CLICK = 0.9
NOISE = 0.01
DEVICE_BYTES = 123_456_789  # what it claims to hold while "loaded"
PLACES = ("loading", "looking", "mapping", "sampling", "sampling-last", "decoding", "finishing")


class OutOfMemoryError(RuntimeError):
    """Named and worded as torch's own, which the worker must recognise without importing torch."""


class FakePipeline:
    """A Pipeline as ``server/control.py`` has it."""

    def __init__(self, settings: WorkerSettings | None = None) -> None:
        self._settings = settings
        self._loaded = False
        self.releases = 0

    def device(self) -> str:
        return "Fake device"

    def bundles(self) -> tuple[BundleInfo, ...]:
        return (
            BundleInfo(
                name="starter",
                title="Fake",
                licence="CC0-1.0",
                commercial=True,
                mappers=("bridge",),
                makes=("sound", "pictures"),
                paints_sounds=True,
            ),
        )

    def memory(self) -> Memory:
        return Memory(process_bytes=0, device_bytes=DEVICE_BYTES if self._loaded else 0)

    def release(self) -> None:
        self._loaded = False
        self.releases += 1

    def run(self, request: FoleyRequest, control: JobControl) -> Rendering:
        script = Script(request.prompt, request.duration_s, control)
        self._go_through(request, control, script)
        rendering = render(request)
        self._phase("finishing", control, script)
        return script.spoil(rendering)

    def paint(self, request: PictureRequest, control: JobControl) -> Painting:
        script = Script(request.words, request.duration_s, control)
        self._go_through(request, control, script)
        self._phase("finishing", control, script)
        return script.spoil_painting(paint(request))

    def _go_through(self, request: Request, control: JobControl, script: Script) -> None:
        if not self._loaded:
            self._phase("loading", control, script)
            self._loaded = True
        self._phase("looking", control, script)
        self._phase("mapping", control, script)
        self._sample(request, control, script)
        self._phase("decoding", control, script)

    def _phase(self, name: str, control: JobControl, script: Script) -> None:
        control.check()
        control.progress(name, 0.0)
        script.at(name)
        control.progress(name, 1.0)

    def _sample(self, request: Request, control: JobControl, script: Script) -> None:
        steps, step_s = script.pace(request.steps or STEPS[request.quality])
        pause = threading.Event()
        for step in range(steps):
            control.check()
            control.progress("sampling", step / steps)
            if step == 0:
                script.at("sampling")
            if step == steps - 1:
                script.at("sampling-last")
            if step_s:
                pause.wait(step_s)
        control.progress("sampling", 1.0)


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


def seed_of(request: Request) -> int:
    """A number that depends on every field of the request, and on nothing else."""
    buffers: list[memoryview] = []
    digest = hashlib.sha256(json.dumps(pack_fields(request, buffers), sort_keys=True).encode())
    for buffer in buffers:
        digest.update(buffer)
    return int.from_bytes(digest.digest()[:8], "big")


def render(request: FoleyRequest) -> Rendering:
    """The sound of a request that asks for nothing wrong."""
    rng = np.random.default_rng(seed_of(request))
    clips: list[Clip] = []
    for take in range(request.first_take, request.first_take + request.takes):
        if "bed" in request.layers:
            clips.append(_bed(request, take, rng))
        if "spots" in request.layers:
            clips.extend(_spots(request, take, rng))
    return Rendering(
        clips=tuple(clips),
        provenance=_provenance(request),
        heard=(Heard(words="a click", weight=0.75), Heard(words="noise", weight=0.25)),
        warnings=() if clips else ("There was nothing to hear.",),
        events=request.events,
    )


def paint(request: PictureRequest) -> Painting:
    """A flat colour for each part and take: of the sound in it, the seed and the take."""
    pictures = []
    for span, (start_s, end_s) in enumerate(zip(request.starts_s, request.ends_s, strict=True)):
        part = request.waveform[round(start_s * request.rate_hz) : round(end_s * request.rate_hz)]
        for take in range(request.takes):
            digest = hashlib.sha256(part.tobytes() + f"{request.seed} {take}".encode()).digest()
            pixels = np.tile(np.frombuffer(digest[:3], np.uint8), (16, 16, 1))
            pictures.append(Picture(span=span, take=take, pixels=pixels))
    return Painting(
        pictures=tuple(pictures),
        provenance=_provenance(request, mapper="none"),
        warnings=("These pictures are flat.",),
    )


def flashes(request: FoleyRequest) -> list[float]:
    """Seconds of each frame that is much brighter or darker than the one before."""
    if not len(request.frames):
        return []
    means = request.frames.reshape(len(request.frames), -1).mean(axis=1)
    jumps = np.flatnonzero(np.abs(np.diff(means)) > JUMP) + 1
    return [float(request.times_s[index]) for index in jumps]


def _bed(request: FoleyRequest, take: int, rng: np.random.Generator) -> Clip:
    samples = round(request.duration_s * request.rate_hz)
    waveform = rng.uniform(-NOISE, NOISE, (samples, 1)).astype("<f4")
    times: list[float | Fraction] = list(flashes(request))
    if "spots" not in request.layers:
        times += [event.time_s for event in request.events]
    for time_s in times:
        _click(waveform, round(time_s * request.rate_hz), request.rate_hz)
    return Clip(
        take=take, layer="bed", start_s=Fraction(0), rate_hz=request.rate_hz, waveform=waveform, label="Bed"
    )


def _spots(request: FoleyRequest, take: int, rng: np.random.Generator) -> list[Clip]:
    clips = []
    for number, event in enumerate(request.events):
        left = round((request.duration_s - event.time_s) * request.rate_hz)
        if left < 1:
            continue
        waveform = rng.uniform(-NOISE, NOISE, (min(left, request.rate_hz // 10), 1)).astype("<f4")
        _click(waveform, 0, request.rate_hz)
        clips.append(
            Clip(
                take=take,
                layer="spots",
                start_s=event.time_s,
                rate_hz=request.rate_hz,
                waveform=waveform,
                label=event.words or event.kind,
                event=number,
            )
        )
    return clips


def _click(waveform: np.ndarray, at: int, rate_hz: int) -> None:
    waveform[at : at + max(rate_hz // 1000, 1)] = CLICK


def _provenance(request: Request, mapper: str = "bridge") -> Provenance:
    return Provenance(
        bundle=request.bundle,
        bundle_sha256="0" * 64,
        licence="CC0-1.0",
        commercial=True,
        mapper=mapper,
        version="fake",
        device="Fake device",
        dtype="float32",
        steps=request.steps or STEPS[request.quality],
        guidance=request.guidance,
    )


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
