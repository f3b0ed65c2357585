# SPDX-License-Identifier: GPL-3.0-or-later
"""What training a tower is, be it of pictures or of sounds: batches with words, the loss, the look at
held-out shots, and the part's files. ``clip.py`` and ``clap.py`` add what they see and hear.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..models.tokens import Tokens
from ..models.weights import save_weights
from . import contrastive, vocabulary
from .contrastive import Heads, Words
from .kept import Kept, MakeRows, Tick, keep
from .seats import Batch, Player, derive

OTHERS = 16  # texts in a batch that answer to nothing in it
RATE, WEIGHT_DECAY, BETAS = 1e-3, 0.05, (0.9, 0.98)
EMA, WARMUP = 0.995, 100
HEADS_SHARE = 0.3
HELD_OUT, CHECK_EVERY, AT_ONCE = 172, 100, 64
SETTLING = 24  # batches from which the norms' means are taken anew for the finished part


class Pair(nn.Module, ABC):
    """A part, ``tower``, with the heads beside it. Rows are of length 1, float32."""

    tower: nn.Module
    heads: Heads

    @abstractmethod
    def shots(self, things: Tensor) -> Tensor:
        """Pictures or sounds (N, ...), as a batch has them, to rows (N, 512)."""

    @abstractmethod
    def texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (N, L), and how many of them count (N,), to rows (N, 512)."""

    @abstractmethod
    def scale(self) -> Tensor:
        """What cosines are multiplied with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Of a part: its configuration, and what its files are called; the folder of its tokenizer."""

    config: Mapping[str, Any]
    config_name: str
    weights_name: str
    tokenizer: Path


class TowerTask(ABC):
    """loop.Task of a tower. ``seen``: what it learns from; ``held_out``: others, to watch how it goes."""

    name: ClassVar[str]
    module: Pair

    def __init__(
        self,
        files: Files,
        module: Pair,
        tokens: Tokens,
        seen: Kept,
        held_out: Kept | None,
        *,
        batch: int,
        seed: int,
    ) -> None:
        self.module, self.seen = module, seen
        self._files, self._batch, self._seed = files, min(batch, len(seen)), seed
        self.words = Words(seen.shots, tokens)
        self._codes = contrastive.codes_of(seen.shots)
        self._numbers = contrastive.numbers_of(seen.shots)
        self._exam = None if held_out is None else self._prepared(held_out, tokens)
        self.players = (
            Player(
                name=self.name,
                module=module,
                loss=self._loss,
                rate=RATE,
                betas=BETAS,
                weight_decay=WEIGHT_DECAY,
                ema=EMA,
                warmup=WARMUP,
            ),
        )

    @abstractmethod
    def drawn(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        """Kept rows (N, ...) as ``Pair.shots`` takes them, each changed at random."""

    @abstractmethod
    def plain(self, rows: np.ndarray) -> Tensor:
        """The same, as the worker sees or hears them."""

    def config(self) -> dict[str, Any]:
        return {
            "part": json.loads(json.dumps(self._files.config)),
            "tokenizer": vocabulary.fingerprint(self._files.tokenizer),
            "batch": self._batch,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        """``things`` (B, ...) and what is said and known of them; E texts that answer to none of them."""
        chosen = contrastive.shuffled(len(self.seen), self._batch, step, self._seed)
        draw = np.random.default_rng([self._seed, step, 1])
        start, stop = self.seen.start[chosen], self.seen.start[chosen + 1]
        rows = self.seen.rows[start + (draw.random(len(chosen)) * (stop - start)).astype(int)]
        generator = torch.Generator().manual_seed(derive(self._seed, self.name, step))
        numbers, own = self.words.draw(chosen, draw)
        other_ids, other_lengths = self.words.rows(self.words.others(OTHERS, draw))
        ids, lengths = self.words.rows(numbers, draw, width=other_ids.shape[1])
        return {
            "things": self.drawn(rows, generator),
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
        folder.mkdir(parents=True, exist_ok=True)
        device = next(self.module.parameters()).device
        batches = (self.batch(step)["things"].to(device) for step in range(SETTLING))
        settle(self.module.tower, (self.module.shots(things) for things in batches))
        state = {
            name: tensor.detach().cpu().to(torch.float16).contiguous()
            for name, tensor in self.module.tower.state_dict().items()
            if tensor.is_floating_point()
        }
        save_weights(state, folder / self._files.weights_name, {"format": "pt"})
        said = json.dumps(self._files.config, indent=2) + "\n"
        (folder / self._files.config_name).write_text(said, encoding="utf-8")
        for path in sorted(self._files.tokenizer.iterdir()):
            shutil.copyfile(path, folder / path.name)

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        module, count = self.module, len(batch["ids"])
        ids = torch.cat([batch["ids"], batch["other_ids"]])
        shots = module.shots(batch["things"])
        texts = module.texts(ids, torch.cat([batch["lengths"], batch["other_lengths"]]))
        wanted = contrastive.targets(batch["codes"], batch["own"], batch["ids"], len(ids) - count)
        with torch.autocast(shots.device.type, enabled=False):
            pairs = contrastive.contrast(shots, texts, wanted, module.scale())
            heads, right = module.heads(shots, batch["codes"], batch["numbers"])
        said = {"pairs": pairs, "heads": heads, "right": right.float().mean()}
        if int(batch["step"]) % CHECK_EVERY == CHECK_EVERY - 1:
            said |= self.examined()
        return pairs + HEADS_SHARE * heads, {name: value.detach() for name, value in said.items()}

    @torch.no_grad()
    def examined(self) -> dict[str, Tensor]:
        """How well held-out shots and their plainest captions find each other now; {} if there are none."""
        if self._exam is None:
            return {}
        device = next(self.module.parameters()).device
        things, ids, lengths, families = (tensor.to(device) for tensor in self._exam)
        self.module.eval()
        pieces = [things[start : start + AT_ONCE] for start in range(0, len(things), AT_ONCE)]
        shots = torch.cat([self.module.shots(piece) for piece in pieces])
        found = contrastive.held_out_right(shots, self.module.texts(ids, lengths), families)
        self.module.train()
        return {f"scene_{name}": value for name, value in found.items()}

    def _prepared(self, held_out: Kept, tokens: Tokens) -> tuple[Tensor, ...]:
        chosen = np.unique(np.linspace(0, len(held_out) - 1, min(HELD_OUT, len(held_out))).astype(int))
        words = Words([held_out.shots[shot] for shot in chosen], tokens)
        ids, lengths = words.rows(words.first(np.arange(len(chosen))))
        families = contrastive.codes_of(held_out.shots)[chosen, 0]
        things = self.plain(held_out.rows[held_out.start[chosen]])
        return things, ids, lengths, torch.from_numpy(families)


def kept_shots(
    world: Path, folder: Path, make: MakeRows, version: str, *, frames: bool = False, tick: Tick
) -> tuple[Kept, Kept | None]:
    """What a tower learns from, and held-out shots to watch how it goes where there are some (see ``keep``).

    Raises BadInput when the world has nothing to learn from, SaveError when the disk is full.
    """
    seen = keep(world, "train", folder, make, version, frames=frames, tick=tick)
    if not any(world.glob("frames-scene-*.tar" if frames else "scene-*.tar")):
        return seen, None
    return seen, keep(world, "scene", folder, make, version, frames=frames, tick=tick)


@torch.no_grad()
def settle(tower: nn.Module, passes: Iterable[Tensor]) -> None:
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
