# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline of numpy and nothing else, deterministic, that misbehaves when the prompt says so. Tests only.

The sound: quiet noise from a generator seeded by a hash of the whole request, and a click of 1 ms at the
sample of each frame whose mean brightness jumps, and of each event (in the bed, or as a spot of its own where
the request has that layer). So tests can measure sync, and see that nothing but the request made the sound.

The pictures: a flat colour from a hash of the request's part of the sound, so that tests can tell them apart.

What a prompt can make it do wrong stands in misbehaviour.py.
"""

from __future__ import annotations

import hashlib
import json
import threading
from fractions import Fraction

import numpy as np
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
from footfall.tests.fakes.misbehaviour import Script

STEPS = {"draft": 4, "good": 8, "best": 16}
JUMP = 40.0  # of 255, between the mean brightness of two frames
CLICK = 0.9
NOISE = 0.01
DEVICE_BYTES = 123_456_789  # what it claims to hold while "loaded"


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
