# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains CLIP on the frames of the synthetic world and their captions; writes a part that open_clip builds.

Each frame is seen cropped, mirrored, and under another light and camera every time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import normalize

from ..models.tokens import Tokens
from . import contrastive, vocabulary
from .contrastive import Heads, Words
from .kept import Kept, Tick, keep
from .seats import Batch, Player, derive
from .starter_layout import starter_layout

if TYPE_CHECKING:
    from .settings import Settings
    from .shards import Sample

NAME = "clip"
DEFAULT_STEPS = 1000
NEEDS = ("world",)

BATCH, OTHERS = 128, 16
RATE, WEIGHT_DECAY = 1e-3, 0.05
EMA, WARMUP = 0.995, 100
HEADS_SHARE = 0.3
NARROWEST = 0.78  # part of the frame's side that the tightest crop shows
HELD_OUT, CHECK_EVERY = 160, 100
SETTLING = 24  # batches from which the norms' means are taken anew for the finished part
_VERSION = "frames-1"


class ClipTask:
    """loop.Task. ``seen``: frames to learn from; ``held_out``: others, to watch how it goes, or None."""

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
        """``config``: the part's own; ``tokenizer``: folder with its tokenizer.json."""
        self._part, self._tokenizer, self._seen = config, tokenizer, seen
        self._batch, self._seed = min(batch, len(seen)), seed
        text = config["model_cfg"]["text_cfg"]
        tokens = Tokens(
            tokenizer / "tokenizer.json", limit=text["context_length"], vocabulary=text["vocab_size"]
        )
        self._words = Words(seen.shots, tokens)
        self._codes = contrastive.codes_of(seen.shots)
        self._numbers = contrastive.numbers_of(seen.shots)
        self._mean = torch.tensor(config["preprocess_cfg"]["mean"]).view(1, 3, 1, 1)
        self._std = torch.tensor(config["preprocess_cfg"]["std"]).view(1, 3, 1, 1)
        self.module = ClipWithHeads(config["model_cfg"], seed)
        self._exam = None if held_out is None else self._prepared(held_out, tokens)
        self.players = (
            Player(
                name=NAME,
                module=self.module,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=WEIGHT_DECAY,
                ema=EMA,
                warmup=WARMUP,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "part": json.loads(json.dumps(self._part)),
            "tokenizer": vocabulary.fingerprint(self._tokenizer),
            "batch": self._batch,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        """Pixels (B, 3, S, S) and what is said and known of them; E texts that answer to none of them."""
        chosen = contrastive.shuffled(len(self._seen), self._batch, step, self._seed)
        draw = np.random.default_rng([self._seed, step, 1])
        start, stop = self._seen.start[chosen], self._seen.start[chosen + 1]
        frames = self._seen.rows[start + (draw.random(len(chosen)) * (stop - start)).astype(int)]
        generator = torch.Generator().manual_seed(derive(self._seed, NAME, step))
        pixels = changed(torch.from_numpy(frames), self._size, generator)
        numbers, own = self._words.draw(chosen, draw)
        others = self._words.others(OTHERS, draw)
        other_ids, other_lengths = self._words.rows(others)
        ids, lengths = self._words.rows(numbers, draw, width=other_ids.shape[1])
        return {
            "pixels": (pixels - self._mean) / self._std,
            "ids": ids,
            "lengths": lengths,
            "own": torch.from_numpy(own),
            "codes": torch.from_numpy(self._codes[chosen]),
            "numbers": torch.from_numpy(self._numbers[chosen]),
            "other_ids": nn.functional.pad(other_ids, (0, ids.shape[1] - other_ids.shape[1])),
            "other_lengths": other_lengths,
            "step": torch.tensor(step),
        }

    def write_part(self, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        settle(self.module.tower, (self._look(self.batch(step)) for step in range(SETTLING)))
        state = {
            name: tensor.detach().cpu().to(torch.float16).contiguous()
            for name, tensor in self.module.tower.state_dict().items()
            if tensor.is_floating_point()
        }
        save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
        said = json.dumps(self._part, indent=2) + "\n"
        (folder / "open_clip_config.json").write_text(said, encoding="utf-8")
        shutil.copyfile(self._tokenizer / "tokenizer.json", folder / "tokenizer.json")

    @property
    def _size(self) -> int:
        return int(self._part["model_cfg"]["vision_cfg"]["image_size"])

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        module, count = self.module, len(batch["ids"])
        ids = torch.cat([batch["ids"], batch["other_ids"]])
        shots = module.pictures(batch["pixels"])
        texts = module.texts(ids, torch.cat([batch["lengths"], batch["other_lengths"]]))
        wanted = contrastive.targets(batch["codes"], batch["own"], batch["ids"], len(ids) - count)
        with torch.autocast(shots.device.type, enabled=False):
            pairs = contrastive.contrast(shots, texts, wanted, module.scale())
            heads, right = module.heads(shots, batch["codes"], batch["numbers"])
        said = {"pairs": pairs, "heads": heads, "right": right.float().mean()}
        if self._exam is not None and int(batch["step"]) % CHECK_EVERY == CHECK_EVERY - 1:
            said |= self._examined()
        return pairs + HEADS_SHARE * heads, {name: value.detach() for name, value in said.items()}

    @torch.no_grad()
    def _examined(self) -> dict[str, Tensor]:
        """How well held-out frames and their plainest captions find each other now."""
        assert self._exam is not None
        device = next(self.module.parameters()).device
        pixels, ids, lengths, families = (tensor.to(device) for tensor in self._exam)
        self.module.eval()
        found = contrastive.held_out_right(
            self.module.pictures(pixels), self.module.texts(ids, lengths), families
        )
        self.module.train()
        return {f"scene_{name}": value for name, value in found.items()}

    def _prepared(self, held_out: Kept, tokens: Tokens) -> tuple[Tensor, ...]:
        chosen = contrastive.spread(held_out, HELD_OUT)
        frames = torch.from_numpy(held_out.rows[held_out.start[chosen]])
        pixels = (whole(frames, self._size) - self._mean) / self._std
        words = Words([held_out.shots[shot] for shot in chosen], tokens)
        ids, lengths = words.rows(words.first(np.arange(len(chosen))))
        families = contrastive.codes_of(held_out.shots)[chosen, 0]
        return pixels, ids, lengths, torch.from_numpy(families)

    def _look(self, batch: Batch) -> Tensor:
        """One pass of the picture tower, for its norms."""
        device = next(self.module.parameters()).device
        return self.module.pictures(batch["pixels"].to(device))


class ClipWithHeads(nn.Module):
    """open_clip's CLIP, ``tower``, and the heads beside it."""

    def __init__(self, model_config: Mapping[str, Any], seed: int) -> None:
        import open_clip

        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, NAME))
            self.tower = open_clip.CLIP(**model_config)
            self.heads = Heads(int(model_config["embed_dim"]))
        self.tower.visual.to(memory_format=torch.channels_last)

    def pictures(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) to unit rows (N, 512) float32."""
        with sdpa_kernel(SDPBackend.MATH):
            rows = self.tower.encode_image(pixels.contiguous(memory_format=torch.channels_last))
        return normalize(rows.float(), dim=-1)

    def texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(N, L) and (N,) to unit rows (N, 512) float32: open_clip's ``encode_text`` on the columns there
        are.
        """
        tower, width = self.tower, ids.shape[1]
        x = tower.token_embedding(ids) + tower.positional_embedding[:width]
        with sdpa_kernel(SDPBackend.MATH):  # on a processor the backward pass of the others is slow
            x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:width, :width]))
        ends = x[torch.arange(len(ids), device=x.device), lengths - 1]
        return normalize((ends @ tower.text_projection).float(), dim=-1)

    def scale(self) -> Tensor:
        """What cosines are multiplied with."""
        return self.tower.logit_scale.clamp(max=contrastive.LARGEST_SCALE).exp()


@torch.no_grad()
def settle(tower: nn.Module, passes: Any) -> None:
    """Takes the running means of batch norms anew, for weights that are an average of many steps.

    ``passes``: each item that is taken from it is one forward pass of ``tower``.
    """
    norms = [m for m in tower.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True  # None: the plain mean over all passes
    try:
        for _ in passes:
            pass
    finally:
        for norm in norms:
            norm.momentum, norm.training = 0.1, False


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
    seen = keep(work / "world", "train", folder, _frames, _VERSION, frames=True, tick=tick)
    some = any((work / "world").glob("frames-scene-*.tar"))
    held_out = (
        keep(work / "world", "scene", folder, _frames, _VERSION, frames=True, tick=tick) if some else None
    )
    return ClipTask(
        plan.clip,
        vocabulary.clip_tokenizer(work, plan.clip_vocabulary),
        seen,
        held_out,
        batch=16 if settings.tiny else BATCH,
        seed=settings.seed,
    )


def _frames(sample: Sample) -> np.ndarray:
    return np.asarray(sample.frames, np.uint8)
