# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of what CLIP saw and what CLAP heard: the mapper's data, from ``footfall embed`` or from the world.

A folder of pairs holds ``embed.json`` (which spaces, how many frames) and ``pairs-NUMBER.safetensors``:
``clip`` (n, F, C) and ``clap`` (n, D) in float16, and in the metadata one row of words for each pair. Shards
are mapped into memory, so a hundred thousand clips cost what is looked at. Nothing here decodes or embeds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput, ModelError
from ..models.bundle import SpaceId
from ..models.weights import open_weights

CONFIG = "embed.json"
SHARD = "pairs-{:05d}.safetensors"
SHARDS = "pairs-*.safetensors"
HELD_OUT = "test"
HELD_OUT_SHARE = 20  # where no list says which clips are for tests, one in so many is


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pair in words. ``file``: where it is from, ``start_s`` and ``length_s``: which part of that;
    ``split``: ``train``, ``test``, or empty where no list says.
    """

    file: str
    start_s: float = 0.0
    length_s: float = 0.0
    label: str = ""
    split: str = ""

    @property
    def held_out(self) -> bool:
        """All windows of a file are on the same side, and the side never changes."""
        if self.split:
            return self.split == HELD_OUT
        digest = hashlib.sha256(self.file.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """``clip``: shards of (n, F, C) rows as CLIP gives them, not normalised; ``clap``: shards of (n, D);
    ``rows``: one for each pair of all shards; ``index``: (N,) which of them count.
    """

    clip: tuple[Tensor, ...]
    clap: tuple[Tensor, ...]
    rows: tuple[Row, ...]
    index: np.ndarray
    clip_space: SpaceId
    clap_space: SpaceId

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sizes(self) -> tuple[int, int]:
        """C and D, the widths of the two spaces."""
        return self.clip[0].shape[-1], self.clap[0].shape[-1]

    def row(self, number: int) -> Row:
        return self.rows[int(self.index[number])]

    def take(self, numbers: np.ndarray | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Pairs by number 0..N-1: (B, F, C) float32 as CLIP gave them and (B, D) float32 of length 1."""
        wanted = self.index[np.asarray(numbers, np.int64)]
        ends = np.cumsum([len(shard) for shard in self.clap])
        shards = np.searchsorted(ends, wanted, side="right")
        seen = torch.empty(len(wanted), *self.clip[0].shape[1:])
        heard = torch.empty(len(wanted), self.sizes[1])
        for shard in np.unique(shards):
            places = torch.from_numpy(np.flatnonzero(shards == shard))
            inside = torch.from_numpy(wanted[shards == shard] - (ends[shard] - len(self.clap[shard])))
            seen[places] = self.clip[shard][inside].float()
            heard[places] = self.clap[shard][inside].float()
        return seen, normalize(heard, dim=-1)

    def some(self, most: int, seed: int = 0) -> Pairs:
        """At most so many of them, always the same ones for a seed, in their order."""
        if len(self) <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return replace(self, index=self.index[chosen])

    def parted(self) -> tuple[Pairs, Pairs]:
        """For training and held out."""
        held = np.array([self.rows[number].held_out for number in self.index], bool)
        return replace(self, index=self.index[~held]), replace(self, index=self.index[held])


def pairs_of(
    clip: Tensor, clap: Tensor, rows: Sequence[Row], clip_space: SpaceId, clap_space: SpaceId
) -> Pairs:
    """From tensors: (N, F, C) and (N, D). Raises BadInput when they do not belong together."""
    return _checked((clip,), (clap,), tuple(rows), clip_space, clap_space, "the embeddings")


def write_shard(path: Path, clip: Tensor, clap: Tensor, rows: Sequence[Row]) -> None:
    """A shard in one step: it is there whole, or not at all. Raises OSError."""
    tensors = {"clip": clip.half().contiguous(), "clap": clap.half().contiguous()}
    write_whole(path, save(tensors, metadata={"rows": json.dumps([asdict(row) for row in rows])}))


def write_whole(path: Path, content: bytes) -> None:
    """Beside its name first, then renamed. Raises OSError, and leaves nothing half written."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def read_config(folder: Path) -> dict[str, Any]:
    """``embed.json`` of a folder of pairs. Raises BadInput."""
    try:
        plain = json.loads((folder / CONFIG).read_bytes())
    except OSError as error:
        raise BadInput(
            f"{folder} holds no embeddings; make them with: footfall embed VIDEOS --out {folder}", str(error)
        ) from error
    except ValueError as error:
        raise BadInput(f"{folder / CONFIG} is damaged; embed into a new folder.", str(error)) from error
    if not isinstance(plain, dict):
        raise BadInput(f"{folder / CONFIG} is damaged; embed into a new folder.")
    return plain


def read_pairs(folder: Path) -> Pairs:
    """All pairs that ``footfall embed`` wrote into ``folder``. Raises BadInput, naming the file."""
    config = read_config(folder)
    try:
        spaces = [
            SpaceId(name=str(config[side]["name"]), sha256=str(config[side]["sha256"])) for side in SIDES
        ]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{folder / CONFIG} is damaged; embed into a new folder.", repr(error)) from error
    clip, clap, rows = [], [], []
    for path in sorted(folder.glob(SHARDS)):
        tensors, words = read_shard(path)
        clip.append(tensors["clip"])
        clap.append(tensors["clap"])
        rows += words
    if not rows:
        raise BadInput(f"{folder} holds no embeddings yet; run footfall embed until it is done.")
    return _checked(tuple(clip), tuple(clap), tuple(rows), spaces[0], spaces[1], str(folder))


SIDES = ("clip", "clap")


def read_shard(path: Path) -> tuple[dict[str, Tensor], list[Row]]:
    """Tensors (mapped) and rows of one shard. Raises BadInput."""
    try:
        tensors = open_weights(path)
        with safe_open(str(path), framework="pt") as stream:
            words = json.loads((stream.metadata() or {})["rows"])
        rows = [Row(**row) for row in words]
        if set(tensors) != set(SIDES) or any(len(tensors[side]) != len(rows) for side in SIDES):
            raise ValueError("rows and tensors disagree")
    except (ModelError, SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        sentence = f"{path} is damaged or cut short; delete it and run footfall embed again."
        raise BadInput(sentence, repr(error)) from error
    return tensors, rows


def _checked(
    clip: tuple[Tensor, ...],
    clap: tuple[Tensor, ...],
    rows: tuple[Row, ...],
    clip_space: SpaceId,
    clap_space: SpaceId,
    what: str,
) -> Pairs:
    shapes = {
        (one.dim(), *one.shape[1:], other.dim(), *other.shape[1:])
        for one, other in zip(clip, clap, strict=True)
    }
    counts = sum(len(one) for one in clip), sum(len(one) for one in clap), len(rows)
    if len(shapes) != 1 or len(set(counts)) != 1 or clip[0].dim() != 3 or clap[0].dim() != 2:
        raise BadInput(
            f"The pairs of {what} are not all alike; embed into a new folder.", f"{shapes} {counts}"
        )
    return Pairs(
        clip=clip,
        clap=clap,
        rows=rows,
        index=np.arange(len(rows)),
        clip_space=clip_space,
        clap_space=clap_space,
    )
