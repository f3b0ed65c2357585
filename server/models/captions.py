# SPDX-License-Identifier: GPL-3.0-or-later
"""The caption bank: sounds described in words, embedded on both sides, CLIP's and CLAP's.

``captions.txt`` holds captions written for this project. Their embeddings are the bridge from what CLIP sees
to what CLAP hears (mapper.py), and the words in which a condition can be shown (``heard``). They are computed
once for each pair of spaces and kept in a cache folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelRefused
from ...addon.wire.messages import Heard
from .bundle import Bundle
from .weights import open_weights

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("captions.txt")
BATCH = 64
HEARD_COUNT = 8
HEARD_TEMPERATURE = 20.0  # CLAP cosines of neighbours differ by hundredths; this spreads them into weights


class TextEncoder(Protocol):
    def encode_text(self, texts: list[str]) -> Tensor: ...


Progress = Callable[[float], None]


@cache
def captions() -> tuple[str, ...]:
    """Every caption, in the file's order. ``# heading`` lines group them and are not captions."""
    lines = (line.strip() for line in SOURCE.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """clip: (N, C) unit rows; clap: (N, D) unit rows; both of the same N texts."""

    texts: tuple[str, ...]
    clip: Tensor
    clap: Tensor

    def heard(self, condition: Tensor, count: int = HEARD_COUNT) -> tuple[Heard, ...]:
        """The captions nearest to the mean of ``condition`` (W, D), softmax weights over those shown."""
        mean = normalize(condition.float().mean(0, keepdim=True), dim=-1).to(self.clap)
        cosines = (mean @ self.clap.T).squeeze(0)
        best = torch.topk(cosines, min(count, len(self.texts)))
        weights = torch.softmax(HEARD_TEMPERATURE * best.values, dim=0).tolist()
        return tuple(
            Heard(words=self.texts[index], weight=weight)
            for index, weight in zip(best.indices.tolist(), weights, strict=True)
        )

    def to(self, device: torch.device) -> Bank:
        return Bank(self.texts, self.clip.to(device), self.clap.to(device))


def load_bank(
    bundle: Bundle,
    clip: TextEncoder,
    clap: TextEncoder,
    cache_dir: Path,
    progress: Progress | None = None,
    texts: tuple[str, ...] | None = None,
) -> Bank:
    """The bank for this bundle's spaces: from the cache, else computed and kept there. float32 on the CPU."""
    texts = captions() if texts is None else texts
    path = cache_dir / f"captions-{_key(bundle, texts)}.safetensors"
    bank = _read(path, texts)
    if bank is None:
        bank = _embed(texts, clip, clap, progress)
        _keep(path, bank)
    return bank


def _key(bundle: Bundle, texts: tuple[str, ...]) -> str:
    """Changes when either tower or any caption changes."""
    digest = hashlib.sha256()
    for part in (bundle.clip_space.sha256, bundle.clap_space.sha256, *texts):
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:32]


def _embed(texts: tuple[str, ...], clip: TextEncoder, clap: TextEncoder, progress: Progress | None) -> Bank:
    rows: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(texts), BATCH):
        batch = list(texts[start : start + BATCH])
        rows.append((_unit(clip.encode_text(batch)), _unit(clap.encode_text(batch))))
        if progress is not None:
            progress(min(1.0, (start + len(batch)) / len(texts)))
    return Bank(texts, torch.cat([row[0] for row in rows]), torch.cat([row[1] for row in rows]))


def _unit(rows: Tensor) -> Tensor:
    return normalize(rows.detach().float().cpu(), dim=-1)


def _read(path: Path, texts: tuple[str, ...]) -> Bank | None:
    if not path.is_file():
        return None
    try:
        tensors = open_weights(path)
    except ModelRefused as error:
        log.warning("the kept captions are damaged and will be made again: %s", error.detail or error)
        return None
    if set(tensors) != {"clip", "clap"} or any(len(rows) != len(texts) for rows in tensors.values()):
        return None
    return Bank(texts, tensors["clip"], tensors["clap"])


def _keep(path: Path, bank: Bank) -> None:
    """Written beside its name and renamed, so a kill leaves no half file; a full disk only costs the next
    start.
    """
    from safetensors.torch import save

    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(save({"clip": bank.clip.contiguous(), "clap": bank.clap.contiguous()}))
        os.replace(temporary, path)
    except OSError as error:
        log.warning("the captions' embeddings could not be kept: %s", error)
        temporary.unlink(missing_ok=True)
