# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in, sound out: the whole way on one page. The other way, from a sound to pictures: picturing.py.

::

    frames (T, H, W, 3) -> CLIP (T, 512) -> windows (W, 512) -> mapper -> CLAP (W, 512) -> nudged by words
    -> noise -> UNet, step by step -> latents -> VAE -> log-mel -> vocoder -> waveform
    -> rate, length, loudness, peak -> Clips

    motion (T', h, w) grey -> hits and cuts, added to the request's own, first of all

``FoleyPipeline`` is the engine's Pipeline (server/control.py). Models are loaded once and stay until
``release``; nothing else of a job stays but what is remembered under a hash of all that decides it, so no job
changes another's sound. conditions.py goes the first half of the way, rendering.py the second, job.py says
what is to be made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ...addon.wire.handshake import WorkerSettings
from ...addon.wire.messages import BundleInfo, Clip, FoleyRequest, PictureRequest
from ..control import JobControl, Memory, Painting, Rendering
from ..models import device as devices
from ..models.bundle import Bundle
from ..models.bundle_parts import EMBEDDER
from ..models.clap import ClapEncoder
from ..models.finding import find_bundle, installed
from ..models.loaded import Models, load_models
from . import looking, picturing, rendering
from .job import SILENT, Job
from .looking import Looking
from .picturing import Picturing
from .rendering import Batch, Remembered
from .round_trip import NO_PICTURES, RoundTrip, renumbered

CACHE_FOLDER = ".cache"  # beside the bundles; begins with a dot, so it is never taken for one

_log = logging.getLogger(__name__)


class FoleyPipeline:
    """One call at a time, from one thread. See control.Pipeline. ``load``: how a bundle becomes models."""

    def __init__(self, settings: WorkerSettings, load: Callable[..., Models] = load_models) -> None:
        self._load_models = load
        self._folder = Path(settings.models_dir).expanduser()
        self._limit_mb = settings.memory_limit_mb
        self._device = _pick_device(settings.device)
        self._models: Models | None = None
        self._remembered = Remembered()
        self._looking = Looking()
        self._picturing = Picturing()

    def device(self) -> str:
        return devices.describe(self._device)

    def bundles(self) -> tuple[BundleInfo, ...]:
        return tuple(installed(self._folder))

    def memory(self) -> Memory:
        return devices.memory(self._device)

    def release(self) -> None:
        self._forget()
        self._picturing.release()
        devices.empty_cache(self._device)

    def run(self, request: FoleyRequest, control: JobControl) -> Rendering:
        """See control.Pipeline. The same request, bundle and CPU give the same bits, whatever ran before."""
        if request.only_looks:
            return looking.rendering(self._looking.complete(request, control), self.device())
        with devices.memory_guard(self._device, "this sound"), torch.inference_mode():
            models = self._load(request.bundle, control)
            request = self._looking.complete(request, control)
            job = Job(request, models, control)
            batches = job.batches()
            sounds = self._render(job, batches)
            clips = self._ranked(job, tuple(job.finished(batches, sounds)))
            control.progress("finishing", 1.0)
            return Rendering(
                clips=clips,
                provenance=job.provenance(),
                heard=job.heard,
                warnings=tuple(job.warnings),
                events=request.events,
                cuts=request.cuts,
            )

    def _ranked(self, job: Job, clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
        """The takes in the order that was asked for; and which of them are silent, by their new numbers."""
        request, models, control = job.request, job.models, job.control
        order = dict.fromkeys(sorted({clip.take for clip in clips}), 0.0)
        if request.rank and len(order) > 1 and models.bundle.has(EMBEDDER):
            hands = self._picturing.models(
                models.bundle, models.bundle, self._device, models.dtype, control, self._lend
            )
            trip = RoundTrip(painter=hands.painter, embedder=hands.audiotoken, clip=models.clip)
            order = trip.order(request, clips, control)
            clips = renumbered(clips, order)
        elif request.rank and len(order) > 1:
            job.warnings.append(NO_PICTURES)
        places = dict(zip(order, sorted(order), strict=True))
        silent = sorted(places[take] for take in job.silent)
        job.warnings += [f"Take {number + 1} {SILENT}" for number in silent]
        return clips

    def paint(self, request: PictureRequest, control: JobControl) -> Painting:
        """See control.Pipeline; the same request, bundles and CPU give the same bits."""
        with devices.memory_guard(self._device, "these pictures"), torch.inference_mode():
            listens, paints = picturing.find_bundles(request, self._folder)
            dtype = _pick_dtype(self._device)
            models = self._picturing.models(listens, paints, self._device, dtype, control, self._lend)
            return picturing.paint(request, models, control)

    def _lend(self, bundle: Bundle) -> ClapEncoder | None:
        """The CLAP of ``bundle`` if it is loaded. Another bundle's models go: both may not fit."""
        if self._models is not None and self._models.bundle.sha256 == bundle.sha256:
            return self._models.clap
        self._forget()
        devices.empty_cache(self._device)
        return None

    def _forget(self) -> None:
        self._models = None
        self._remembered = Remembered()

    def _load(self, name: str, control: JobControl) -> Models:
        bundle = find_bundle(name, self._folder)
        if self._models is None or self._models.bundle.sha256 != bundle.sha256:
            self.release()  # two sets of weights may not fit
            dtype = _pick_dtype(self._device)
            self._models = self._load_models(
                bundle, self._device, dtype, control, self._folder / CACHE_FOLDER
            )
        return self._models

    def _render(self, job: Job, batches: dict[str, Batch]) -> dict[str, np.ndarray]:
        """Raw sounds (N, samples) for each batch: those remembered, and those made now."""
        sounds = {layer: self._remembered.get(batch) for layer, batch in batches.items()}
        missing = {layer: batch for layer, batch in batches.items() if sounds[layer] is None}
        latents = {}
        for layer, batch, report in job.shares("sampling", missing):
            latents[layer] = rendering.sample(job.models, batch, job.control, report, self._limit_mb)
        for layer, batch, report in job.shares("decoding", missing):
            made = rendering.decode(job.models, latents.pop(layer), batch.samples, job.control, report)
            self._remembered.keep(batch, made)
            sounds[layer] = made
        return {layer: sound for layer, sound in sounds.items() if sound is not None}


def _pick_device(name: str) -> torch.device:
    """The fastest by measurement where there is a choice."""
    kinds = devices.available()
    if name != "auto" or len(kinds) == 1:
        return devices.pick_device(name)
    measured = {
        kind: devices.measure(torch.device(kind), devices.pick_dtype(torch.device(kind))) for kind in kinds
    }
    _log.info("seconds for the same work: %s", measured)
    return devices.pick_device(name, measured)


def _pick_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cpu":
        return devices.pick_dtype(device)
    measured = {
        str(dtype).removeprefix("torch."): devices.measure(device, dtype)
        for dtype in (torch.float16, torch.float32)
    }
    return devices.pick_dtype(device, measured)
