# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed, memory and exactness of the engine, beside diffusers' own AudioLDMPipeline in the same run.

Both sides get the same weights, noise, steps and length, and run in turns; the shorter time of each part
counts. Jobs go the whole way from frames to clips, each with a seed and pictures of its own, so nothing is
remembered.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from ..addon.wire.handshake import WorkerSettings
from ..addon.wire.messages import FoleyRequest
from .bench_reference import reference_pipeline
from .making import rendering
from .making.pipeline import FoleyPipeline
from .making.rendering import Batch
from .models import device as devices
from .models.bundle import Bundle
from .models.finding import find_bundle
from .models.loaded import Models, load_models
from .sampling import windows
from .sampling.guidance import ALWAYS, Interval
from .sampling.noise import noise
from .sampling.quality import GUIDANCE, QUALITIES

PARTS = ("load", "jobs", "takes", "short", "long", "equal")
CAPTIONS = tuple(f"sound number {number}" for number in range(32))  # the bank is made once; it is not timed
FRAMES_PER_S = 4
MB = 1024 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure. ``seconds``: length of the sound that all others are compared with."""

    model: Path
    seconds: Fraction = Fraction(1024, 100)
    long_seconds: Fraction = Fraction(60)
    steps: int = 20
    guidance: float = GUIDANCE
    repeats: int = 3
    device: str = "auto"
    parts: tuple[str, ...] = PARTS


class Watch:
    """A JobControl that measures how long a cancel would have waited, by phase."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}
        self._phase = "queued"
        self._last = time.perf_counter()

    def check(self) -> None:
        now = time.perf_counter()
        self.longest[self._phase] = max(self.longest.get(self._phase, 0.0), now - self._last)
        self._last = now

    def progress(self, phase: str, fraction: float) -> None:
        self._phase = phase


@dataclass(slots=True)
class Peak:
    """Most memory of the process while a block runs, in bytes, looked at every few milliseconds."""

    before: int = 0
    most: int = 0
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[Peak]:
        process = psutil.Process()
        self.before = self.most = process.memory_info().rss

        def look() -> None:
            while not self._stop.wait(0.005):
                self.most = max(self.most, process.memory_info().rss)

        thread = threading.Thread(target=look, name="footfall-bench-memory", daemon=True)
        thread.start()
        start = time.perf_counter()
        try:
            yield self
        finally:
            self.seconds = time.perf_counter() - start
            self._stop.set()
            thread.join()
            self.most = max(self.most, process.memory_info().rss)


def run(plan: Plan, say: Say = lambda words: None) -> dict[str, Any]:
    """Measures what ``plan`` asks for. Seconds, megabytes and ratios; see the command's help for the names.

    Raises ModelMissing, ModelRefused, OutOfMemory.
    """
    bundle = find_bundle(plan.model, plan.model.parent)
    device = devices.pick_device(plan.device)
    dtype = torch.float32 if device.type == "cpu" else devices.pick_dtype(device)
    report: dict[str, Any] = {
        "bundle": bundle.name,
        "random": bundle.random,
        "device": devices.describe(device),
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "seconds": float(plan.seconds),
        "steps": plan.steps,
        "guidance": plan.guidance,
    }
    say("loading the models")
    _import_libraries()
    peak = Peak()
    with peak.watching():
        models = _load(bundle, device, dtype)
    report |= _loading(bundle, peak)
    if set(plan.parts) & {"jobs", "takes", "short", "long"}:
        report |= _jobs(plan, models, say)
    if "equal" in plan.parts:
        report |= _equal(plan, models, say)
    return report


def _load(bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Models:
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        return load_models(bundle, device, dtype, Watch(), Path(folder), CAPTIONS)


def _import_libraries() -> None:
    """So that what they take is not counted as the weights'."""
    import accelerate  # noqa: F401
    import open_clip  # noqa: F401
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from transformers import ClapModel, SpeechT5HifiGan  # noqa: F401


def _loading(bundle: Bundle, peak: Peak) -> dict[str, Any]:
    parts = ("unet", "vae", "vocoder", "clip", "clap")
    weights = sum(bundle.weights(part).stat().st_size for part in parts)
    return {
        "load_s": peak.seconds,
        "weights_mb": weights / MB,
        "load_peak_mb": (peak.most - peak.before) / MB,
        "load_peak_ratio": (peak.most - peak.before) / weights,
    }


def _jobs(plan: Plan, models: Models, say: Say) -> dict[str, Any]:
    """Whole jobs: one take, four takes, a short sound, a long bed, a nudge; and how soon each would have
    stopped.
    """
    jobs = _Jobs(plan, models)
    say("one take")
    jobs.run(plan.seconds, takes=1)  # the first run pays for set-up
    one = jobs.run(plan.seconds, takes=1)
    found: dict[str, Any] = {"peak_mb": one.most / MB}
    if "short" in plan.parts:
        say("a quarter of the length")
        found["short_s"] = min(jobs.run(plan.seconds / 4, takes=1).seconds for _ in range(3))
    if "takes" in plan.parts:
        say("four takes")
        found["takes4_s"] = min(jobs.run(plan.seconds, takes=4).seconds for _ in range(2))
    if "long" in plan.parts:
        say(f"a bed of {float(plan.long_seconds):g} s")
        long = jobs.run(plan.long_seconds, takes=1)
        found |= {"long_s": long.seconds, "long_peak_mb": long.most / MB}
    say("one take again, and a nudge")
    seconds = min(one.seconds, jobs.run(plan.seconds, takes=1).seconds)
    looked = models.clip.looked_at
    nudge = jobs.run(plan.seconds, takes=1, prompt="more rain", same_shot=True)
    found |= {
        "one_s": seconds,
        "nudge_s": nudge.seconds,
        "nudge_frames_looked_at": models.clip.looked_at - looked,
        "cancel_waits_s": jobs.waits,
    }
    for name in ("short", "takes4", "long"):
        if f"{name}_s" in found:
            found[f"{name}_ratio"] = found[f"{name}_s"] / seconds
    if "long" in plan.parts:
        found["long_peak_ratio"] = found["long_peak_mb"] / found["peak_mb"]
    return found


class _Jobs:
    """Runs requests through the real pipeline with models that are there already."""

    def __init__(self, plan: Plan, models: Models) -> None:
        self._plan = plan
        self._models = models
        self._shot = 0
        self.waits: dict[str, float] = {}
        settings = WorkerSettings(
            key="0" * 64,
            parent_pid=0,
            models_dir=str(models.bundle.root.parent),
            log_dir="",
            device=models.device.type,
        )
        self._pipeline = FoleyPipeline(settings, load=lambda *_: models)

    def run(self, seconds: Fraction, *, takes: int, prompt: str = "", same_shot: bool = False) -> Peak:
        self._shot += 0 if same_shot else 1
        watch, peak = Watch(), Peak()
        request = self._request(seconds, takes, prompt)
        with peak.watching():
            self._pipeline.run(request, watch)
        if (
            takes == 1 and seconds == self._plan.seconds and not same_shot
        ):  # the calmest of equal runs; only load adds to it
            for phase, wait in watch.longest.items():
                self.waits[phase] = min(self.waits.get(phase, wait), wait)
        return peak

    def _request(self, seconds: Fraction, takes: int, prompt: str) -> FoleyRequest:
        times = np.arange(0, float(seconds), 1 / FRAMES_PER_S)
        pictures = np.random.default_rng(self._shot).integers(0, 256, (len(times), 224, 398, 3), np.uint8)
        return FoleyRequest(
            frames=pictures,
            times_s=times,
            duration_s=seconds,
            bundle=self._models.bundle.root.name,
            prompt=prompt,
            takes=takes,
            seed=self._shot,
            steps=self._plan.steps,
            guidance=self._plan.guidance,
        )


def _equal(plan: Plan, models: Models, say: Say) -> dict[str, Any]:
    """Everything equal with diffusers' pipeline, and the same with the guidance interval, in turns."""
    say("loading diffusers' pipeline")
    theirs = reference_pipeline(models.bundle, models.device, models.dtype, plan.steps, plan.guidance)
    samples = round(plan.seconds * models.rate_hz)
    columns = theirs.columns(float(plan.seconds))
    shape = (1, models.audioldm.channels, columns, models.bins)
    start = noise(0, ("bench",), shape).to(models.device)
    vectors = torch.nn.functional.normalize(noise(0, ("conditions",), (2, 512)), dim=-1).to(models.device)
    best: dict[str, dict[str, float]] = {}
    results: dict[str, tuple[Tensor, Tensor]] = {}
    interval = QUALITIES["good"].interval
    for turn in range(plan.repeats):
        for name, make in (
            ("diffusers", lambda: theirs.run(start, vectors, float(plan.seconds))),
            ("ours", lambda: ours(models, plan, start, vectors, samples, ALWAYS)),
            ("interval", lambda: ours(models, plan, start, vectors, samples, interval)),
        ):
            say(f"{name}, turn {turn + 1} of {plan.repeats}")
            mel, sound, seconds = make()
            results[name] = (mel, sound)
            known = best.setdefault(name, seconds)
            best[name] = {part: min(spent, known[part]) for part, spent in seconds.items()}
    for parts in best.values():
        parts["all"] = parts["unet"] + parts["vae"] + parts["vocoder"]
    whole = best["diffusers"]["all"]
    return {
        "ours_s": best["ours"]["all"],
        "diffusers_s": whole,
        "interval_s": best["interval"]["all"],
        "ratio": best["ours"]["all"] / whole,
        "ratio_interval": best["interval"]["all"] / whole,
        "parity": _difference(results["ours"][0], results["diffusers"][0]),
        "parity_waveform": _difference(results["ours"][1], results["diffusers"][1]),
        "parts": best,
    }


def ours(
    models: Models, plan: Plan, start: Tensor, vectors: Tensor, samples: int, interval: Interval
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """log-mel (1, frames, mels), waveform (1, samples), seconds by part. ``vectors``: (2, 512) without and
    with.
    """
    quality = replace(
        QUALITIES["good"], solver="ddim", steps=plan.steps, guidance=plan.guidance, interval=interval
    )
    whole = windows.Plan(start.shape[2], start.shape[2], (0,))
    batch = Batch(
        names=(("bench",),),
        seed=0,
        samples=samples,
        windows=whole,
        conditions=vectors[1].view(1, 1, -1),
        negative=vectors[0],
        quality=quality,
    )
    with torch.inference_mode():
        began = time.perf_counter()
        latents = rendering.denoise(models, batch, start, lambda fraction: None)
        devices.synchronise(models.device)
        sampled = time.perf_counter()
        mel = models.audioldm.mel(latents)
        devices.synchronise(models.device)
        decoded = time.perf_counter()
        sound = models.vocoder(mel)[:, :samples]
        devices.synchronise(models.device)
        ended = time.perf_counter()
    seconds = {
        "unet": sampled - began,
        "vae": decoded - sampled,
        "vocoder": ended - decoded,
        "all": ended - began,
    }
    return mel.float().cpu(), sound.float().cpu(), seconds


def _difference(mine: Tensor, other: Tensor) -> float:
    """Largest difference against the largest value."""
    return float((mine - other).abs().max() / other.abs().max())
