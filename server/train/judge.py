# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: a small classifier that hears a sound and names its family of the synthetic world.

It learns from the true sounds of the ``judge`` split alone, never from anything generated, and is tested on
the held-out sounds of ``scene`` and ``combo``. Its last layer but one spans an embedding space in which sets
of sounds are compared. A finished judge is a folder with ``config.json`` and ``model.safetensors``.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...addon.wire.errors import BadInput, ModelMissing, ModelRefused
from ..models.weights import load_weights
from . import mel, parts
from .loop import Player
from .shards import read_shards
from .synth.families import NAMES

NAME = "judge"
SPLIT = "judge"
DEFAULT_STEPS = 800
NEEDS = ("world",)

CHANNELS = (16, 32, 64, 128)
EMBEDDING = 128
BATCH = 32
RATE = 2e-3
SOUNDS_AT_ONCE = 16
DEEPEST = 7.0  # natural log of amplitude, 60 dB: what lies further below the loudest is not heard
FRAMES = 256  # of a shot

_log = logging.getLogger(__name__)


class Block(nn.Module):
    """Halves time and spectrum: (N, A, T, F) -> (N, B, T/2, F/2)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.short = nn.Conv2d(before, after, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, size) for size in (before, after))

    def forward(self, rows: Tensor) -> Tensor:
        found = self.first(torch.relu(self.norms[0](rows)))
        found = self.second(torch.relu(self.norms[1](found)))
        return found + self.short(nn.functional.avg_pool2d(rows, 2, ceil_mode=True))


class JudgeNetwork(nn.Module):
    """Log-mels (N, T, 64) at the common level -> family logits (N, K) and embeddings (N, E)."""

    def __init__(self, families: int, channels: Sequence[int] = CHANNELS, embedding: int = EMBEDDING) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels[0], 5, stride=2, padding=2)
        pairs = itertools.pairwise(channels)
        self.blocks = nn.ModuleList(Block(before, after) for before, after in pairs)
        bins = mel.MELS // 2 ** len(channels)
        self.pooled = nn.LayerNorm(3 * bins * channels[-1])
        self.fall = nn.Linear(3 * bins * channels[-1], embedding)
        self.name = nn.Linear(embedding, families)

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        loudest = mels.amax((1, 2), keepdim=True)
        heard = (torch.maximum(mels, loudest - DEEPEST) - loudest) / 2.0 + 1.5
        # with the channels last, a processor takes half the time
        rows = self.stem(heard.unsqueeze(1)).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            rows = block(rows)
        over_time = (rows.mean(2), rows.amax(2), rows.std(2, unbiased=False))
        embeddings = self.fall(self.pooled(torch.cat([found.flatten(1) for found in over_time], dim=1)))
        return self.name(nn.functional.gelu(embeddings)), embeddings


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the judge says of N sounds. probabilities: (N, K), in the order of its families;
    embeddings: (N, E); both float64."""

    probabilities: np.ndarray
    embeddings: np.ndarray


class Judge:
    """A trained judge. ``families``: the names it knows, in the order of its answers."""

    def __init__(self, network: JudgeNetwork, families: tuple[str, ...]) -> None:
        self._network = network
        self.families = families

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """Raises ModelMissing, ModelRefused."""
        try:
            config = json.loads((folder / "config.json").read_bytes())
            families = tuple(str(name) for name in config["families"])
            channels, embedding = tuple(map(int, config["channels"])), int(config["embedding"])
        except OSError as error:
            sentence = f"There is no judge in {folder}; train it with: footfall train judge"
            raise ModelMissing(sentence, str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRefused(f"The judge in {folder} is damaged; train it again.", repr(error)) from error
        network = load_weights(
            lambda: JudgeNetwork(len(families), channels, embedding), folder / "model.safetensors"
        )
        return cls(network, families)

    def hear(self, sounds_16k: Sequence[np.ndarray], tick: Callable[[], None] = lambda: None) -> Verdicts:
        """Sounds (samples,) float32 at 16 kHz of any level, each heard alone in time order."""
        said, rows = [], []
        with torch.inference_mode():
            for start in range(0, len(sounds_16k), SOUNDS_AT_ONCE):
                group = sounds_16k[start : start + SOUNDS_AT_ONCE]
                logits, embeddings = self._network(torch.stack([log_mel(sound) for sound in group]))
                said.append(torch.softmax(logits.double(), -1))
                rows.append(embeddings.double())
                tick()
        sizes = (len(self.families), self._network.fall.out_features)
        empty = [torch.zeros(0, size, dtype=torch.float64) for size in sizes]
        return Verdicts(torch.cat([empty[0], *said]).numpy(), torch.cat([empty[1], *rows]).numpy())


def log_mel(sound_16k: np.ndarray) -> Tensor:
    """(samples,) -> (256, 64) float32 at the common level: cut, or padded with silence, to a shot."""
    samples = FRAMES * mel.HOP
    kept = np.asarray(sound_16k, np.float32)[:samples]
    padded = np.pad(mel.level(kept), (0, samples - len(kept)))
    return mel.log_mel(torch.from_numpy(padded)[None])[0]


class JudgeTask:
    """Learns to name the family of true sounds (loop.Task). ``mels``: (N, 256, 64); ``labels``: (N,)."""

    name = NAME

    def __init__(
        self,
        mels: Tensor,
        labels: Tensor,
        *,
        channels: Sequence[int],
        embedding: int,
        batch: int,
        seed: int,
        warmup: int = 50,
    ) -> None:
        self._mels, self._labels = mels, labels
        self._sizes: dict[str, Any] = {"channels": list(channels), "embedding": embedding}
        self._batch, self._seed = batch, seed
        torch.manual_seed(seed)
        self.network = JudgeNetwork(len(NAMES), tuple(channels), embedding)
        self.players = (
            Player(
                name=NAME,
                module=self.network,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=0.05,
                ema=0.99,
                warmup=warmup,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {"families": list(NAMES), **self._sizes, "batch": self._batch, "seed": self._seed}

    def batch(self, step: int) -> dict[str, Tensor]:
        """Log-mels as a room, a microphone or a vocoder may change them, with their families."""
        draw = np.random.default_rng((self._seed, step))
        chosen = torch.from_numpy(draw.integers(0, len(self._mels), self._batch))
        mels = torch.stack([changed(row, draw) for row in self._mels[chosen].float()])
        return {"mels": mels, "labels": self._labels[chosen]}

    def _loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        logits, _ = self.network(batch["mels"])
        loss = cross_entropy(logits.float(), batch["labels"], label_smoothing=0.05)
        right = (logits.argmax(-1) == batch["labels"]).float().mean()
        return loss, {"right": right.detach()}

    def write_part(self, folder: Path) -> None:
        config = {"families": list(NAMES), **self._sizes}
        parts.write(folder, config, self.network.state_dict(), dtype=torch.float32)


def changed(row: Tensor, draw: np.random.Generator) -> Tensor:
    """(T, F) log-mel with another colour, noise floor, place in time, and a strip or two blotted out."""
    frames, bins = row.shape
    slope = torch.linspace(-1.0, 1.0, bins) * draw.normal(0.0, 0.25) + draw.normal(0.0, 0.15)
    found = torch.roll(row, int(draw.integers(-12, 13)), 0) + slope
    if draw.random() < 0.5:  # a floor 35 to 70 dB below the loudest
        floor = (
            float(found.max()) - draw.uniform(4.0, 8.0) + torch.linspace(-1, 1, bins) * draw.normal(0, 0.5)
        )
        found = torch.logaddexp(found, floor.expand_as(found).float())
    for axis, most in ((0, frames // 8), (1, bins // 8)):
        if draw.random() < 0.5:
            width = int(draw.integers(1, max(2, most)))
            start = int(draw.integers(0, row.shape[axis] - width))
            found.narrow(axis, start, width).copy_(
                found.mean(axis, keepdim=True).expand_as(found.narrow(axis, start, width))
            )
    return found


def task(work: Path, settings: Any) -> JudgeTask:
    """``settings``: has ``tiny`` and ``seed``. Raises BadInput when the world has no sounds to learn from."""
    mels, labels = _read(work)
    small = settings.tiny
    return JudgeTask(
        mels,
        labels,
        channels=(8, 8, 16, 16) if small else CHANNELS,
        embedding=16 if small else EMBEDDING,
        batch=8 if small else BATCH,
        seed=settings.seed,
    )


def _read(work: Path) -> tuple[Tensor, Tensor]:
    """Every sound of the split: log-mels (N, 256, 64) float16 and labels (N,) int64."""
    mels, labels = [], []
    for sample in read_shards(work / "world", SPLIT):
        mels.append(log_mel(mel.to_16k(sample.sound_48k)).half())
        labels.append(NAMES.index(sample.shot.family))
    if not mels:
        raise BadInput(
            f"There are no sounds for the judge in {work / 'world'}; make them with: footfall train world"
        )
    return torch.stack(mels), torch.tensor(labels)
