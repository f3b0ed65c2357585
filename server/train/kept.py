# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of numbers made once from every shot of a split and kept beside a training, mapped and not read.

``FOLDER/SPLIT.rows`` holds them one behind the other; ``SPLIT.json``, written last, names the shots, their
shape and the shards they were made of. When the world has changed they are made again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...addon.wire.errors import BadInput
from .checkpoints import full_disk
from .shards import Sample, fingerprint, read_shards

AT_ONCE = 64
THREADS = 2

MakeRows = Callable[[Sample], np.ndarray]  # (rows, ...) of one shot; (0, ...) leaves it out
Tick = Callable[[int], None]  # shots done


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a shot says of itself: its family, its words, and its parameters."""

    key: str
    family: str
    parameters: Mapping[str, float | str]
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """Shot ``i`` has ``rows[start[i]:start[i + 1]]``; shots without rows are not there."""

    shots: tuple[Described, ...]
    rows: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.shots)


def keep(
    world: Path,
    split: str,
    folder: Path,
    make: MakeRows,
    version: str,
    *,
    frames: bool = False,
    tick: Tick = lambda done: None,
) -> Kept:
    """The rows of a split, made at the first call. ``version``: changes when ``make`` does; ``frames``: they
    are made of the pictures, and not of the sounds.

    Raises BadInput when the world has none, SaveError when the disk is full.
    """
    mark = f"{version}/{fingerprint(world, split, frames=frames)}"
    found = _read(folder, split, mark)
    if found is not None:
        return found
    part = folder / f"{split}.rows.part{os.getpid()}"
    index: dict[str, Any] = {"mark": mark, "shots": []}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            for done, (described, rows) in enumerate(_made(read_shards(world, split), make), 1):
                if len(rows):
                    index |= {"shape": list(rows.shape[1:]), "dtype": rows.dtype.str}
                    index["shots"].append({**described, "rows": len(rows)})
                    stream.write(np.ascontiguousarray(rows).data)
                tick(done)
        if not index["shots"]:
            raise BadInput(f"There is nothing to learn from in {world}; make it with: footfall train world")
        part.replace(folder / f"{split}.rows")
        said = folder / f"{split}.json.part{os.getpid()}"
        said.write_text(json.dumps(index), encoding="utf-8")
        said.replace(folder / f"{split}.json")
    except OSError as error:
        raise full_disk(folder, error, "The world is whole.") from error
    finally:
        with contextlib.suppress(OSError):  # on a disk that turned read-only
            part.unlink(missing_ok=True)
    kept = _read(folder, split, mark)
    assert kept is not None
    return kept


def _made(samples: Iterable[Sample], make: MakeRows) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    waiting = iter(samples)
    with ThreadPoolExecutor(THREADS) as pool:
        while group := list(itertools.islice(waiting, AT_ONCE)):
            for sample, rows in zip(group, pool.map(make, group), strict=True):
                shot = sample.shot
                yield (
                    {
                        "key": shot.key,
                        "family": shot.family,
                        "parameters": dict(shot.parameters),
                        "captions": list(shot.captions),
                    },
                    rows,
                )


def _read(folder: Path, split: str, mark: str) -> Kept | None:
    try:
        index = json.loads((folder / f"{split}.json").read_bytes())
        if index["mark"] != mark:
            return None
        counts = [shot.pop("rows") for shot in index["shots"]]
        start = np.cumsum([0, *counts])
        path, shape = folder / f"{split}.rows", (int(start[-1]), *index["shape"])
        rows = np.memmap(path, np.dtype(index["dtype"]), "r", shape=shape)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never made, or not finished: make it
    shots = tuple(Described(**{**shot, "captions": tuple(shot["captions"])}) for shot in index["shots"])
    return Kept(shots=shots, rows=rows, start=start)
