# SPDX-License-Identifier: GPL-3.0-or-later
"""A vocoder for small models: a network that sharpens log-mel to a fine spectrum, and phases found for it.

HiFi-GAN learns to make waves in hundreds of thousands of steps. What a log-mel lacks most is not phase but
the place of each partial within its band, and that is learnt at frame rate, a hundred times cheaper
(``server/evaluation/vocoding.py`` measures it); what it does say is kept to. It lies in the part ``vocoder``
like the other kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ...addon.wire.errors import ModelRefused
from . import mel, phases
from .mel_decoder import Check, nothing

KIND = "footfall_spectral_vocoder"
BINS = mel.N_FFT // 2 + 1
LOUDEST = 6.0  # of a log-magnitude: no levelled sound comes near
_MOST = 40.0  # of a log-magnitude on its way: its exponential is still a number
_NETWORK = {"channels": 4096, "blocks": 64, "kernel": 31}  # the largest that a configuration may ask for
_MOST_ROUNDS = 1000
_AGREEING = 8  # times that a spectrum is corrected by its own log-mel; more change little
_CORRECTIONS = 2  # of the sound, by its own log-mel
_MOST_WRONG = 4.0, 1.0  # of a spectrum's and of a sound's log-mel, in one correction


class SpectrumNetwork(nn.Module):
    """log-mel (B, T, 64) -> log-magnitude (B, T, 513) whose log-mel it is, up to a rest.

    Begins at the mel itself, spread over its bands; learns how the energy lies within them.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(mel.MELS))
        self.register_buffer("scale", torch.ones(mel.MELS))
        self.rise = nn.Conv1d(mel.MELS, channels, kernel, padding=kernel // 2)
        self.blocks = nn.ModuleList(_Block(channels, kernel) for _ in range(blocks))
        self.fall = nn.Linear(channels, BINS)

    def forward(self, mels: Tensor) -> Tensor:
        x = self.rise(((mels - self.mean) / self.scale).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        found = spread(mels) + self.fall(x.transpose(1, 2)).float()
        with torch.autocast(found.device.type, enabled=False):
            return agreed(found, mels.float())


class _Block(nn.Module):
    """Neighbours in time, then the channels of one frame, added to what came in."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.across = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.within = nn.Sequential(
            nn.Conv1d(channels, 2 * channels, 1), nn.SiLU(), nn.Conv1d(2 * channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = x + self.within(self.across(self.norm(x.transpose(1, 2)).transpose(1, 2)))
        return mixed


def spread(mels: Tensor) -> Tensor:
    """(B, T, 64) log-mel -> (B, T, 513): each frequency at the mean log-magnitude of the bands it is in."""
    level = mels - mel.mel_bands().to(mels).sum(0).log()  # of a flat spectrum within the band
    return level @ _shares().to(mels)


def agreed(logs: Tensor, mels: Tensor) -> Tensor:
    """Log-magnitudes (B, T, 513) corrected so that their log-mel is ``mels``. Gradients reach both.

    Each frequency is raised by what its bands lack, as in multiplicative updates (Lee & Seung, Nature 1999).
    """
    bands, shares = mel.mel_bands().to(logs), _shares().to(logs)
    for _ in range(_AGREEING):
        reached = (logs.clamp_max(_MOST).exp() @ bands).clamp_min(mel.FLOOR / 1000.0).log()
        logs = logs + (mels - reached).clamp(-_MOST_WRONG[0], _MOST_WRONG[0]) @ shares
    return logs


def corrected(sound: Tensor, mels: Tensor) -> Tensor:
    """(B, 160 T) with the loudness in every band that ``mels`` (B, T, 64) ask for; T is SHORTEST or more.

    What Griffin-Lim cannot bring together partly cancels itself out, so a sound comes out too quiet.
    """
    bands, shares = mel.mel_bands().to(sound), _shares().to(sound)
    window = torch.hann_window(mel.N_FFT, device=sound.device)
    wanted = torch.cat((mels, mels[:, -1:]), 1).clamp_min(mel.SILENCE)
    for _ in range(_CORRECTIONS):
        spectrum = torch.stft(
            sound, mel.N_FFT, mel.HOP, window=window, pad_mode="reflect", return_complex=True
        )
        reached = (spectrum.abs().transpose(1, 2) @ bands).clamp_min(mel.FLOOR).log()
        gains = ((wanted - reached).clamp(-_MOST_WRONG[1], _MOST_WRONG[1]) @ shares).exp().transpose(1, 2)
        sound = torch.istft(spectrum * gains, mel.N_FFT, mel.HOP, window=window, length=sound.shape[1])
    return sound


@functools.cache
def _shares() -> Tensor:
    """(64, 513) how much each band has to say about each frequency; one in all."""
    with torch.inference_mode(False):  # kept, and training must be able to use it too
        bands = mel.mel_bands()
        share = bands / bands.sum(0)
        inside = share.sum(1, keepdim=True) > 0
        share = torch.where(inside, share, one_hot(_nearest(), mel.MELS).to(share))
        return (share / share.sum(1, keepdim=True)).T.contiguous()


def _nearest() -> Tensor:
    """(513,) the band whose middle is nearest: for the lowest and highest frequencies, which are in none."""
    bands = mel.mel_bands()
    middle = (bands * torch.arange(BINS)[:, None]).sum(0) / bands.sum(0)
    return (torch.arange(BINS)[:, None] - middle).abs().argmin(1)


class SpectralVocoder:
    """log-mel (B, T, 64) -> waveform (B, 160 T) float32 at 16 kHz. ``rounds``: of Griffin-Lim."""

    rate_hz, mels, hop = mel.RATE_HZ, mel.MELS, mel.HOP

    def __init__(self, network: SpectrumNetwork, rounds: int) -> None:
        self._network = network
        self._rounds = rounds

    @torch.inference_mode()
    def __call__(
        self, mels: Tensor, check: Check = nothing, done: Callable[[float], None] = lambda fraction: None
    ) -> Tensor:
        """One row after the other, so that each is the same whatever the others are."""

        weight = self._network.fall.weight
        frames = mels.shape[1]
        held = mels[:, -1:].expand(-1, max(0, phases.SHORTEST - frames), -1)
        wanted = torch.cat((mels, held), 1).to(weight).float()
        sounds = []
        for row in range(len(mels)):
            check()
            one = wanted[row : row + 1]
            logs = self._network(one).float().clamp_max(LOUDEST)

            def within(number: int, row: int = row) -> None:
                check()
                done((row + (number + 1) / (self._rounds + 1)) / len(mels))

            made = phases.sound_of(logs.exp(), rounds=self._rounds, steady=True, check=within)
            sounds.append(corrected(made, one)[:, : frames * self.hop])
        done(1.0)
        return torch.cat(sounds) if sounds else mels.new_zeros(0, mels.shape[1] * self.hop)


def network_of(config: Mapping[str, Any]) -> SpectrumNetwork:
    """The network that the part's configuration describes, with fresh weights. Raises ModelRefused."""
    said: Any = config.get("network")
    sizes: dict[str, Any] = dict(said) if isinstance(said, Mapping) else {}
    within = set(sizes) == set(_NETWORK) and all(
        type(sizes[key]) is int and 1 <= sizes[key] <= most for key, most in _NETWORK.items()
    )
    if not within or not sizes["kernel"] % 2:
        raise ModelRefused("The vocoder's configuration is damaged; pull the model again.", repr(said)[:200])
    return SpectrumNetwork(**sizes)


def rounds_of(config: Mapping[str, Any]) -> int:
    """Raises ModelRefused."""
    rounds = config.get("rounds")
    if type(rounds) is not int or not 1 <= rounds <= _MOST_ROUNDS:
        raise ModelRefused(
            "The vocoder's configuration is damaged; pull the model again.", f"rounds: {rounds!r}"
        )
    return rounds
