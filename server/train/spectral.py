# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the spectral vocoder, from log-mel to the magnitudes that it was made of.

First frame by frame; from step ``SOUNDING_FROM`` on also through the sound that Griffin-Lim makes of them,
whose distance from the true sound is that of ``server/evaluation/vocoding.py``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import phases
from ..models.layouts import Config
from ..models.mel import HOP, N_FFT, magnitude
from ..models.spectral_vocoder import LOUDEST, network_of
from ..models.weights import save_weights
from .seats import Batch, Player
from .sounds import Sounds
from .vocoder import heard

NAME = "vocoder"
BATCH, FRAMES = 16, 88
EDGE = 4  # frames at either end that the crop cuts in two
RATE = 1e-3
QUIETEST = 5e-4  # a magnitude below this is nothing, as in a log-mel
CONVERGED = 1.0  # weight of the spectral convergence beside the logarithms
SOUNDING_FROM = 1000
SOUNDED = 8  # rows of a step that are compared as sounds; that costs more than all the rest
ROUNDS = 8  # of Griffin-Lim in training: already most of the way
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # transform, hop, window


class SpectralTask:
    """See loop.Task. ``layout``: the part's configuration. ``sounding_from``: the step from which the sound
    itself is compared.
    """

    name = NAME

    def __init__(
        self,
        sounds: Sounds,
        general: Sounds,
        layout: Config,
        *,
        batch: int,
        frames: int,
        sounding_from: int,
        seed: int,
        warmup: int = 200,
    ) -> None:
        self._sounds, self._general, self._layout = sounds, general, layout
        self._batch, self._frames, self._seed = batch, frames, seed
        self._sounding_from = sounding_from
        torch.manual_seed(seed)
        self.network = network_of(layout)
        torch.nn.init.zeros_(self.network.fall.weight)
        torch.nn.init.zeros_(self.network.fall.bias)
        rows = self._drawn(np.random.default_rng((seed, 0)), 64)["mels"].flatten(0, 1)
        self.network.mean.copy_(rows.mean(0))
        self.network.scale.copy_(rows.std(0).clamp_min(0.5))
        self.players = (
            Player(
                name=NAME,
                module=self.network,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=0.01,
                ema=0.998,
                warmup=warmup,
                clip=5.0,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "layout": self._layout,
            "batch": self._batch,
            "frames": self._frames,
            "sounding_from": self._sounding_from,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        drawn = self._drawn(np.random.default_rng((self._seed, 1, step)), self._batch)
        return {**drawn, "sounding": torch.tensor(step >= self._sounding_from)}

    def _drawn(self, draw: np.random.Generator, count: int) -> Batch:
        return heard(self._sounds, self._general, draw, count, self._frames)

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        inner = slice(EDGE, -EDGE)
        found = self.network(batch["mels"]).float().clamp_max(LOUDEST)
        wanted = magnitude(batch["waves"], N_FFT, HOP)[:, : found.shape[1]][:, inner]
        quietest = math.log(QUIETEST)
        logs = (found[:, inner].clamp_min(quietest) - wanted.log().clamp_min(quietest)).abs().mean()
        converged = _apart(found[:, inner].exp(), wanted).mean()
        parts = {"logs": logs.detach(), "converged": converged.detach()}
        loss = logs + CONVERGED * converged
        if bool(batch["sounding"]):
            sound = self._sounding(found[:SOUNDED].exp(), batch["waves"][:SOUNDED])
            parts["sound"] = sound.detach()
            loss = loss + sound
        return loss, parts

    def _sounding(self, magnitudes: Tensor, waves: Tensor) -> Tensor:
        """How far their sound is from the true one. The phases are found as they will be, and then stay."""
        with torch.no_grad():
            turns = phases.turns_of(magnitudes, rounds=ROUNDS, steady=True)
        inner = slice(EDGE * HOP, -EDGE * HOP)
        made = phases.put_together(magnitudes, turns)[:, inner]
        return distance(made, waves[:, inner])

    def write_part(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            name: value.detach().half().cpu().contiguous()
            for name, value in self.network.state_dict().items()
        }
        (folder / "config.json").write_text(json.dumps(self._layout, indent=2) + "\n", encoding="utf-8")
        save_weights(weights, folder / "model.safetensors", {"format": "pt"})


def distance(made: Tensor, waves: Tensor) -> Tensor:
    """(B, samples) each: mean over the rows of the distance that the vocoder is measured by."""
    total = made.new_zeros(())
    for size, hop, window in RESOLUTIONS:
        ours, theirs = (_magnitudes(sound, size, hop, window) for sound in (made, waves))
        total = total + _apart(ours, theirs).mean() + (ours.log() - theirs.log()).abs().mean()
    return total / len(RESOLUTIONS)


def _apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """(B,) spectral convergence, bounded, because some sounds are next to nothing."""
    wrong = torch.linalg.vector_norm(ours - theirs, dim=(1, 2))
    share: Tensor = wrong / torch.linalg.vector_norm(theirs, dim=(1, 2)).clamp_min(0.1)
    return share.clamp_max(3.0)


def _magnitudes(sound: Tensor, size: int, hop: int, window: int) -> Tensor:
    shape = torch.hann_window(window, device=sound.device)
    spectrum = torch.stft(sound, size, hop, window, shape, pad_mode="reflect", return_complex=True)
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power.clamp_min(1e-7).sqrt()
