# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the VAE's decoder once more, on latents as the UNet leaves them.

The VAE learns on latents of true sounds. What sampling makes differs a little and always alike: fainter in
the highs of a bang, less even in a hum. So true latents are made noisy and sampled from there; the decoder
learns to make of them the sound that they began as. The encoder, and with it what a latent means, stays.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..models.audioldm import AudioLDM, load_audioldm
from ..models.bundle_parts import CONFIGS
from ..models.device import pick_device
from ..models.layouts import Config
from ..sampling import solvers
from ..sampling.quality import Quality, quality
from . import features, mel, parts
from .audioldm import SAMPLING
from .autoencoder import ENCODING
from .features import Features
from .kept import Kept, keep
from .listening import sampled
from .loop import PART, Batch, Player
from .packing import rounded
from .sounds import Sounds, load_sounds
from .vae import distance

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

    from .settings import Settings
    from .shards import Sample

NAME = "decoder"
DEFAULT_STEPS = 1200
NEEDS = ("world", "clap", "vae", "audioldm")
SPLIT = "train"
MOST, TINY_MOST = 60 * 46, 6  # shots that are sampled
BATCH, TINY_BATCH = 8, 2
RATE, FADE = 5e-4, (700, 120)
PROFILE = 1.0  # what the profile of a sound counts for, beside every point of its mel
TRUE = 0.25  # share of the latents that are those of true sounds
FIRST = (0.25, 0.7)  # share of the way, from noise to sound, that is left out
MADE_FOR = "_made_for"  # in the configuration: fingerprint of the VAE that it was
_SAMPLED = "good"
_VERSION = "1"


class DecoderTask:
    """See loop.Task. ``vae``: finished; ``layout``: its configuration; ``latents``: (N, 2, C, T, F) of N
    shots, sampled and true; ``numbers``: which of the ``sounds`` they are to become;
    ``vae_mark``: the part's fingerprint.
    """

    name = NAME

    def __init__(
        self,
        vae: AutoencoderKL,
        layout: Config,
        latents: np.ndarray,
        sounds: Sounds,
        numbers: Sequence[int],
        *,
        vae_mark: str,
        batch: int,
        seed: int,
        warmup: int = 50,
    ) -> None:
        self._layout, self._latents, self._vae_mark = layout, latents, vae_mark
        self._sounds, self._numbers = sounds, numbers
        self._batch, self._seed = batch, seed
        self.vae = vae.float().requires_grad_(False)
        learner = nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})
        self.players = (
            Player(
                name=NAME,
                module=learner.requires_grad_(True),
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=0.01,
                ema=0.99,
                warmup=warmup,
                fade=FADE,
            ),
        )

    def config(self) -> dict[str, Any]:
        """What the weights and every batch depend on; the encoder is that of one VAE."""
        mine = {"layout": self._layout, "shots": len(self._latents), "batch": self._batch}
        return mine | {"seed": self._seed, "vae": self._vae_mark}

    def batch(self, step: int) -> Batch:
        """``latents`` (B, C, T, F) and ``mels`` (B, 1, T * 4, F * 4), by seed and step alone."""
        draw = np.random.default_rng((self._seed, step))
        chosen = draw.integers(len(self._latents), size=self._batch)
        true = (draw.random(self._batch) < TRUE).astype(int)
        latents = torch.from_numpy(self._latents[chosen, true].astype(np.float32))
        waves = np.stack([self._sounds.wave(self._numbers[shot]) for shot in chosen])
        return {"latents": latents, "mels": mel.log_mel(torch.from_numpy(waves)).unsqueeze(1)}

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        found = self.vae.decode(batch["latents"]).sample.float()
        points, whole = distance(found, batch["mels"]), profile(found, batch["mels"])
        return points + PROFILE * whole, {"distance": points.detach(), "profile": whole.detach()}

    def write_part(self, folder: Path) -> None:
        """The VAE as a bundle holds it; what was learnt is rounded (packing.py), the encoder is bit for bit
        the one that was.
        """
        state = {
            name: value if name.startswith(ENCODING) else rounded(value.detach())
            for name, value in self.vae.state_dict().items()
        }
        parts.write(folder, self._layout | {MADE_FOR: self._vae_mark}, state, parts.DIFFUSERS_WEIGHTS)


def fits(work: Path) -> bool:
    """Whether there is a finished decoder, and for the VAE that ``work`` has now."""
    try:
        said = json.loads((work / NAME / PART / CONFIGS["vae"]).read_bytes())
    except FileNotFoundError:
        return False
    return said.get(MADE_FOR) == parts.fingerprint(work, "vae")


def profile(found: Tensor, wanted: Tensor) -> Tensor:
    """How far two log-mels (B, 1, T, F) are apart as wholes, in nepers of power: the mean power of each band,
    and the levels that the sound goes through, sorted, whenever they come.
    """
    powers = [mels.clamp_max(8.0).mul(2.0).exp() for mels in (found, wanted)]
    bands = [power.mean(2).clamp_min(1e-8).log() for power in powers]
    levels = [power.sum(3).clamp_min(1e-8).log().sort(2).values for power in powers]
    apart = [(one - other).abs().mean() for one, other in (bands, levels)]
    return 0.5 * (apart[0] + apart[1])


class Resampler:
    """Latents of true sounds, made noisy and sampled again under their own CLAP rows."""

    def __init__(self, audioldm: AudioLDM, data: Features, chosen: Quality) -> None:
        self._audioldm, self._data, self._quality = audioldm, data, chosen
        self._number = {key: number for number, key in enumerate(data.keys)}

    def __call__(self, sample: Sample) -> np.ndarray:
        """(1, 2, C, T, F) float16: sampled and true."""
        number = self._number[sample.shot.key]
        true = self._data.latents[number].float()
        draw = np.random.default_rng((sample.shot.seed, 7))
        first = int(draw.uniform(*FIRST) * self._quality.steps)
        noise = torch.from_numpy(draw.standard_normal(true.shape, np.float32))
        row = self._data.sounds[number].unsqueeze(0)
        begin = solvers.Begin(latents=true[None].to(self._audioldm.device), step=first)
        found = sampled(self._audioldm, row, self._data.empty, noise[None], self._quality, begin=begin)[
            0
        ].cpu()
        return torch.stack([found, true]).unsqueeze(0).half().numpy()


def resampled(
    work: Path,
    audioldm: AudioLDM,
    data: Features,
    most: int,
    prepared: Callable[[int, int], None] = lambda done, of: None,
) -> Kept:
    """The latents of the world's first ``most`` shots, families in turn, made at the first call.
    ``prepared``: how many are made, and of how many.

    Raises BadInput, SaveError.
    """
    make = Resampler(audioldm, data, quality(_SAMPLED, SAMPLING))
    wanted = set(data.keys[:most])

    def rows(sample: Sample) -> np.ndarray:
        return make(sample) if sample.shot.key in wanted else np.zeros((0, 1), np.float16)

    marks = (parts.fingerprint(work, part) for part in ("unet", "vae", "clap"))
    return keep(
        work / "world",
        SPLIT,
        work / NAME / "kept",
        rows,
        "-".join((_VERSION, str(most), *marks)),
        tick=lambda done: prepared(min(done, len(wanted)), len(wanted)),
    )


def task(work: Path, settings: Settings) -> DecoderTask:
    """Samples the world's shots first, if that is not done yet.

    Raises BadInput when the world has no sounds to learn from, ModelMissing, SaveError.
    """
    device = pick_device(getattr(settings, "device", "auto"))
    features.make(work, (SPLIT,), ("latents", "clap"))
    data = features.load(work, SPLIT, ("latents", "clap"))
    most = TINY_MOST if settings.tiny else MOST
    with tempfile.TemporaryDirectory(dir=work, prefix=f".{NAME}-", ignore_cleanup_errors=True) as folder:
        bundle = parts.assemble(work, ("unet", "scheduler", "vae"), Path(folder))
        audioldm = load_audioldm(bundle, device, torch.float32)
        kept = resampled(work, audioldm, data, most, getattr(settings, "prepared", lambda done, of: None))
        vae, layout = features.load_vae(bundle, torch.device("cpu")), bundle.config("vae")
    number = {key: number for number, key in enumerate(data.keys)}
    return DecoderTask(
        vae,
        layout,
        kept.rows,
        load_sounds(work, SPLIT),
        [number[shot.key] for shot in kept.shots],
        vae_mark=parts.fingerprint(work, "vae"),
        batch=TINY_BATCH if settings.tiny else BATCH,
        seed=settings.seed,
        warmup=2 if settings.tiny else 50,
    )
