# SPDX-License-Identifier: GPL-3.0-or-later
"""What the finished parts make of the synthetic world, computed once: latents and embeddings of every shot.

``features/SPLIT-KIND.safetensors``, one file for each kind, so that a part that was trained anew costs only
its own kind. Each file says which world and which part it was made from, and is made again when either
changed. Shots are worked on in pieces that are kept until a kind is whole, so a run that was stopped goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...addon.wire.errors import BadInput, ModelMissing
from ..models.clap import ClapEncoder
from ..models.clip import ClipEncoder
from ..models.weights import load_weights, modern_attention, open_weights, save_weights
from . import mel, parts, precision
from .shards import Sample, fingerprint, read_shards
from .starter_layout import VIEWS

PART_OF = {"latents": "vae", "clap": "clap", "clip": "clip"}  # kind -> the part that makes it
KINDS = tuple(PART_OF)
FOLDER = "features"
PIECE = 64  # shots that are worked on at once, and lost at most when a run is stopped
AT_ONCE = 16  # mels in one pass of the VAE
_FORMAT = "1"

Progress = Callable[[str, int, int], None]  # (what, shots done, shots in all; 0 while unknown)
Maker = Callable[[Sequence[Sample]], dict[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Everything known of one split; shot ``i`` has the key ``keys[i]``. Rows of kinds that were not asked
    for are empty.

    latents: (N, 8, 64, 16) float16, whitened means. sounds: (N, 512) unit CLAP rows of the levelled 16 kHz
    sounds. texts: (U, 512) unit CLAP rows of every different caption; ``captions[i]``: (C,) which of them are
    shot ``i``'s, and ``words`` says them all. empty: (512,) CLAP row of "". pictures: (F, 512) CLIP rows, not
    normalised, of every frame; shot ``i`` has ``pictures[start[i]:start[i + 1]]``.
    """

    split: str
    keys: tuple[str, ...]
    families: tuple[str, ...]
    latents: Tensor
    sounds: Tensor
    texts: Tensor
    words: tuple[str, ...]
    captions: tuple[tuple[int, ...], ...]
    empty: Tensor
    pictures: Tensor
    start: Tensor

    def __len__(self) -> int:
        return len(self.keys)


def load(work: Path, split: str, kinds: Sequence[str] = KINDS) -> Features:
    """What ``make`` made last for ``split``. The tensors are mapped, not read.

    Raises ModelMissing, ModelRefused; BadInput if the kinds asked for were made from different worlds.
    """
    found = {kind: _open(path_of(work, split, kind)) for kind in kinds}
    heads = [head for head, _ in found.values()]
    if any(head["keys"] != heads[0]["keys"] for head in heads):
        raise BadInput(
            f"The features of {split} in {work / FOLDER} are of different worlds; make them again."
        )
    clap, tensors = found.get("clap", ({}, {}))
    clip = found["clip"][1] if "clip" in found else {}
    count = len(heads[0]["keys"])
    return Features(
        split=split,
        keys=tuple(heads[0]["keys"]),
        families=tuple(heads[0]["families"]),
        latents=found["latents"][1]["latents"] if "latents" in found else torch.zeros(0),
        sounds=tensors.get("sounds", torch.zeros(0, 512)),
        texts=tensors.get("texts", torch.zeros(0, 512)),
        words=tuple(clap.get("words", ())),
        captions=tuple(tuple(row) for row in clap.get("captions", ())),
        empty=tensors.get("empty", torch.zeros(1, 512))[0],
        pictures=clip.get("pictures", torch.zeros(0, 512)),
        start=clip.get("start", torch.zeros(count + 1, dtype=torch.int64)),
    )


def make(
    work: Path,
    splits: Sequence[str] = ("train",),
    kinds: Sequence[str] = KINDS,
    *,
    device: str = "cpu",
    workers: int = 0,
    progress: Progress = lambda what, done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Makes what is missing or stale of ``kinds`` for ``splits``. False if ``stop`` said so before the end.

    ``workers``: threads of one core each, 0 for one on each core. Raises ModelMissing when a part is not
    trained yet, BadInput when the world has none of a split.
    """
    marks = {kind: parts.fingerprint(work, PART_OF[kind]) for kind in kinds}
    if "clip" in marks:
        marks["clip"] += f" {VIEWS}"
    for split in splits:
        needed = {
            kind: hashlib.sha256(f"{_FORMAT} {mark} {_world(work, split, kind)}".encode()).hexdigest()[:16]
            for kind, mark in marks.items()
        }
        needed = {kind: mark for kind, mark in needed.items() if _mark(path_of(work, split, kind)) != mark}
        if needed and not _Making(work, split, needed, device, progress, stop).run(workers):
            return False
    return True


def path_of(work: Path, split: str, kind: str) -> Path:
    return work / FOLDER / f"{split}-{kind}.safetensors"


def latents_of(vae: Any, mels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """log-mels (N, T, 64) -> the means of their latents (N, 8, T / 4, 16) float32, as the UNet knows them."""
    device = next(vae.parameters()).device
    rows = mels.to(device).unsqueeze(1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), precision.autocast(device, dtype):
        means = vae.encode(rows).latent_dist.mean
    return means.float().cpu() * vae.config.scaling_factor


def clip_texts(work: Path, words: Sequence[str]) -> Tensor:
    """(U, 512) rows of CLIP's text tower, not normalised, of texts. Raises ModelMissing."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        bundle = parts.assemble(work, ("clip",), Path(folder))
        return ClipEncoder.load(bundle, torch.device("cpu"), torch.float32).encode_text(words)


class _Making:
    """One run over one split. ``needed``: kind -> the mark of what it is made from."""

    def __init__(
        self,
        work: Path,
        split: str,
        needed: dict[str, str],
        device: str,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> None:
        self.work, self.split, self.needed = work, split, needed
        self.device = torch.device("cpu" if device == "auto" else device)
        self.progress, self.stop = progress, stop
        self.folder = work / FOLDER / ".pieces"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.shots: list[dict[str, Any]] = []

    def run(self, workers: int) -> bool:
        threads = torch.get_num_threads()
        workers = workers or max(1, threads)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            bundle = parts.assemble(self.work, tuple({PART_OF[kind] for kind in self.needed}), Path(folder))
            makers: SimpleQueue[_Makers] = SimpleQueue()
            for _ in range(workers):
                makers.put(_Makers(bundle, tuple(self.needed), self.device))
            torch.set_num_threads(max(1, threads // workers))
            try:
                whole = self._pieces(makers, workers)
            finally:
                torch.set_num_threads(threads)
            if whole:
                for kind in self.needed:
                    self._finish(kind, makers.get_nowait() if kind == "clap" else None)
        return whole

    def _pieces(self, makers: SimpleQueue[_Makers], workers: int) -> bool:
        """Every piece that is not there yet, a few at once. False if stopped."""
        pending: set[Future[None]] = set()
        done = 0
        with ThreadPoolExecutor(workers) as pool:
            try:
                for number, samples in enumerate(_grouped(read_shards(self.work / "world", self.split))):
                    self._note(samples)
                    missing = tuple(kind for kind in self.needed if not self._piece(kind, number).is_file())
                    if missing:
                        pending.add(pool.submit(self._work, number, samples, missing, makers))
                    while len(pending) > workers:
                        finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                        for future in finished:
                            future.result()
                    done += len(samples)
                    self.progress(f"{self.split} features", done, 0)
                    if self.stop():
                        return False
                for future in pending:
                    future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if not self.shots:
            raise BadInput(
                f"The world in {self.work / 'world'} has no shots of {self.split}; "
                "make some with: footfall train world"
            )
        return True

    def _note(self, samples: Sequence[Sample]) -> None:
        self.shots += [
            {"key": s.shot.key, "family": s.shot.family, "captions": list(s.shot.captions)} for s in samples
        ]

    def _work(
        self, number: int, samples: Sequence[Sample], kinds: tuple[str, ...], makers: SimpleQueue[_Makers]
    ) -> None:
        mine = makers.get()
        try:
            for kind, tensors in mine(samples, kinds):
                _save(self._piece(kind, number), tensors, {})
        finally:
            makers.put(mine)

    def _piece(self, kind: str, number: int) -> Path:
        return self.folder / f"{self.split}-{kind}-{self.needed[kind]}-{number:05d}.safetensors"

    def _finish(self, kind: str, makers: _Makers | None) -> None:
        """All pieces of a kind in one file, then the pieces are gone."""
        count = -(-len(self.shots) // PIECE)
        pieces = [self._piece(kind, number) for number in range(count)]
        opened = [open_weights(piece) for piece in pieces]
        tensors = {name: torch.cat([piece[name] for piece in opened]) for name in opened[0]}
        head: dict[str, Any] = {
            "keys": [shot["key"] for shot in self.shots],
            "families": [shot["family"] for shot in self.shots],
        }
        if kind == "clip":
            tensors["start"] = torch.cat([torch.zeros(1, dtype=torch.int64), tensors.pop("count").cumsum(0)])
        if makers is not None:
            words = sorted({words for shot in self.shots for words in shot["captions"]})
            place = {text: number for number, text in enumerate(words)}
            head["words"] = words
            head["captions"] = [[place[text] for text in shot["captions"]] for shot in self.shots]
            tensors["texts"] = makers.clap.encode_text(words)
            tensors["empty"] = makers.clap.encode_text([""])
        _save(
            path_of(self.work, self.split, kind),
            tensors,
            {"mark": self.needed[kind], "head": json.dumps(head)},
        )
        del opened
        for piece in self.folder.glob(f"{self.split}-{kind}-*.safetensors"):
            with contextlib.suppress(OSError):
                piece.unlink()


class _Makers:
    """The parts of one thread: samples in, tensors of each kind out."""

    def __init__(self, bundle: Any, kinds: tuple[str, ...], device: torch.device) -> None:
        self._device = device
        self._dtype = precision.pick_precision(device)
        if "latents" in kinds:
            self._vae = load_vae(bundle, device)
        if "clap" in kinds:
            self.clap = ClapEncoder.load(bundle, device, torch.float32)
        if "clip" in kinds:
            self._clip = ClipEncoder.load(bundle, device, torch.float32)

    def __call__(
        self, samples: Sequence[Sample], kinds: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        if "latents" in kinds or "clap" in kinds:
            waves = torch.from_numpy(np.stack([mel.prepare(sample.sound_48k) for sample in samples]))
        if "latents" in kinds:
            means = [latents_of(self._vae, mel.log_mel(group), self._dtype) for group in waves.split(AT_ONCE)]
            yield "latents", {"latents": torch.cat(means).half()}
        if "clap" in kinds:
            yield "clap", {"sounds": self.clap.encode_audio(waves)}
        if "clip" in kinds:
            frames = [sample.frames for sample in samples]
            shown = [pictures for pictures in frames if len(pictures)]
            rows = self._clip.encode_images(np.concatenate(shown)) if shown else torch.zeros(0, 512)
            yield "clip", {"pictures": rows, "count": torch.tensor([len(pictures) for pictures in frames])}


def load_vae(bundle: Any, device: torch.device) -> Any:
    """The whole VAE of a bundle, encoder and decoder, float32."""
    from diffusers import AutoencoderKL

    config = {key: value for key, value in bundle.config("vae").items() if not key.startswith("_")}
    vae = load_weights(
        lambda: AutoencoderKL.from_config(config),
        bundle.weights("vae"),
        device=device,
        rename=modern_attention,
    )
    return vae.to(memory_format=torch.channels_last)


def _grouped(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) == PIECE:
            yield group
            group = []
    if group:
        yield group


def _world(work: Path, split: str, kind: str) -> str:
    """Changes when the shards that ``kind`` comes from do."""
    world = work / "world"
    sounds = fingerprint(world, split)
    return sounds + fingerprint(world, split, frames=True) if kind == "clip" else sounds


def _open(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelMissing(
            f"There are no features in {path}; they are made before a training that needs them."
        )
    tensors = open_weights(path)
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {})["head"]), tensors


def _mark(path: Path) -> str:
    """From what the file was made; empty if there is none, or none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("mark", ""))
    except (OSError, SafetensorError):
        return ""


def _save(path: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    """There whole, or not at all."""
    save_weights({name: tensor.contiguous() for name, tensor in tensors.items()}, path, facts)
