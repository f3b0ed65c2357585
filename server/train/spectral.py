# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the spectral vocoder: from log-mel to the magnitudes that it was made of, frame by frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ..models.layouts import Config
from ..models.mel import HOP, N_FFT, magnitude
from ..models.spectral_vocoder import network_of
from .seats import Batch, Player
from .sounds import Sounds
from .vocoder import heard

NAME = "vocoder"
BATCH, FRAMES = 16, 64
RATE = 1e-3
QUIETEST = 1e-3  # a magnitude below this is nothing, as in a log-mel
CONVERGED = 1.0  # weight of the spectral convergence beside the logarithms


class SpectralTask:
    """See loop.Task. ``layout``: the part's configuration."""

    name = NAME

    def __init__(
        self, sounds: Sounds, layout: Config, *, batch: int, frames: int, seed: int, warmup: int = 200
    ) -> None:
        self._sounds, self._layout = sounds, layout
        self._batch, self._frames, self._seed = batch, frames, seed
        torch.manual_seed(seed)
        self.network = network_of(layout)
        torch.nn.init.zeros_(self.network.fall.weight)
        torch.nn.init.zeros_(self.network.fall.bias)
        rows = heard(sounds, np.random.default_rng((seed, 0)), 64, frames)["mels"].flatten(0, 1)
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
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        drawn = heard(self._sounds, np.random.default_rng((self._seed, 1, step)), self._batch, self._frames)
        magnitudes = magnitude(drawn["waves"], N_FFT, HOP)[:, : self._frames]
        # The first and last frames are cut in two by the ends of the crop.
        return {"mels": drawn["mels"], "magnitudes": magnitudes}

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        inner = slice(4, -4)
        found = self.network(batch["mels"])[:, inner].float()
        wanted = batch["magnitudes"][:, inner]
        logs = (found - wanted.clamp_min(QUIETEST).log()).abs().mean()
        apart = torch.linalg.vector_norm(found.clamp_max(6.0).exp() - wanted, dim=(1, 2))
        converged = (
            (apart / torch.linalg.vector_norm(wanted, dim=(1, 2)).clamp_min(0.1)).clamp_max(3.0).mean()
        )
        parts = {"logs": logs.detach(), "converged": converged.detach()}
        return logs + CONVERGED * converged, parts

    def write_part(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            name: value.detach().half().cpu().contiguous()
            for name, value in self.network.state_dict().items()
        }
        (folder / "config.json").write_text(json.dumps(self._layout, indent=2) + "\n", encoding="utf-8")
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
