# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the vocoder: transformers' SpeechT5HifiGan from AudioLDM's log-mel to 16 kHz sound.

First spectral distances alone; from step ``CRITIC_FROM`` on also critics that look at spectra of several
resolutions and tell real sounds from made ones (as in UnivNet, Jang et al., 2021), with their features
matched. Half of what it hears is the world, half is general (``general.py``), so that it plays what no world
has in it; most of it is worn as recordings are (``worn.py``). Some mels are blurred as a VAE blurs them.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.layouts import Config
from ..models.mel import magnitude
from ..models.weights import save_weights
from . import mel
from .critic import Critic, critic_loss, fooled
from .general import as_recorded
from .seats import Batch, Player
from .settings import Settings
from .sounds import SAMPLES, Sounds, load_general, load_sounds
from .starter_layout import SPECTRAL, TINY_SPECTRAL, starter_layout
from .worn import worn

if TYPE_CHECKING:
    from transformers import SpeechT5HifiGan

    from .spectral import SpectralTask

NAME = "vocoder-hifigan"  # its folder; the spectral kind has ``vocoder``
SPLIT = "train"
DEFAULT_STEPS = 8_000
NEEDS = ("world",)

KINDS = ("spectral", "hifigan")

BATCH, FRAMES = 4, 64  # sounds in a step, and mel frames of each
MARGIN = 4  # frames to either side that the analysis needs to see
RATE, CRITIC_RATE = 1e-3, 4e-4
CRITIC_FROM = 2500
ADVERSARIAL, FEATURES = 0.1, 0.2  # weights beside the spectral distances
MEL = 1.0
SIZES = (2048, 1024, 512, 256)  # of the windows that the spectra are compared in
GENERAL, CHANGED, WORN, ALONE, BLURRED = 0.45, 0.5, 0.7, 0.5, 0.1  # shares
GENERAL_SOUNDS = 2048
GAIN_DB = 3.0  # standard deviation
LOUDEST = 0.99


class VocoderTask:
    """Log-mels to sound (loop.Task). ``critic_from``: the step from which the critics have a say."""

    name = NAME

    def __init__(
        self,
        sounds: Sounds,
        general: Sounds,
        layout: Config,
        *,
        batch: int,
        frames: int,
        critic_from: int,
        critic_channels: int,
        seed: int,
        warmup: int = 200,
    ) -> None:
        self._sounds, self._general, self._layout = sounds, general, layout
        self._batch, self._frames, self._seed = batch, frames, seed
        self._critic_from, self._critic_channels = critic_from, critic_channels
        torch.manual_seed(seed)
        self.vocoder = build(layout)
        rows = self._drawn(np.random.default_rng((seed, 0)), 64)["mels"].flatten(0, 1)
        self.vocoder.mean.copy_(rows.mean(0))
        self.vocoder.scale.copy_(rows.std(0).clamp_min(0.5))
        self.critic = Critic(critic_channels)
        self._made: Tensor | None = None
        self.players = (
            Player(
                name="vocoder",
                module=self.vocoder,
                loss=self._loss,
                rate=RATE,
                betas=(0.8, 0.98),
                weight_decay=0.001,
                ema=0.998,
                warmup=warmup,
                clip=5.0,
            ),
            Player(
                name="critic",
                module=self.critic,
                loss=self._critic_loss,
                rate=CRITIC_RATE,
                betas=(0.8, 0.98),
                weight_decay=0.01,
                clip=5.0,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "layout": self._layout,
            "batch": self._batch,
            "frames": self._frames,
            "critic_from": self._critic_from,
            "critic_channels": self._critic_channels,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        drawn = self._drawn(np.random.default_rng((self._seed, 1, step)), self._batch)
        return {**drawn, "judged": torch.tensor(step >= self._critic_from)}

    def _drawn(self, draw: np.random.Generator, count: int) -> Batch:
        """ "mels" (count, frames, 64) and the sound under them, "waves" (count, frames * 160)."""
        return heard(self._sounds, self._general, draw, count, self._frames)

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        waves = batch["waves"]
        made = play(self.vocoder, batch["mels"])[:, : waves.shape[1]].float()
        spectra = spectral_distance(made, waves)
        heard = (mel.log_mel(made) - mel.log_mel(waves)).abs().mean()
        loss = spectra + MEL * heard
        parts = {"spectra": spectra, "mel": heard}
        self._made = made.detach()
        if bool(batch["judged"]):
            adversarial, features = fooled(self.critic, waves, made)
            loss = loss + ADVERSARIAL * adversarial + FEATURES * features
            parts |= {"adversarial": adversarial, "features": features}
        return loss, {key: value.detach() for key, value in parts.items()}

    def _critic_loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """On the sounds that the vocoder has just made."""
        if not bool(batch["judged"]) or self._made is None:
            return torch.zeros((), device=batch["waves"].device), {}
        return critic_loss(self.critic, batch["waves"], self._made), {}

    def write_part(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: v.detach().cpu().contiguous() for name, v in self.vocoder.state_dict().items()}
        (folder / "config.json").write_text(json.dumps(self._layout, indent=2) + "\n", encoding="utf-8")
        save_weights(weights, folder / "model.safetensors", {"format": "pt"})


def heard(sounds: Sounds, general: Sounds, draw: np.random.Generator, count: int, frames: int) -> Batch:
    """What a vocoder learns from: "mels" (count, frames, 64), and the sound under them, "waves"
    (count, frames * 160).
    """
    samples = (frames + 2 * MARGIN) * mel.HOP
    waves = torch.from_numpy(np.stack([_sound(sounds, general, draw, samples) for _ in range(count)]))
    mels = mel.log_mel(waves)[:, MARGIN:-MARGIN]
    blurred = torch.from_numpy(draw.random(count) < BLURRED)[:, None, None]
    keep = MARGIN * mel.HOP
    return {"mels": torch.where(blurred, blur(mels), mels), "waves": waves[:, keep:-keep].contiguous()}


def _sound(sounds: Sounds, general: Sounds, draw: np.random.Generator, samples: int) -> np.ndarray:
    """(samples,) float32: a stretch of a sound, or as loud as a sound that is no longer than that."""
    is_general = draw.random() < GENERAL
    source = general if is_general else sounds
    start = int(draw.integers(SAMPLES - samples + 1))
    wave = source.wave(int(draw.integers(len(source))), start, samples)
    if not is_general and draw.random() < CHANGED:
        wave = as_recorded(draw, wave) * np.abs(wave).max()
    if draw.random() < WORN:
        wave = worn(draw, wave)
    if draw.random() < ALONE:
        wave = mel.level(wave)
    gain = min(10.0 ** (draw.normal(0.0, GAIN_DB) / 20.0), LOUDEST / max(float(np.abs(wave).max()), 1e-9))
    return (wave * np.float32(gain)).astype(np.float32)


def build(layout: Config) -> SpeechT5HifiGan:
    """A vocoder with fresh weights that neither die out nor blow up on the way."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    plain = {key: value for key, value in layout.items() if key not in ("architectures", "model_type")}
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**plain))
    with torch.no_grad():
        for name, one in vocoder.named_modules():
            if isinstance(one, nn.ConvTranspose1d):
                fan_in = one.in_channels * one.kernel_size[0] / one.stride[0]
            elif isinstance(one, nn.Conv1d):
                fan_in = one.in_channels * one.kernel_size[0]
            else:
                continue
            gain = 0.4 if "convs2" in name else 0.3 if name == "conv_post" else math.sqrt(2.0)
            one.weight.normal_(0.0, gain / math.sqrt(fan_in))
            if one.bias is not None:
                one.bias.zero_()
    return vocoder


def play(vocoder: SpeechT5HifiGan, mels: Tensor) -> Tensor:
    """(B, T, 64) -> (B, 160 T): the module's own sums, with the sound as a picture of one row, channels last,
    which a processor convolves in two thirds of the time.
    """
    slope, kernels = float(vocoder.config.leaky_relu_slope), vocoder.num_kernels
    rows = (mels - vocoder.mean) / vocoder.scale if vocoder.config.normalize_before else mels
    x = rows.transpose(1, 2).unsqueeze(2).contiguous(memory_format=torch.channels_last)
    x = _convolved(vocoder.conv_pre, x)
    for index, up in enumerate(vocoder.upsampler):
        x = _convolved(up, functional.leaky_relu(x, slope))
        blocks = []
        some: Any = vocoder.resblocks[index * kernels : (index + 1) * kernels]
        for block in some:
            hidden = x
            for dilated, plain in zip(block.convs1, block.convs2, strict=True):
                inner = _convolved(dilated, functional.leaky_relu(hidden, slope))
                hidden = _convolved(plain, functional.leaky_relu(inner, slope)) + hidden
            blocks.append(hidden)
        x = sum(blocks[1:], blocks[0]) / len(blocks)
    return torch.tanh(_convolved(vocoder.conv_post, functional.leaky_relu(x)))[:, 0, 0]


def _convolved(conv: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(conv, nn.Conv1d | nn.ConvTranspose1d)
    weight, padding = conv.weight.unsqueeze(2), (0, int(conv.padding[0]))
    if isinstance(conv, nn.ConvTranspose1d):
        return functional.conv_transpose2d(x, weight, conv.bias, (1, conv.stride[0]), padding)
    return functional.conv2d(x, weight, conv.bias, 1, padding, (1, conv.dilation[0]))


def spectral_distance(made: Tensor, waves: Tensor) -> Tensor:
    """(B, samples) each: spectral convergence and log-magnitude distance, mean over several resolutions
    (Yamamoto et al., ICASSP 2020).
    """
    total = made.new_zeros(())
    for size in SIZES:
        ours, theirs = magnitude(made, size, size // 4), magnitude(waves, size, size // 4)
        apart = torch.linalg.vector_norm(theirs - ours, dim=(1, 2))
        converged = (apart / torch.linalg.vector_norm(theirs, dim=(1, 2)).clamp_min(1e-3)).clamp_max(3.0)
        logs = (ours.clamp_min(1e-4).log() - theirs.clamp_min(1e-4).log()).abs().mean()
        total = total + converged.mean() + logs
    return total / len(SIZES)


def blur(mels: Tensor) -> Tensor:
    """(B, T, F) log-mels without their finest grain, as a VAE leaves them."""
    weights = torch.tensor([0.25, 0.5, 0.25])
    kernel = (weights[:, None] * weights[None]).view(1, 1, 3, 3)
    rows = functional.pad(mels.unsqueeze(1), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(rows, kernel)[:, 0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", choices=KINDS, default=KINDS[0], help="spectral is the starter's, hifigan the public one"
    )


def task(work: Path, settings: Settings) -> VocoderTask | SpectralTask:
    """Raises BadInput when the world has no sounds to learn from."""
    from . import spectral

    small = settings.tiny
    sounds, warmup = load_sounds(work, SPLIT), 2 if small else 200
    general = load_general(work, 8 if small else GENERAL_SOUNDS)
    if getattr(settings, "kind", KINDS[0]) == "spectral":
        return spectral.SpectralTask(
            sounds,
            general,
            TINY_SPECTRAL if small else SPECTRAL,
            batch=2 if small else spectral.BATCH,
            frames=24 if small else spectral.FRAMES,
            sounding_from=2 if small else spectral.SOUNDING_FROM,
            seed=settings.seed,
            warmup=warmup,
        )
    return VocoderTask(
        sounds,
        general,
        starter_layout(tiny=small).vocoder,
        batch=2 if small else BATCH,
        frames=16 if small else FRAMES,
        critic_from=2 if small else CRITIC_FROM,
        critic_channels=4 if small else 16,
        seed=settings.seed,
        warmup=warmup,
    )
