# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared: a bundle with a mapper and settings, or a folder of sounds that something else made.

A bundle's sounds come out of the very parts that serve the add-on (making/job.py, making/rendering.py),
several shots in one pass. Finished sounds are kept under a hash of all that decides them: a run that was
stopped goes on.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from ... import __version__
from ...addon.wire.errors import BadInput, ModelError
from ...addon.wire.messages import Event, FoleyRequest
from ..making import rendering
from ..making.job import Job, chosen_quality
from ..making.rendering import Batch
from ..models.bundle import Bundle
from ..models.device import memory_guard
from ..models.loaded import Models
from ..models.mapper import choose
from ..sampling import solvers
from ..sampling.noise import seed_of
from ..train.mel import RATE_HZ
from ..train.pairs import write_whole
from ..train.synth.shot import SECONDS
from .shots import Item

AT_ONCE = 8  # shots in one pass
CONDITIONS = {"picture": "picture", "text": "clap_text"}  # ours -> the request's
# What a system of the condition "query" is asked with -> the request's condition. IQ, ZS and PD are those of
# CLIPSonic (Dong et al. 2023): the picture, words in the picture's place, words through a prior.
QUERIES = {
    "IQ": "picture",
    "ZS": "clip_text",
    "PD": "clip_text_prior",
    "labels": "clip_text",  # of a generator that learnt from words
    "CLAP's words": "clap_text",
}
LOUDNESS_LUFS = -23.0
NO_MAPPER = "none"  # the generator takes rows of CLIP

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way to make sounds. ``mapper``: of messages.MAPPERS, unused for text; 0: as the quality says.

    ``query``: of QUERIES, where the condition is ``query``. ``frames``: pictures of a shot that are shown,
    spread evenly; 0: all of them.
    ``layers``, ``in_sync``: how the shot's own hits are used; a bed alone knows none of them.
    """

    model: str
    condition: str
    mapper: str = "auto"
    quality: str = "good"
    steps: int = 0
    guidance: float = 0.0
    seed: int = 0
    layers: tuple[str, ...] = ("bed",)
    in_sync: bool = False
    query: str = ""
    frames: int = 0

    @property
    def asks(self) -> str:
        """The request's condition."""
        return QUERIES[self.query] if self.condition == "query" else CONDITIONS[self.condition]

    @property
    def maps(self) -> bool:
        """Whether a mapper takes part, where the generator expects rows of CLAP."""
        return self.asks != "clap_text"

    @property
    def name(self) -> str:
        """As the tables show it: ``starter, generative, good``."""
        words = [Path(self.model).name or self.model]
        if self.query:
            words.append(self.query)
        if self.maps and self.mapper != NO_MAPPER:
            words.append(self.mapper)
        if self.frames:
            words.append("one picture" if self.frames == 1 else f"{self.frames} pictures")
        words.append(self.quality)
        if self.steps:
            words.append(f"{self.steps} steps")
        if self.guidance:
            words.append(f"guidance {self.guidance:g}")
        if "spots" in self.layers:
            words.append(" and ".join(self.layers))
        if self.in_sync:
            words.append("in sync")
        return ", ".join(words)

    def request(self, item: Item, bundle: str) -> FoleyRequest:
        """What the add-on would send for this shot."""
        pictured = self.asks == "picture"
        shown = _spread(len(item.frames), self.frames) if pictured else []
        seed = seed_of(self.seed, item.shot.key) % 2**31
        captions = item.shot.captions
        told = item.shot.hits if self.in_sync or "spots" in self.layers else ()
        return FoleyRequest(
            frames=item.frames[shown] if pictured else np.zeros((0, 8, 8, 3), np.uint8),
            times_s=item.times_s[shown],
            duration_s=Fraction(str(SECONDS)),
            prompt="" if pictured else captions[seed % len(captions)],
            condition=self.asks,
            bundle=bundle,
            mapper="auto" if self.mapper == NO_MAPPER else self.mapper,
            quality=self.quality,
            steps=self.steps,
            guidance=self.guidance,
            seed=seed,
            rate_hz=RATE_HZ,
            loudness_lufs=LOUDNESS_LUFS,
            layers=self.layers if told else ("bed",),
            in_sync=self.in_sync and bool(told),
            events=tuple(
                Event(time_s=Fraction(hit.time_s).limit_denominator(RATE_HZ), strength=hit.strength)
                for hit in told
            ),
        )


class Silent:
    """A JobControl that nobody listens to. ``check`` asks ``stop``, which may raise."""

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self.check = stop

    def progress(self, phase: str, fraction: float) -> None:
        """Progress is told shot by shot."""


def resolved(system: System, models: Models) -> System:
    """With the mapper that ``auto`` means. Raises ModelMissing where the bundle lacks it."""
    return replace(system, mapper=chosen_mapper(models.bundle, system.mapper))


def chosen_mapper(bundle: Bundle, mapper: str) -> str:
    """What ``auto`` means, or that no mapper takes part. Raises ModelMissing where the bundle lacks it."""
    return NO_MAPPER if bundle.condition == "clip" else choose(bundle, mapper)


def _spread(there: int, wanted: int) -> list[int]:
    """Which of a shot's pictures are shown: in the middle of as many equal parts."""
    count = min(wanted or there, there)
    return [(2 * number + 1) * there // (2 * count) for number in range(count)]


def made(
    system: System, items: Sequence[Item], models: Models, cache: Path, tick: Callable[[], None]
) -> list[np.ndarray]:
    """The system's sound (40,960,) at 16 kHz for each shot. ``tick`` after each one; it may raise to stop."""
    requests = [system.request(item, models.bundle.root.name) for item in items]
    paths = [cache / _file(models, request) for request in requests]
    found: dict[int, np.ndarray] = {}
    for number, path in enumerate(paths):
        kept = _kept(path)
        if kept is not None:
            found[number] = kept
            tick()
    missing = [number for number in range(len(items)) if number not in found]
    for start in range(0, len(missing), AT_ONCE):
        group = missing[start : start + AT_ONCE]
        make = by_themselves if any(requests[n].events for n in group) else together
        for number, sound in zip(group, make([requests[n] for n in group], models), strict=True):
            _keep(paths[number], sound)
            found[number] = sound
            tick()
    return [found[number] for number in range(len(items))]


def together(requests: Sequence[FoleyRequest], models: Models) -> Iterator[np.ndarray]:
    """The bed (samples,) of each request, sampled in one pass; all of one length and quality.

    The same numbers as from one at a time but for the last bits. Raises as FoleyPipeline.run.
    """
    control = Silent()
    with memory_guard(models.device, "these sounds"), torch.inference_mode():
        jobs = [Job(request, models, control) for request in requests]
        batches = [job.batches()["bed"] for job in jobs]
        whole = _merged(batches)
        start = torch.cat([one.noise(models.audioldm.channels, models.bins) for one in batches])
        latents = rendering.denoise(models, whole, start.to(models.device), lambda fraction: None)
        if not solvers.is_sound(latents):
            raise ModelError("The model lost its way and made numbers that are no sound; check its training.")
        sounds = rendering.decode(models, latents, whole.samples, control, lambda fraction: None)
    first = 0
    for job, batch in zip(jobs, batches, strict=True):
        own = sounds[first : first + len(batch.names)]
        first += len(batch.names)
        clip = next(job.finished({"bed": batch}, {"bed": own}))
        yield np.ascontiguousarray(clip.waveform.mean(axis=1))


def by_themselves(requests: Sequence[FoleyRequest], models: Models) -> Iterator[np.ndarray]:
    """All layers of each request, mixed: (samples,), one after the other. Raises as FoleyPipeline.run."""
    control = Silent()
    for request in requests:
        with memory_guard(models.device, "these sounds"), torch.inference_mode():
            job = Job(request, models, control)
            batches = job.batches()
            sounds = {}
            for layer, batch in batches.items():
                latents = rendering.sample(models, batch, control, lambda fraction: None)
                sounds[layer] = rendering.decode(
                    models, latents, batch.samples, control, lambda fraction: None
                )
            mixed = np.zeros(round(request.duration_s * request.rate_hz), np.float32)
            for clip in job.finished(batches, sounds):
                start = round(clip.start_s * clip.rate_hz)
                part = clip.waveform.mean(axis=1)[: len(mixed) - start]
                mixed[start : start + len(part)] += part
        yield mixed / max(1.0, float(np.abs(mixed).max()))


def _merged(batches: Sequence[Batch]) -> Batch:
    """One batch of all; its own seed and names are not looked at again."""
    first = batches[0]
    for other in batches[1:]:
        same = (other.samples, other.windows, other.quality) == (first.samples, first.windows, first.quality)
        if not same or not torch.equal(other.negative, first.negative):
            raise ValueError("these sounds cannot be made together")
    return replace(
        first,
        names=tuple(name for batch in batches for name in batch.names),
        conditions=torch.cat([batch.conditions for batch in batches]),
    )


def _file(models: Models, request: FoleyRequest) -> str:
    """A name that changes with whatever changes the sound."""
    plain = (
        __version__,
        models.bundle.sha256,
        str(models.dtype),
        chosen_quality(request),
        (request.condition, request.prompt, request.mapper, request.seed, request.duration_s),
        (request.rate_hz, request.loudness_lufs, request.times_s.tolist(), request.frames.shape),
        (request.layers, request.in_sync, [(event.time_s, event.strength) for event in request.events]),
    )
    digest = hashlib.sha256(repr(plain).encode())
    digest.update(np.ascontiguousarray(request.frames).data)
    name = digest.hexdigest()
    return f"{name[:2]}/{name}.flac"


def _kept(path: Path) -> np.ndarray | None:
    """A sound that was made before; None if there is none, or it is damaged."""
    if not path.is_file():
        return None
    try:
        sound, rate = soundfile.read(path, dtype="float32")
    except (soundfile.LibsndfileError, OSError) as error:
        _log.warning("a kept sound is damaged and will be made again: %s %s", path, error)
        return None
    return np.asarray(sound, np.float32) if rate == RATE_HZ and sound.ndim == 1 and len(sound) else None


def _keep(path: Path, sound: np.ndarray) -> None:
    held = io.BytesIO()  # the library does not tell a full disk from its own mistakes
    soundfile.write(held, sound, RATE_HZ, format="FLAC", subtype="PCM_24")
    write_whole(path, held.getvalue())


SUFFIXES = (".wav", ".flac", ".ogg")


def folder_sounds(folder: Path, items: Sequence[Item]) -> dict[int, np.ndarray]:
    """Another system's sounds for the shots that it has, by number: ``KEY.wav`` (or flac, ogg) of any rate,
    any number of channels, as long as they are.

    Raises BadInput when the folder has none of them, or a file cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; give one that holds sounds named by the keys of shots.")
    found = {}
    for number, item in enumerate(items):
        paths = [folder / f"{item.shot.key}{suffix}" for suffix in SUFFIXES]
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            found[number] = _read(path)
    if not found:
        raise BadInput(
            f"{folder} has no sound for any of these shots; name them as {items[0].shot.key}.wav is named."
        )
    return found


def _read(path: Path) -> np.ndarray:
    try:
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadInput(f"{path.name} cannot be read as a sound; write it again.", str(error)) from error
    if not len(sound) or not np.isfinite(sound).all():
        raise BadInput(f"{path.name} holds no sound; write it again.")
    mono = sound.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, RATE_HZ, quality="VHQ"), np.float32)
