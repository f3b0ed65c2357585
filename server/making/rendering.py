# SPDX-License-Identifier: GPL-3.0-or-later
"""From conditions to raw sound: noise, sampling, VAE, vocoder, for a batch of sounds of one length.

What a batch holds decides every sample, so finished batches are remembered under a hash of it: another
loudness, or hits that moved, cost no sampling.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...addon.wire.errors import ModelError
from ..control import JobControl
from ..models.device import empty_cache, is_out_of_memory
from ..models.loaded import Models
from ..sampling import solvers, windows
from ..sampling.denoiser import Denoiser, RowLimit
from ..sampling.guidance import Guidance
from ..sampling.noise import columns_of_noise, turned
from ..sampling.quality import Quality
from ..sampling.schedules import make_scheduler
from ..sampling.windows import Plan

VAE_SHARE = 0.4  # of the time that decoding takes
REMEMBERED_BYTES = 128 * 1024 * 1024

Report = Callable[[float], None]  # looks at the cancel token, and tells the fraction of the phase


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Sounds of ``samples`` each, at the model's rate, made together.

    names: what makes each one's noise its own; conditions: (N, W, 512) unit rows; negative: (512,) unit.
    vary: the share of a right angle by which the noise is turned towards that of ``vary_seed``.
    sounding: [first, stop) columns outside of which there is silence; None: sound everywhere.
    """

    names: tuple[tuple[object, ...], ...]
    seed: int
    samples: int
    windows: Plan
    conditions: Tensor
    negative: Tensor
    quality: Quality
    vary: float = 0.0
    vary_seed: int = 0
    sounding: tuple[tuple[int, int], ...] | None = None

    def noise(self, channels: int, bins: int) -> Tensor:
        """(N, channels, columns, bins) to begin with, on the CPU."""
        columns = self.windows.columns
        rows = [columns_of_noise(self.seed, names, channels, columns, bins) for names in self.names]
        if self.vary:
            rows = [
                turned(row, columns_of_noise(self.vary_seed, names, channels, columns, bins), self.vary)
                for row, names in zip(rows, self.names, strict=True)
            ]
        return torch.stack(rows)

    def content(self) -> bytes:
        """A hash of everything that decides the samples."""
        plain = (
            (self.names, self.seed, self.samples, self.windows, self.quality),
            (self.vary, self.vary_seed, self.sounding),
        )
        digest = hashlib.sha256(repr(plain).encode())
        for rows in (self.conditions, self.negative):
            digest.update(rows.contiguous().numpy().tobytes())
        return digest.digest()

    @property
    def work(self) -> int:
        """A measure of the time that sampling takes."""
        return len(self.names) * len(self.windows) * self.windows.length


@dataclass(slots=True)
class Remembered:
    """Finished batches of one bundle, the oldest forgotten first."""

    _sounds: OrderedDict[bytes, np.ndarray] = field(default_factory=OrderedDict)

    def get(self, batch: Batch) -> np.ndarray | None:
        return self._sounds.get(batch.content())

    def keep(self, batch: Batch, sounds: np.ndarray) -> None:
        sounds.flags.writeable = False
        self._sounds[batch.content()] = sounds
        while sum(kept.nbytes for kept in self._sounds.values()) > REMEMBERED_BYTES:
            self._sounds.popitem(last=False)


def sample(models: Models, batch: Batch, control: JobControl, report: Report, limit_mb: int = 0) -> Tensor:
    """Latents (N, C, columns, bins) of a batch, on the device. Raises ModelError, Cancelled, OutOfMemory."""
    start = batch.noise(models.audioldm.channels, models.bins).to(models.device)
    latents = denoise(models, batch, start, report, limit_mb)
    control.check()
    if not solvers.is_sound(latents):
        raise ModelError(
            "The model lost its way and made numbers that are no sound; try less guidance or another seed."
        )
    return latents


def denoise(models: Models, batch: Batch, start: Tensor, report: Report, limit_mb: int = 0) -> Tensor:
    """The sampling loop from the noise ``start`` (N, C, columns, bins). ``report`` before each pass and after
    each step.
    """
    quality = batch.quality
    conditions = batch.conditions.to(models.device)
    steps_done = 0

    def on_pass(fraction: float) -> None:
        report(min(1.0, (steps_done + fraction) / quality.steps))

    def on_step(done: int, of: int) -> None:
        nonlocal steps_done
        steps_done = done
        report(done / of)

    def out_of_memory(error: BaseException) -> bool:
        if not is_out_of_memory(error):
            return False
        empty_cache(models.device)
        return True

    denoiser = Denoiser(
        network=models.audioldm.predict,
        windows=batch.windows,
        conditions=conditions,
        negatives=batch.negative.to(conditions).expand_as(conditions),
        guidance=Guidance(scale=quality.guidance, interval=quality.interval, rescale=quality.rescale),
        limit=RowLimit(models.audioldm.rows_at_once(batch.windows.length, limit_mb), out_of_memory),
        on_pass=on_pass,
    )
    scheduler = make_scheduler(models.audioldm.scheduler_config, quality.solver)
    hold = None
    if batch.sounding is not None:
        free = torch.zeros(batch.windows.columns, dtype=torch.bool)
        for first, stop in batch.sounding:
            free[first:stop] = True
        hold = solvers.held(models.silence(), start, free.to(models.device))
    return solvers.sample(denoiser, scheduler, start, quality.steps, on_step, hold)


def decode(models: Models, latents: Tensor, samples: int, control: JobControl, report: Report) -> np.ndarray:
    """latents (N, C, columns, bins) -> (N, samples) float32 at the model's rate, the vocoder's lag taken
    off.
    """
    count = len(latents)
    frames = math.ceil((samples + max(models.offset, 0)) / models.vocoder.hop)
    mels = []
    for index in range(count):

        def within(fraction: float, index: int = index) -> None:
            report(VAE_SHARE * (index + fraction) / count)

        mels.append(to_mel(models, latents[index : index + 1], control, within)[:, :frames])
    return to_sound(
        models,
        torch.cat(mels),
        samples,
        control,
        lambda fraction: report(VAE_SHARE + (1.0 - VAE_SHARE) * fraction),
    )


def to_mel(models: Models, latents: Tensor, control: JobControl, report: Report) -> Tensor:
    """(1, C, columns, bins) -> log-mel (1, frames, mels), in windows if it is longer than the VAE knows."""
    pieces = windows.plan(latents.shape[2], windows.LONGEST, windows.MEL_OVERLAP)

    def piece(index: int, start: int, stop: int) -> Tensor:
        report(index / len(pieces))
        return models.audioldm.mel(latents[:, :, start:stop], control.check)

    return windows.join(piece, pieces, scale=models.audioldm.factor, axis=1)


def to_sound(models: Models, mels: Tensor, samples: int, control: JobControl, report: Report) -> np.ndarray:
    """(N, frames, mels) -> (N, samples) float32. Where the lag needs more spectrum than there is, it is
    held.
    """
    hop, offset = models.vocoder.hop, models.offset
    front = math.ceil(max(-offset, 0) / hop)
    back = max(0, math.ceil((samples + max(offset, 0)) / hop) - mels.shape[1])
    mels = torch.nn.functional.pad(mels.transpose(1, 2), (front, back), mode="replicate").transpose(1, 2)
    sound = models.vocoder(mels, control.check, report)
    start = front * hop + offset
    return sound[:, start : start + samples].cpu().numpy()
