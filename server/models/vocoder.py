# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder: log-mel to waveform with the weights of transformers' SpeechT5HifiGan.

The same sums as that class, but with the sound as a picture of one row, channels last, which the
processor's convolutions like best; in chunks of the receptive field's overlap when the sound is long; and
with a question between layers whether to go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ...addon.wire.errors import ModelRefused
from . import spectral_vocoder
from .mel_decoder import Check, nothing
from .spectral_vocoder import SpectralVocoder
from .weights import load_weights

if TYPE_CHECKING:
    from transformers import SpeechT5HifiGan

    from .bundle import Bundle

CHUNK_FRAMES = 1024  # 10.24 s: what the models were made for, and long against the overlap of some 40 frames
FRAMES_AT_ONCE = CHUNK_FRAMES  # takes times frames in one call; more is slower on a processor ...
DEVICE_FRAMES_AT_ONCE = 16 * CHUNK_FRAMES  # ... and faster elsewhere
_LAST_SLOPE = 0.01  # before the last convolution; not in the configuration


@dataclass(frozen=True, slots=True)
class _Conv:
    """A one-dimensional convolution as a two-dimensional one of height 1."""

    weight: Tensor  # (O, I, 1, K), or (I, O, 1, K) when transposed
    bias: Tensor | None
    padding: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    transposed: bool

    @classmethod
    def of(cls, conv: nn.Conv1d | nn.ConvTranspose1d) -> _Conv:
        weight = conv.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return cls(
            weight,
            None
            if conv.bias is None
            else conv.bias.detach().clone(),  # so that the file need not stay mapped
            (0, int(conv.padding[0])),
            (1, conv.stride[0]),
            (1, conv.dilation[0]),
            isinstance(conv, nn.ConvTranspose1d),
        )

    def __call__(self, x: Tensor) -> Tensor:
        if self.transposed:
            return functional.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)
        return functional.conv2d(x, self.weight, self.bias, 1, self.padding, self.dilation)

    @property
    def reach(self) -> int:
        """Input positions to either side that one output sees."""
        return (self.weight.shape[3] - 1) * self.dilation[1] // 2


_Pairs = list[tuple[_Conv, _Conv]]


class Vocoder:
    """log-mel (B, T, mels) -> waveform (B, T * hop) float32 at ``rate_hz``. ``module`` is taken apart."""

    def __init__(self, module: SpeechT5HifiGan) -> None:
        config = module.config
        self.rate_hz = int(config.sampling_rate)
        self.mels = int(config.model_in_dim)
        self.hop = math.prod(config.upsample_rates)
        self._slope = float(config.leaky_relu_slope)
        self._scale = (module.mean, module.scale) if config.normalize_before else None
        self._first, self._last = _Conv.of(module.conv_pre), _Conv.of(module.conv_post)
        kernels = len(config.resblock_kernel_sizes)
        self._stages: list[tuple[_Conv, list[_Pairs]]] = []
        for index, up in enumerate(module.upsampler):
            blocks = module.resblocks[index * kernels : (index + 1) * kernels]
            assert isinstance(up, nn.ConvTranspose1d)
            self._stages.append((_Conv.of(up), [_pairs(block) for block in blocks]))
        self.reach_frames = self._reach()
        self._work = self._multiplications()

    def __call__(
        self, mel: Tensor, check: Check = nothing, done: Callable[[float], None] = lambda fraction: None
    ) -> Tensor:
        """mel (B, T, mels) -> (B, T * hop) float32. ``check`` and ``done`` (fraction) between layers."""
        mel = mel.to(self._first.weight)
        takes, frames, _ = mel.shape
        most = FRAMES_AT_ONCE if mel.device.type == "cpu" else DEVICE_FRAMES_AT_ONCE
        at_once = max(1, most // min(frames, CHUNK_FRAMES))
        size = math.ceil(frames / math.ceil(frames / CHUNK_FRAMES))
        chunks = [
            (slice(first, min(first + at_once, takes)), start, min(start + size, frames))
            for first in range(0, takes, at_once)
            for start in range(0, frames, size)
        ]
        out = torch.empty((takes, frames * self.hop), dtype=torch.float32, device=mel.device)
        for number, (rows, start, stop) in enumerate(chunks):

            def within(share: float, number: int = number) -> None:
                check()
                done((number + share) / len(chunks))

            before = max(start - self.reach_frames, 0)
            sound = self._whole(mel[rows, before : stop + self.reach_frames], within)
            sound = sound[:, (start - before) * self.hop : (stop - before) * self.hop]
            out[rows, start * self.hop : stop * self.hop] = sound
        done(1.0)
        return out

    def _whole(self, mel: Tensor, within: Callable[[float], None]) -> Tensor:
        if self._scale is not None:
            mel = (mel - self._scale[0]) / self._scale[1]
        x = mel.transpose(1, 2).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        within(0.0)
        x = self._first(x)
        spent = 0
        for up, blocks in self._stages:
            x = up(functional.leaky_relu_(x, self._slope))
            total: Tensor | None = None
            for block in blocks:
                hidden = x
                for dilated, plain in block:
                    within(spent / self._work)
                    inner = dilated(functional.leaky_relu(hidden, self._slope))
                    spent += dilated.weight.numel() * x.shape[3] // mel.shape[1]
                    within(spent / self._work)
                    hidden = plain(functional.leaky_relu_(inner, self._slope)).add_(hidden)
                    spent += plain.weight.numel() * x.shape[3] // mel.shape[1]
                total = hidden if total is None else total.add_(hidden)
            assert total is not None
            x = total.div_(len(blocks))
        x = self._last(functional.leaky_relu_(x, _LAST_SLOPE))
        return torch.tanh(x)[:, 0, 0].float()

    def _reach(self) -> int:
        """Mel frames to either side that one frame's samples depend on."""
        samples = self._last.reach
        for up, blocks in reversed(self._stages):
            samples += max(sum(one.reach + two.reach for one, two in block) for block in blocks)
            samples = math.ceil((samples + up.weight.shape[3]) / up.stride[1])
        return samples + self._first.reach

    def _multiplications(self) -> int:
        """Of the residual blocks, for one mel frame: nearly all there are. A little more, for rounding."""
        rate, work = 1, 0
        for up, blocks in self._stages:
            rate *= up.stride[1]
            work += rate * sum(one.weight.numel() for block in blocks for pair in block for one in pair)
        return work + work // 20


def load_vocoder(bundle: Bundle, device: Any, dtype: torch.dtype) -> Vocoder | SpectralVocoder:
    """The vocoder of a bundle, of either kind. Raises ModelMissing, ModelRefused."""
    return vocoder_of(bundle.config("vocoder"), bundle.weights("vocoder"), device, dtype)


def vocoder_of(
    config: Mapping[str, Any], weights: Path, device: Any, dtype: torch.dtype
) -> Vocoder | SpectralVocoder:
    """A vocoder from its configuration and its safetensors file; the spectral kind in float32, which it is
    small enough for. Raises ModelMissing, ModelRefused.
    """
    if config.get("model_type") == spectral_vocoder.KIND:
        rounds = spectral_vocoder.rounds_of(config)
        network = load_weights(lambda: spectral_vocoder.network_of(config), weights, device=device)
        return SpectralVocoder(network, rounds)
    from huggingface_hub.errors import StrictDataclassError
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    try:
        public = SpeechT5HifiGanConfig(**{k: v for k, v in config.items() if k != "architectures"})
        odd = all(size % 2 for size in public.resblock_kernel_sizes)
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise ModelRefused(
            "The vocoder's configuration is damaged; pull the model again.", str(error)
        ) from error
    if not odd or len(public.upsample_rates) != len(public.upsample_kernel_sizes):
        raise ModelRefused("The vocoder of this model is of a kind that Footfall does not know.")
    return Vocoder(load_weights(lambda: SpeechT5HifiGan(public), weights, device=device, dtype=dtype))


def _pairs(block: Any) -> _Pairs:
    both = zip(block.convs1, block.convs2, strict=True)
    return [(_Conv.of(dilated), _Conv.of(plain)) for dilated, plain in both]
