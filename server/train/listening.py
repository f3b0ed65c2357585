# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds from a training's folder, to hear how far the UNet has come: the worker's way from a CLAP row on.

Nothing needs to be sealed for it. A UNet that is still being trained is taken from its last saved state, with
its averaged weights.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...addon.wire.errors import BadInput
from ..models.audioldm import AudioLDM, load_audioldm
from ..models.device import is_out_of_memory
from ..models.offset import measure_offset
from ..models.spectral_vocoder import SpectralVocoder
from ..models.vocoder import Vocoder, load_vocoder
from ..sampling import solvers, windows
from ..sampling.denoiser import Denoiser, RowLimit
from ..sampling.guidance import Guidance
from ..sampling.noise import noise
from ..sampling.quality import QUALITIES, Quality
from ..sampling.schedules import make_scheduler
from . import audioldm, checkpoints, parts, unet

BINS = 16  # of a latent column
SHOT = 64  # columns


def write_average(work: Path, folder: Path) -> int:
    """The part from the state that a training saved last, done or not, into ``folder``. Returns its step.

    Raises BadInput if nothing was saved yet, ModelRefused if the state is damaged.
    """
    state_folder = work / audioldm.NAME / "state"
    if not checkpoints.exists(state_folder):
        raise BadInput(f"There is no training in {state_folder.parent} yet; run: footfall train audioldm")
    state = checkpoints.load(state_folder)
    weights = checkpoints.pick(state.tensors, f"{audioldm.NAME}/average")
    config = state.facts["config"]
    unet.write(weights, config["unet"], folder)
    unet.write_scheduler(config["scheduler"], folder)
    return int(state.facts["step"])


@torch.inference_mode()
def sampled(
    audioldm: AudioLDM,
    rows: Tensor,
    empty: Tensor,
    start: Tensor,
    quality: Quality,
    on_step: solvers.OnStep = lambda done, of: None,
    begin: solvers.Begin | None = None,
) -> Tensor:
    """rows (N, 512) unit, empty (512,), noise ``start`` (N, C, columns, F) -> latents of its shape, on the
    device. ``begin``: latents to begin with, on the device. Raises BadInput for more than one window.
    """
    conditions, columns = rows.float().unsqueeze(1).to(audioldm.device), start.shape[2]
    denoiser = Denoiser(
        network=audioldm.predict,
        windows=windows.plan(columns, windows.LONGEST, windows.OVERLAP),
        conditions=conditions,
        negatives=empty.to(conditions).expand_as(conditions),
        guidance=Guidance(scale=quality.guidance, interval=quality.interval, rescale=quality.rescale),
        limit=RowLimit(audioldm.rows_at_once(columns), is_out_of_memory),
        on_pass=lambda fraction: None,
    )
    if len(denoiser.windows) > 1:
        raise BadInput(f"At most {windows.LONGEST} columns can be listened to at once.")
    scheduler = make_scheduler(audioldm.scheduler_config, quality.solver)
    return solvers.sample(denoiser, scheduler, start.to(audioldm.device), quality.steps, on_step, begin=begin)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listening:
    """UNet, VAE and vocoder, ready to sound. ``step``: of the UNet's training; -1: its finished part."""

    audioldm: AudioLDM
    vocoder: Vocoder | SpectralVocoder
    offset: int
    step: int

    @classmethod
    def load(cls, work: Path, *, average: bool = True, device: str = "cpu") -> Listening:
        """``average``: from the last saved state instead of the finished part. VAE and vocoder must be done.

        Raises ModelMissing, ModelRefused, BadInput.
        """
        where = torch.device(device)
        # Where a file that is mapped cannot be deleted, the system does it when it cleans up.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            unet, step = parts.part_folder(work, "unet"), -1
            if average:
                unet = Path(folder) / "average"
                step = write_average(work, unet)
            sources = {"unet": unet, "scheduler": unet}
            sources |= {part: parts.part_folder(work, part) for part in ("vae", "vocoder")}
            bundle = parts.assemble(work, sources, Path(folder) / "bundle")
            vocoder = load_vocoder(bundle, where, torch.float32)
            return cls(
                audioldm=load_audioldm(bundle, where, torch.float32),
                vocoder=vocoder,
                offset=measure_offset(vocoder),
                step=step,
            )

    @torch.inference_mode()
    def latents(
        self,
        rows: Tensor,
        empty: Tensor,
        *,
        columns: int = SHOT,
        quality: Quality = QUALITIES["good"],
        seed: int = 0,
        on_step: Callable[[int, int], None] = lambda done, of: None,
    ) -> Tensor:
        """rows (N, 512) unit, empty (512,) -> latents (N, C, columns, 16). Row ``i`` has noise of its own,
        whatever the others are.
        """
        shape = (self.audioldm.channels, columns, BINS)
        start = torch.stack([noise(seed, ("listening", number), shape) for number in range(len(rows))])
        return sampled(self.audioldm, rows, empty, start, quality, on_step)

    @torch.inference_mode()
    def sounds(self, latents: Tensor) -> np.ndarray:
        """latents (N, C, columns, 16) -> (N, samples) float32 at 16 kHz, the vocoder's lag taken off."""
        mels = torch.cat([self.audioldm.mel(row[None]) for row in latents]).transpose(1, 2)
        samples = mels.shape[2] * self.vocoder.hop
        front, back = (math.ceil(max(lag, 0) / self.vocoder.hop) for lag in (-self.offset, self.offset))
        mels = torch.nn.functional.pad(mels, (front, back), mode="replicate").transpose(1, 2)
        start = front * self.vocoder.hop + self.offset
        return self.vocoder(mels)[:, start : start + samples].cpu().numpy()
