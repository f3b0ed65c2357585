# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains CLAP on the sounds of the synthetic world and their captions; writes a part for transformers.

Sounds take the worker's own path (server/models/clap.py): 16 kHz and back, repeated whole, padded to ten
seconds. As a shot is repeated, its log-mel is too, so only one turn of it and the seams are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..models import clap
from ..models.tokens import Tokens
from . import mel, vocabulary
from .contrastive import LARGEST_SCALE, Heads
from .kept import Kept, Tick
from .seats import derive
from .starter_layout import starter_layout
from .synth import shot
from .tower import Files, Pair, TowerTask, kept_shots

if TYPE_CHECKING:
    from .settings import Settings
    from .shards import Sample

NAME = "clap"
DEFAULT_STEPS = 1500
NEEDS = ("world",)

BATCH, TINY_BATCH = 64, 8
TEXT_TOKENS = 64  # what is learnt; the worker takes longer texts
_VERSION = "log-mel-1"

TURN = shot.SAMPLES // clap.HOP  # frames of one turn: 256
HEAD, TAIL = 2, 3  # frames whose window reaches over the beginning, and over the end of the last turn
TURNS = clap.SAMPLES // shot.SAMPLES  # as often as a shot fits whole: 3
FRAMES = clap.SAMPLES // clap.HOP + 1  # 1001
SILENCE_DB = -100.0


class ClapTask(TowerTask):
    """``seen`` and ``held_out`` have rolled log-mels (see ``rolled``); ``tokenizer``: folder of its files."""

    name = NAME

    def __init__(
        self,
        config: Mapping[str, Any],
        tokenizer: Path,
        seen: Kept,
        held_out: Kept | None,
        *,
        batch: int,
        seed: int,
    ) -> None:
        known = int(config["text_config"]["vocab_size"])
        super().__init__(
            Files(
                config=config,
                config_name="config.json",
                weights_name="model.safetensors",
                tokenizer=tokenizer,
            ),
            ClapWithHeads(config, seed),
            Tokens(tokenizer / "tokenizer.json", limit=TEXT_TOKENS, vocabulary=known),
            seen,
            held_out,
            batch=batch,
            seed=seed,
        )

    def drawn(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        return changed(torch.from_numpy(rows).float(), generator)

    def plain(self, rows: np.ndarray) -> Tensor:
        return unrolled(torch.from_numpy(rows).float())


class ClapWithHeads(Pair):
    """transformers' ClapModel."""

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        import transformers

        super().__init__()
        plain = json.loads(json.dumps(config))  # the class changes what it is given
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, NAME))
            self.tower: Any = transformers.ClapModel(transformers.ClapConfig.from_dict(plain))
            self.heads = Heads(int(config["projection_dim"]))
        # Its scale is redundant before a convolution, and a gradient would go back through the resizing.
        self.tower.audio_model.audio_encoder.batch_norm.requires_grad_(False)

    def shots(self, things: Tensor) -> Tensor:
        """things: (N, 1, 1001, 64) decibels."""
        rows = clap.embedding(self.tower.get_audio_features(input_features=things))
        return normalize(rows.float(), dim=-1)

    def texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        padding = self.tower.config.text_config.pad_token_id
        ids = torch.where(mask.bool(), ids, padding)
        rows = clap.embedding(self.tower.get_text_features(input_ids=ids, attention_mask=mask))
        return normalize(rows.float(), dim=-1)

    def scale(self) -> Tensor:
        """The mean of both directions' scales."""
        both: Tensor = (self.tower.logit_scale_a + self.tower.logit_scale_t) / 2
        return both.clamp(max=LARGEST_SCALE).exp()


def rolled(sound_16k: np.ndarray) -> np.ndarray:
    """(40,960,) at 16 kHz to (HEAD + TURN + TAIL, 64) float16 decibels: all that ``unrolled`` needs."""
    wave = clap.resample(torch.from_numpy(sound_16k)[None], mel.RATE_HZ, clap.RATE_HZ)[:, : shot.SAMPLES]
    silence = torch.zeros(1, 4 * clap.HOP)
    mels = clap.log_mel(torch.cat([wave, wave, silence], dim=1))[0, 0]
    end = 2 * TURN - 1
    found = torch.cat([mels[:HEAD], mels[HEAD : HEAD + TURN], mels[end : end + TAIL]])
    return found.to(torch.float16).numpy()


def unrolled(kept: Tensor) -> Tensor:
    """(N, HEAD + TURN + TAIL, 64) to the worker's (N, 1, 1001, 64)."""
    turn = kept[:, HEAD : HEAD + TURN].roll(HEAD, 1)
    found = torch.full((len(kept), FRAMES, kept.shape[2]), SILENCE_DB)
    found[:, : TURNS * TURN] = turn.repeat(1, TURNS, 1)
    found[:, :HEAD] = kept[:, :HEAD]
    end = TURNS * TURN - 1
    found[:, end : end + TAIL] = kept[:, HEAD + TURN :]
    return found.unsqueeze(1)


def changed(kept: Tensor, generator: torch.Generator) -> Tensor:
    """As ``unrolled``, but each sound moved in time, louder or softer, of another colour, over another noise
    floor, with a band and a moment blotted out (SpecAugment, Park et al., Interspeech 2019); one in five
    goes on for the whole ten seconds.
    """
    count, _, bands = kept.shape

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand((count, 1, 1), generator=generator) * (high - low) + low

    def chance(share: float) -> Tensor:
        return torch.rand((count, 1, 1), generator=generator) < share

    turn = kept[:, HEAD : HEAD + TURN].roll(HEAD, 1)
    moved = torch.randint(0, TURN, (count, 1, 1), generator=generator) * chance(0.7)
    places = (torch.arange(TURN)[None, :, None] + moved) % TURN
    turn = turn.gather(1, places.expand_as(turn))
    tilt = torch.linspace(-1.0, 1.0, bands) * drawn(-4.0, 4.0)
    turn = turn + drawn(-6.0, 6.0) + tilt
    floor = turn.amax((1, 2), keepdim=True) - drawn(45.0, 90.0)
    turn = torch.where(chance(0.5), torch.maximum(turn, floor), turn)
    mean = turn.mean((1, 2), keepdim=True)
    for axis, size, most in ((1, TURN, 32.0), (2, bands, 8.0)):
        shape = (1, size, 1) if axis == 1 else (1, 1, size)
        line = torch.arange(size).view(shape)
        start, width = drawn(0.0, float(size)), drawn(0.0, most)
        turn = torch.where((line >= start) & (line < start + width) & chance(0.5), mean, turn)
    long = turn.repeat(1, FRAMES // TURN + 1, 1)[:, :FRAMES]
    ends = torch.where(chance(0.2), FRAMES, TURNS * TURN)
    found = torch.where(torch.arange(FRAMES)[None, :, None] < ends, long, SILENCE_DB)
    return found.clamp_min(SILENCE_DB).unsqueeze(1)


def task(work: Path, settings: Settings, tick: Tick = lambda done: None) -> ClapTask:
    """Raises BadInput when the world has no sounds."""
    plan = starter_layout(tiny=settings.tiny)
    folder = work / NAME / "kept"
    seen, held_out = kept_shots(work / "world", folder, _rows, _VERSION, tick=tick)
    return ClapTask(
        plan.clap,
        vocabulary.clap_tokenizer(work, plan.vocabulary),
        seen,
        held_out,
        batch=TINY_BATCH if settings.tiny else BATCH,
        seed=settings.seed,
    )


def _rows(sample: Sample) -> np.ndarray:
    sound = mel.prepare(sample.sound_48k)
    wanted = shot.SAMPLES * mel.RATE_HZ // shot.RATE_HZ
    return rolled(np.pad(sound, (0, max(0, wanted - len(sound))))[:wanted])[None]
