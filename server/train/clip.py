# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains CLIP on the frames of the synthetic world and their captions; writes a part that open_clip builds.

Each frame is seen cropped, mirrored, and under another light and camera every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import normalize

from ..models.tokens import Tokens
from . import vocabulary
from .contrastive import LARGEST_SCALE, Heads
from .kept import Kept, Tick
from .seats import derive
from .starter_layout import starter_layout
from .tower import Files, Pair, TowerTask, kept_shots

if TYPE_CHECKING:
    from .settings import Settings
    from .shards import Sample

NAME = "clip"
DEFAULT_STEPS = 1000
NEEDS = ("world",)
BATCH, TINY_BATCH = 128, 16
NARROWEST = 0.78  # part of the frame's side that the tightest crop shows
_VERSION = "frames-1"


class ClipTask(TowerTask):
    """``seen`` and ``held_out`` have frames (F, H, W, 3) uint8; ``tokenizer``: folder of tokenizer.json."""

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
        prepare, text = config["preprocess_cfg"], config["model_cfg"]["text_cfg"]
        self._size = int(config["model_cfg"]["vision_cfg"]["image_size"])
        self._mean = torch.tensor(prepare["mean"]).view(1, 3, 1, 1)
        self._std = torch.tensor(prepare["std"]).view(1, 3, 1, 1)
        super().__init__(
            Files(
                config=config,
                config_name="open_clip_config.json",
                weights_name="open_clip_model.safetensors",
                tokenizer=tokenizer,
            ),
            ClipWithHeads(config["model_cfg"], seed),
            Tokens(tokenizer / "tokenizer.json", limit=text["context_length"], vocabulary=text["vocab_size"]),
            seen,
            held_out,
            batch=batch,
            seed=seed,
        )

    def drawn(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        return (changed(torch.from_numpy(rows), self._size, generator) - self._mean) / self._std

    def plain(self, rows: np.ndarray) -> Tensor:
        return (whole(torch.from_numpy(rows), self._size) - self._mean) / self._std


class ClipWithHeads(Pair):
    """open_clip's CLIP."""

    def __init__(self, model_config: Mapping[str, Any], seed: int) -> None:
        import open_clip

        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, NAME))
            self.tower: Any = open_clip.CLIP(**model_config)
            self.heads = Heads(int(model_config["embed_dim"]))
        self.tower.visual.to(memory_format=torch.channels_last)

    def shots(self, things: Tensor) -> Tensor:
        """things: (N, 3, S, S), normalised."""
        with sdpa_kernel(SDPBackend.MATH):
            rows = self.tower.encode_image(things.contiguous(memory_format=torch.channels_last))
        return normalize(rows.float(), dim=-1)

    def texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """open_clip's ``encode_text``, on the columns that there are."""
        tower, width = self.tower, ids.shape[1]
        x = tower.token_embedding(ids) + tower.positional_embedding[:width]
        with sdpa_kernel(SDPBackend.MATH):  # on a processor the backward pass of the others is slow
            x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:width, :width]))
        ends = x[torch.arange(len(ids), device=x.device), lengths - 1]
        return normalize((ends @ tower.text_projection).float(), dim=-1)

    def scale(self) -> Tensor:
        found: Tensor = self.tower.logit_scale.clamp(max=LARGEST_SCALE).exp()
        return found


def whole(frames: Tensor, size: int) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, size, size) in [0, 1], the way the worker brings frames to size."""
    pixels = frames.permute(0, 3, 1, 2).float()
    pixels = nn.functional.interpolate(pixels, (size, size), mode="bicubic", antialias=True)
    return pixels.round().clamp(0, 255) / 255


def changed(frames: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, size, size) in [0, 1]: each another crop, side, light, colour, noise."""

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand((count, *shape), generator=generator) * (high - low) + low

    count = len(frames)
    pixels = frames.permute(0, 3, 1, 2).float().div_(255)
    crop = drawn(NARROWEST, 1.0, 1) * drawn(0.93, 1.0, 2)  # of width and height
    place = drawn(-1.0, 1.0, 2) * (1.0 - crop)
    mirror = (torch.rand(count, generator=generator) < 0.5).float() * 2 - 1
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = crop[:, 0] * mirror, crop[:, 1]
    affine[:, :, 2] = place
    grid = nn.functional.affine_grid(affine, [count, 3, size, size], align_corners=False)
    pixels = nn.functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * drawn(0.6, 1.35, 1, 1, 1)
    middle = grey.mean((2, 3), keepdim=True)
    pixels = middle + (pixels - middle) * drawn(0.7, 1.3, 1, 1, 1)
    pixels = pixels * drawn(0.75, 1.3, 1, 1, 1) * drawn(0.93, 1.07, 3, 1, 1) + drawn(-0.05, 0.05, 1, 1, 1)
    noise = torch.randn(pixels.shape, generator=generator) * drawn(0.0, 0.03, 1, 1, 1)
    return pixels.add_(noise).clamp_(0.0, 1.0)


def task(work: Path, settings: Settings, tick: Tick = lambda done: None) -> ClipTask:
    """Raises BadInput when the world has no frames."""
    plan = starter_layout(tiny=settings.tiny)
    folder = work / NAME / "kept"
    seen, held_out = kept_shots(work / "world", folder, _frames, _VERSION, frames=True, tick=tick)
    return ClipTask(
        plan.clip,
        vocabulary.clip_tokenizer(work, plan.clip_vocabulary),
        seen,
        held_out,
        batch=TINY_BATCH if settings.tiny else BATCH,
        seed=settings.seed,
    )


def _frames(sample: Sample) -> np.ndarray:
    return np.asarray(sample.frames, np.uint8)
