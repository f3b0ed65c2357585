# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's sounds as every decoder trains on them: 16 kHz, levelled, decoded once and kept.

``work/sounds/SPLIT-0000.safetensors`` ... hold 16-bit samples and are mapped, not read; ``SPLIT.json`` is
written last and names the shards they were made of. When the world has changed, they are made again.
General sounds (``general.py``) are kept beside them in the same way.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...addon.wire.errors import BadInput
from ..models.weights import save_weights
from . import mel
from .general import general
from .shards import Sample, fingerprint, read_shards

SAMPLES = 40_960  # of a shot at 16 kHz
FULL_SCALE = 32_767.0
PER_FILE = 1024
AT_ONCE = 64
THREADS = 2
GENERAL = "general"
GENERAL_KIND = 1  # to be raised when general sounds become others

Tick = Callable[[int], None]


class Sounds:
    """N shots' sounds. ``rows``: (n, 40,960) int16 tensors, mapped."""

    def __init__(self, rows: Iterable[Tensor]) -> None:
        self._rows = list(rows)
        self._starts = np.cumsum([0, *(len(row) for row in self._rows)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def wave(self, number: int, start: int = 0, samples: int = SAMPLES) -> np.ndarray:
        """(samples,) float32 from ``start`` on."""
        file = int(np.searchsorted(self._starts, number, side="right")) - 1
        row = self._rows[file][number - int(self._starts[file])]
        return row[start : start + samples].numpy().astype(np.float32) / np.float32(FULL_SCALE)


def load_sounds(work: Path, split: str, tick: Tick = lambda done: None) -> Sounds:
    """The sounds of a split, made at the first call. ``tick``: how many are made.

    Raises BadInput when the world has none.
    """
    folder = work / "sounds"
    world = " ".join((str(SAMPLES), str(mel.TARGET_DB), fingerprint(work / "world", split)))
    found = _kept(folder, split, world)
    if found is not None:
        return found
    made = _keep(folder, split, world, _waves(read_shards(work / "world", split), tick))
    if made is None:
        raise BadInput(f"There are no sounds in {work / 'world'}; make them with: footfall train world")
    return made


def load_general(work: Path, count: int, tick: Tick = lambda done: None) -> Sounds:
    """``count`` general sounds, as long and as loud as the world's, made at the first call."""
    folder, kind = work / "sounds", f"{SAMPLES} {mel.TARGET_DB} {GENERAL_KIND} {count}"
    found = _kept(folder, GENERAL, kind)
    return found or _keep(folder, GENERAL, kind, _general(count, tick)) or Sounds(())


def _general(count: int, tick: Tick) -> Iterator[np.ndarray]:
    for number in range(count):
        yield _as_kept(mel.level(general(np.random.default_rng((GENERAL_KIND, number)), SAMPLES)))
        tick(number + 1)


def _keep(folder: Path, split: str, world: str, waves: Iterator[np.ndarray]) -> Sounds | None:
    """Writes them, the index last. None if there are none."""
    names: list[str] = []
    for number in itertools.count():
        rows = list(itertools.islice(waves, PER_FILE))
        if not rows:
            break
        names.append(f"{split}-{number:04d}.safetensors")
        _write(folder / names[-1], np.stack(rows))
    if not names:
        return None
    part = folder / f"{split}.json.part{os.getpid()}"
    part.write_text(json.dumps({"world": world, "files": names}), encoding="utf-8")
    part.replace(folder / f"{split}.json")
    return Sounds(_map(folder / name) for name in names)


def _kept(folder: Path, split: str, world: str) -> Sounds | None:
    try:
        index = json.loads((folder / f"{split}.json").read_bytes())
        if index["world"] != world:
            return None
        return Sounds(_map(folder / name) for name in index["files"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None  # never made, or not finished: make it


def _waves(samples: Iterator[Sample], tick: Tick) -> Iterator[np.ndarray]:
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        while group := list(itertools.islice(samples, AT_ONCE)):
            yield from pool.map(_wave, group)
            done += len(group)
            tick(done)


def _wave(sample: Sample) -> np.ndarray:
    wave = mel.prepare(sample.sound_48k)[:SAMPLES]
    return _as_kept(np.pad(wave, (0, SAMPLES - len(wave))))


def _as_kept(wave: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(wave * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE), np.int16)


def _write(path: Path, rows: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part{os.getpid()}")  # two trainings may make it at once
    save_weights({"sounds": torch.from_numpy(rows)}, part)
    part.replace(path)


def _map(path: Path) -> Tensor:
    with safe_open(str(path), framework="pt") as file:
        tensor: Tensor = file.get_tensor("sounds")
    return tensor
