# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall embed``: a folder of videos becomes pairs of CLIP and CLAP rows, in shards, file by file.

Decoding runs in threads, the models in the calling one. A file's windows are always in one shard; what is
done stands in the shards and in ``skipped.jsonl``, so a run that was stopped or killed goes on behind the
last shard. A file that gives no pair is reported with its reason and skipped until it changes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..models.bundle import Bundle, SpaceId
from ..models.clap import ClapEncoder
from ..models.clip import ClipEncoder
from ..models.device import pick_device, pick_dtype
from ..models.mapper import spaces
from .embed_store import Store
from .film_folder import find_films
from .films import Unusable, Wanted, Window, read_windows
from .labels import label_of, read_labels
from .mel import RATE_HZ
from .pairs import Row

WINDOWS_AT_ONCE = 16

Told = Callable[[int, int, str], None]  # (files done, files in all, the file just done)


class Eye(Protocol):
    space: SpaceId

    def encode_images(self, frames: np.ndarray) -> Tensor: ...


class Ear(Protocol):
    space: SpaceId

    def encode_audio(self, sounds: np.ndarray, rate_hz: int = 16_000) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``folder`` of videos, looked through to its depths; ``out``: where the shards go; ``labels``: a list of
    clips as VGGSound's; ``workers``: threads that decode, 0 for one on each core; ``again``: also try what
    was skipped before.
    """

    folder: Path
    out: Path
    wanted: Wanted = field(default_factory=Wanted)
    labels: Path | None = None
    workers: int = 0
    again: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """``files``: found; ``done``: with pairs, ``pairs``: of all runs; ``skipped``: one dictionary for each
    file without; ``bad_rows``: lines of the list that say nothing; ``whole``: nothing is left to do.
    """

    files: int = 0
    done: int = 0
    pairs: int = 0
    resumed: int = 0
    bad_rows: int = 0
    whole: bool = False
    seconds: float = 0.0
    skipped: list[dict[str, Any]] = field(default_factory=list)


def open_encoders(bundle: Bundle, device: str = "auto") -> tuple[ClipEncoder, ClapEncoder, int]:
    """A bundle's eye and ear, and the side of the pictures that the eye wants, in pixels.

    Raises BadInput, ModelMissing, ModelRefused, OutOfMemory.
    """
    chosen = pick_device(device)
    dtype = pick_dtype(chosen)
    clip = ClipEncoder.load(bundle, chosen, dtype)
    side = int(bundle.config("clip")["model_cfg"]["vision_cfg"]["image_size"])
    return clip, ClapEncoder.load(bundle, chosen, dtype), side


def embed(
    plan: Plan,
    eye: Eye,
    ear: Ear,
    *,
    told: Told = lambda done, of, file: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Embeds what is not embedded yet. ``stop`` is asked after each file; what is done by then is kept.

    Raises BadInput (no videos, or ``out`` holds other embeddings), SaveError (a full disk), OutOfMemory.
    """
    began = time.monotonic()
    files = find_films(plan.folder)
    names, bad_rows = read_labels(plan.labels) if plan.labels else ({}, 0)
    store = Store(plan.out, _config(plan, eye, ear), plan.again)
    stamps = {_name(plan.folder, file): _stamp(file) for file in files}
    left = [file for file in files if not store.knows(name := _name(plan.folder, file), stamps[name])]
    known = len(files) - len(left)
    done = lambda count, name: told(known + count, len(files), name)  # noqa: E731
    try:
        whole = _all(plan, store, left, _Way(eye, ear, names, stamps), done, stop)
    finally:
        store.flush()
    return Report(
        files=len(files),
        done=len(store.files & stamps.keys()),
        pairs=store.pairs,
        resumed=known,
        bad_rows=bad_rows,
        whole=whole,
        seconds=time.monotonic() - began,
        skipped=[row for row in store.skipped.values() if row["file"] in stamps],
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """What every file goes through. ``stamps``: size and time of each file by its name."""

    eye: Eye
    ear: Ear
    labels: dict[str, tuple[str, str]]
    stamps: dict[str, list[int]]


def _all(
    plan: Plan,
    store: Store,
    files: list[Path],
    way: _Way,
    done: Callable[[int, str], None],
    stop: Callable[[], bool],
) -> bool:
    """Every file into the store. False if ``stop`` ended it."""
    with closing(_decoded(files, plan)) as outcomes:
        for count, (file, outcome) in enumerate(outcomes, 1):
            name = _name(plan.folder, file)
            if isinstance(outcome, Unusable):
                store.skip(name, outcome, way.stamps[name])
            else:
                store.add(*_embedded(name, outcome, way))
            done(count, name)
            if stop():
                return False
    return True


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _stamp(file: Path) -> list[int]:
    try:
        status = file.stat()
    except OSError:  # it went away, or is a link to nowhere: decoding will say so
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


def _config(plan: Plan, eye: Eye, ear: Ear) -> dict[str, Any]:
    wanted = plan.wanted
    cut = {"seconds": wanted.seconds, "windows": wanted.windows, "frames": wanted.frames}
    return {"format": 1, **spaces(eye.space, ear.space), **cut}


def _decoded(
    files: Iterable[Path], plan: Plan
) -> Generator[tuple[Path, list[Window] | Unusable], None, None]:
    """Every file with its windows or with why it has none, in order, a few decoded ahead."""
    workers = plan.workers or os.cpu_count() or 1
    ended = threading.Event()

    def decode(file: Path) -> list[Window] | Unusable:
        try:
            return read_windows(file, plan.wanted, stopped=ended.is_set)
        except Unusable as error:
            return error

    waiting: deque[tuple[Path, Future[list[Window] | Unusable]]] = deque()
    rest = iter(files)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            while True:
                while len(waiting) <= workers and (file := next(rest, None)) is not None:
                    waiting.append((file, pool.submit(decode, file)))
                if not waiting:
                    return
                file, future = waiting.popleft()
                yield file, future.result()
        finally:
            ended.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _embedded(name: str, windows: list[Window], way: _Way) -> tuple[Tensor, Tensor, list[Row]]:
    """(n, F, C), (n, D) and the rows of one file's windows."""
    seen, heard = [], []
    for start in range(0, len(windows), WINDOWS_AT_ONCE):
        group = windows[start : start + WINDOWS_AT_ONCE]
        frames = np.concatenate([window.frames for window in group])
        seen.append(way.eye.encode_images(frames).reshape(len(group), len(group[0].frames), -1))
        heard += [
            way.ear.encode_audio(waves, RATE_HZ) for waves in _alike([window.sound for window in group])
        ]
    label, split = label_of(way.labels, name)
    rows = [
        Row(
            file=name,
            start_s=round(window.start_s, 6),
            length_s=round(window.length_s, 6),
            label=label,
            split=split,
        )
        for window in windows
    ]
    return torch.cat(seen), torch.cat(heard), rows


def _alike(sounds: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Runs of sounds of one length as (n, samples); padding would change what is heard."""
    first = 0
    for index in range(1, len(sounds) + 1):
        if index == len(sounds) or len(sounds[index]) != len(sounds[first]):
            yield np.stack(sounds[first:index])
            first = index


def as_json(report: Report) -> dict[str, Any]:
    """Plain data for ``--json``."""
    plain = asdict(report)
    plain["skipped"] = [{key: row[key] for key in ("file", "reason", "said")} for row in report.skipped]
    return plain
