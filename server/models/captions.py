# SPDX-License-Identifier: GPL-3.0-or-later
"""The caption bank: sounds described in words, embedded on both sides, CLIP's and CLAP's.

``captions.txt`` holds captions written for this project. Their embeddings are the bridge from what CLIP sees
to what CLAP hears (mapper.py), and the words in which a condition can be shown (``heard``). Each side is
computed once for each space, when it is first needed, and kept in a cache folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelError
from ...addon.wire.messages import Heard
from .bundle import SpaceId
from .weights import open_weights

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("captions.txt")
HEARD_COUNT = 8
HEARD_TEMPERATURE = 20.0  # CLAP cosines of neighbours differ by hundredths; this spreads them into weights
LENGTH_ERROR = 1e-3  # a kept row that is not of length 1 within this was damaged on disk


Progress = Callable[[float], None]


class TextEncoder(Protocol):
    @property
    def space(self) -> SpaceId:
        """The space of its rows."""

    def encode_text(self, texts: Sequence[str], progress: Progress | None = None) -> Tensor:
        """(N, size) rows, of any length and on any device. ``progress`` is called with 0..1, and may raise to
        stop.
        """


@cache
def captions() -> tuple[str, ...]:
    """Every caption, in the file's order. ``# heading`` lines group them and are not captions."""
    lines = (line.strip() for line in SOURCE.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of the bank. rows: (N, size) of length 1, float32 on one device, of the N texts."""

    texts: tuple[str, ...]
    rows: Tensor

    def heard(self, condition: Tensor, count: int = HEARD_COUNT) -> tuple[Heard, ...]:
        """The captions nearest to the mean of ``condition`` (W, size), nearest first.

        Their weights are a softmax over those shown and add up to 1.
        """
        rows = condition.detach().to(self.rows)
        cosines = self.rows @ normalize(rows.mean(0), dim=-1)
        best = torch.sort(cosines.cpu().double(), descending=True, stable=True)
        weights = torch.softmax(HEARD_TEMPERATURE * best.values[:count], dim=0).tolist()
        return tuple(
            Heard(words=self.texts[index], weight=weight)
            for index, weight in zip(best.indices[:count].tolist(), weights, strict=True)
        )

    def to(self, device: torch.device) -> Side:
        return Side(self.texts, self.rows.to(device))


def load_side(
    encoder: TextEncoder,
    cache_dir: Path,
    progress: Progress | None = None,
    texts: tuple[str, ...] | None = None,
    *,
    computed_on: str = "",
) -> Side:
    """The bank's side in the encoder's space: from the cache, else computed and kept there. On the CPU.

    ``progress`` is called with 0..1 while it is computed, and may raise to stop. ``computed_on`` names device
    and precision of the encoder; each has a side of its own, so that a sound never depends on which of them
    came first.
    """
    texts = captions() if texts is None else texts
    path = cache_dir / f"captions-{_key(encoder.space, texts, computed_on)}.safetensors"
    rows = _read(path, len(texts))
    if rows is None:
        rows = _unit(encoder.encode_text(texts, progress))
        _keep(path, rows)
    return Side(texts, rows)


def _key(space: SpaceId, texts: tuple[str, ...], computed_on: str) -> str:
    """Changes when the tower, any caption or the place of computing changes."""
    digest = hashlib.sha256()
    for part in (space.sha256, computed_on, *texts):
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:32]


def _unit(rows: Tensor) -> Tensor:
    return normalize(rows.detach().float().cpu(), dim=-1)


def _read(path: Path, count: int) -> Tensor | None:
    if not os.path.isfile(path):  # unlike Path.is_file, false also where looking is forbidden
        return None
    try:
        tensors = open_weights(path)
    except ModelError as error:
        log.warning("the kept captions are damaged and will be made again: %s", error.detail or error)
        return None
    if set(tensors) != {"rows"} or not _sound(tensors["rows"], count):
        log.warning("the kept captions are not what they should be and will be made again: %s", path)
        return None
    return tensors["rows"].clone()  # because a file that is mapped and then cut short would end the process


def _sound(rows: Tensor, count: int) -> bool:
    if rows.dtype != torch.float32 or rows.dim() != 2 or len(rows) != count or not rows.numel():
        return False
    return bool(((rows.norm(dim=-1) - 1.0).abs() < LENGTH_ERROR).all())  # false for NaN too


def _keep(path: Path, rows: Tensor) -> None:
    """Written beside its name and renamed, so a kill leaves no half file; a full disk only costs the next
    start.
    """
    from safetensors.torch import save

    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(save({"rows": rows.contiguous()}))
        os.replace(temporary, path)
    except OSError as error:
        log.warning(
            "the captions' embeddings could not be kept, so the next start makes them again: %s", error
        )
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
