# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains AudioToken's embedder (Yariv et al. 2023, arXiv:2305.13050): sounds become words of a painter.

The loss is the painter's own: how well it finds back a noisy frame of the shot when "a photo of a" is
followed by the token of the shot's sound; plus a little of the token's size, and on request of its distance
from the label's words. Ear and painter do not change, which their hashes prove, before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ...addon.wire.errors import BadInput, ModelError
from ..models.audio_depths import HEARS_HZ, ClapEar, Ear, listen
from ..models.audiotoken import PROMPT, Embedder, embedder_config
from ..models.clap import ClapEncoder
from ..models.device import pick_device
from ..models.finding import find_bundle
from ..models.mel_decoder import nothing
from ..models.painter import Painter, load_painter
from . import mel, parts
from .kept import Kept, keep
from .loop import Batch, Player
from .painter import kept_latents
from .picture_layout import picture_layout
from .shards import Sample
from .shards import fingerprint as shards_mark
from .synth.shot import SECONDS
from .world_pairs import space_of

NAME = "audiotoken"
DEFAULT_STEPS = 7000
NEEDS = ("world", "clap", "painter")
PARTS = ("clap", *(f"pictures/{part}" for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler")))

L1 = 0.01  # the paper's weights of the token's size
LABEL = 0.0  # and of its label; the paper's 0.01 is off there, too
CUT_S = 1.0  # the second hearing of each shot is so short, so that short sounds are known
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``hidden``: the embedder's inner width; 0: as wide as the places, as in the paper. ``fade``: of the
    rate (``seats.Player``); a painter's loss is so noisy that the last steps must be small ones.
    """

    batch: int = 16
    rate: float = 1e-3
    hidden: int = 256
    ema: float = 0.998
    warmup: int = 100
    weight_decay: float = 0.01
    fade: tuple[int, int] = (5500, 300)


FULL = Recipe()
TINY = Recipe(batch=4, hidden=16, ema=0.9, warmup=2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """N shots that can be seen and heard. places: N arrays of (V, P, C) float16, V hearings of a shot;
    latents: N of (F, ...) float16, its frames; labels: N words; rows of both are mapped and not read.
    """

    places: tuple[np.ndarray, ...]
    latents: tuple[np.ndarray, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


class AudioTokenTask:
    """See loop.Task. ``label``: weight of the label loss."""

    name = NAME

    def __init__(
        self, pairs: Pairs, ear: Ear, painter: Painter, recipe: Recipe, *, seed: int, label: float = LABEL
    ) -> None:
        if not len(pairs):
            raise BadInput("There is no shot that has pictures and a sound; make some: footfall train world")
        self._pairs, self._ear, self._painter = pairs, ear, painter
        self._recipe, self._seed, self._label = recipe, seed, label
        words = sorted(set(pairs.labels))
        self._words = torch.stack([painter.word(text) for text in words]).float().cpu()
        self._word_of = [words.index(text) for text in pairs.labels]
        torch.manual_seed(seed)
        self.embedder = Embedder(ear.width, painter.width, recipe.hidden or None)
        speak_like(self.embedder, self._words)
        self._before = self.frozen()
        self.players = (
            Player(
                name="embedder",
                module=self.embedder,
                loss=self._loss,
                rate=recipe.rate,
                weight_decay=recipe.weight_decay,
                ema=recipe.ema,
                warmup=recipe.warmup,
                fade=recipe.fade,
            ),
        )

    def config(self) -> dict[str, Any]:
        """What the weights and every batch depend on."""
        return {
            "network": dict(self.embedder.sizes),
            "hears": self._ear.space.sha256,
            "paints": self._painter.backbone.sha256,
            "shots": len(self._pairs),
            "batch": self._recipe.batch,
            "rate": self._recipe.rate,
            "ema": self._recipe.ema,
            "label": self._label,
            "seed": self._seed,
        }

    def frozen(self) -> dict[str, str]:
        """Hash of every network that must not change: the painter's by name, and the ear's."""
        found = {name: fingerprint([module]) for name, module in self._painter.modules.items()}
        return found | {"ear": fingerprint(self._ear.modules)}

    def batch(self, step: int) -> Batch:
        """``places`` (B, P, C) of a hearing, ``latents`` (B, ...) of a frame of the same shot, and ``labels``
        (B, W), the mean of its words.
        """
        draw = np.random.default_rng((self._seed, step))
        chosen = draw.integers(0, len(self._pairs), self._recipe.batch)

        def some(rows: tuple[np.ndarray, ...]) -> Tensor:
            drawn = [rows[shot][draw.integers(len(rows[shot]))] for shot in chosen]
            return torch.from_numpy(np.stack(drawn).astype(np.float32))

        return {
            "places": some(self._pairs.places),
            "latents": some(self._pairs.latents),
            "labels": self._words[[self._word_of[shot] for shot in chosen]],
        }

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        tokens = self.embedder(batch["places"])
        conditions = self._painter.read([PROMPT] * len(tokens), tokens)
        error = self._painter.loss(batch["latents"], conditions, generator).float().mean()
        size = tokens.float().abs().mean()
        cosine = cosine_similarity(tokens.float(), batch["labels"], dim=-1)
        loss = error + L1 * size
        if self._label:
            loss = loss + self._label * (1.0 - cosine).square().mean()
        said = {"error": error, "size": size, "label": cosine.mean()}
        return loss, {name: value.detach() for name, value in said.items()}

    def write_part(self, folder: Path) -> None:
        """``pictures/embedder``, weights in float16. Raises ModelError if anything else has changed."""
        frozen = self.frozen()
        if frozen != self._before:
            raise ModelError(
                "The training has changed a network that it must leave alone; begin it anew.", repr(frozen)
            )
        own = count([self.embedder])
        whole = own + count(self._painter.modules.values()) + count(self._ear.modules)
        trained = {
            "parameters": own,
            "share": round(own / whole, 4),
            "shots": len(self._pairs),
            "l1": L1,
            "label": self._label,
            "frozen": frozen,
        }
        config = embedder_config(self._ear, self._painter.backbone, self.embedder, trained)
        write(self.embedder, config, folder)


@torch.no_grad()
def speak_like(embedder: Embedder, words: Tensor) -> None:
    """Starts tokens in the midst of the words (N, W) that the painter knows, spread about as wide as they."""
    spread = words.std(0, unbiased=False).mean() if len(words) > 1 else words.std(unbiased=False)
    embedder.fall.weight.mul_(spread / embedder.fall.weight.std() / embedder.fall.in_features**0.5)
    embedder.fall.bias.copy_(words.mean(0))


def fingerprint(modules: Iterable[nn.Module]) -> str:
    """sha256 over the names, types and bits of every parameter and buffer."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items():
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\0".encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def count(modules: Iterable[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def write(embedder: Embedder, config: Mapping[str, Any], folder: Path) -> None:
    """``config.json`` and ``model.safetensors``, in a new or existing folder."""
    parts.write(folder, config, embedder.state_dict())


def hearings(ear: Ear, sample: Sample) -> np.ndarray:
    """(2, P, C) float16: the whole shot, and a second of it; (0, P, C) where there is no picture of it."""
    if not sample.jpegs:
        return np.zeros((0, 1, ear.width), np.float16)
    sound = mel.to_16k(sample.sound_48k)
    start = int(np.random.default_rng(sample.shot.seed).uniform(0.0, SECONDS - CUT_S) * HEARS_HZ)
    cut = sound[start : start + int(CUT_S * HEARS_HZ)]
    loud = float(np.abs(cut).max()) >= 0.1 * float(np.abs(sound).max())
    rows = listen(ear, [sound, cut if loud else sound], HEARS_HZ)
    return torch.stack(rows).cpu().numpy().astype(np.float16)


def seen(painter: Painter, sample: Sample) -> np.ndarray:
    """(F, ...) float16 latents of the shot's frames; (0, ...) without any."""
    frames = sample.frames
    if not len(frames):
        return np.zeros((0, 1), np.float16)
    return painter.latents(frames).cpu().numpy().astype(np.float16)


def load_pairs(work: Path, ear: Ear, painter: Painter, frames: Kept | None = None) -> Pairs:
    """The world's shots as ear and painter take them in, made at the first call.

    ``frames``: latents of this painter that are there already. Raises BadInput when the world has no shots,
    SaveError when the disk is full.
    """
    world, folder = work / "world", work / NAME
    ears = f"ear-{_VERSION}-{fingerprint(ear.modules)[:12]}-{shards_mark(world, 'train')[:12]}"
    heard = keep(world, "train", folder / "heard", lambda one: hearings(ear, one), ears, frames=True)
    if frames is None:
        eyes = f"eye-{_VERSION}-{fingerprint([painter.modules['vae']])[:12]}"
        frames = keep(world, "train", folder / "seen", lambda one: seen(painter, one), eyes, frames=True)
    places, latents = _by_key(heard), _by_key(frames)
    shots = [shot for shot in heard.shots if shot.key in latents]
    return Pairs(
        places=tuple(places[shot.key] for shot in shots),
        latents=tuple(latents[shot.key] for shot in shots),
        labels=tuple(shot.family.replace("_", " ") for shot in shots),
    )


def _by_key(kept: Kept) -> dict[str, np.ndarray]:
    ends = zip(kept.shots, kept.start, kept.start[1:], strict=False)
    return {shot.key: kept.rows[start:stop] for shot, start, stop in ends}


def task(work: Path, settings: Any) -> AudioTokenTask:
    """Hears and sees the world first, if that is not done yet.

    Raises ModelMissing, ModelRefused, BadInput, SaveError.
    """
    device, model = pick_device(getattr(settings, "device", "auto")), getattr(settings, "model", None)
    with tempfile.TemporaryDirectory(dir=work, prefix=".audiotoken-", ignore_cleanup_errors=True) as folder:
        clap, painter = _models(work, model, Path(folder), device)
        ear = ClapEar(clap)
        own = kept_latents(work, picture_layout(tiny=settings.tiny)) if not model else None
        return AudioTokenTask(
            load_pairs(work, ear, painter, own),
            ear,
            painter,
            TINY if settings.tiny else FULL,
            seed=settings.seed,
            label=getattr(settings, "label", LABEL),
        )


def _models(work: Path, model: str | None, folder: Path, device: torch.device) -> tuple[ClapEncoder, Painter]:
    """Those of the bundle ``model``, or the finished parts of ``work``, copied into ``folder``."""
    bundle = find_bundle(model, work, paths=True) if model else parts.assemble(work, PARTS, folder)
    clap = ClapEncoder.load(bundle, device, torch.float32)
    if not model:
        clap.space = space_of(work, "clap")
    painter = load_painter(bundle, device, torch.float32, nothing)
    if device.type == "cpu":  # where the gradient of fused attention is slow, see ``unet.build``
        painter.modules["unet"].set_attn_processor(AttnProcessor())  # type: ignore[operator]
    return clap, painter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``footfall train audiotoken`` that no other part has."""
    parser.add_argument(
        "--model", metavar="DIR", help="a bundle that paints and hears, instead of the work's"
    )
    parser.add_argument(
        "--label",
        type=float,
        default=LABEL,
        metavar="WEIGHT",
        help=f"of the label loss, 0 for none ({LABEL:g}; the paper says 0.01)",
    )
