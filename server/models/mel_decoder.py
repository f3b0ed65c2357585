# SPDX-License-Identifier: GPL-3.0-or-later
"""The VAE's decoder, run in chunks along time that fit the processor's cache, with the result of one piece.

Everything but the group norms and the middle attention looks at most one row to each side per convolution.
So each convolution is run on chunks of rows with one more row at either end, together with the norm,
activation, upsampling and residual around it, while the chunk is in the cache. The group norms need the
whole sound: their statistics are gathered while the layer before is written. The middle block is small and
global: it is run whole.

Layout: (1, C, T, F) channels last, T = time, so that a chunk of rows is one piece of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .upsampling import PhaseUpsample, fits, replace_upsamplers

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

Check = Callable[[], None]
Rows = Callable[[int, int], Tensor]  # (start, stop) -> (1, C, stop - start, F)
_LAYOUT = torch.channels_last
CPU_CHUNK_BYTES = 2 * 1024 * 1024  # smaller ones lose more to the start of each operation
DEVICE_CHUNK_BYTES = 512 * 1024 * 1024  # elsewhere a launch costs more than the memory


def nothing() -> None:
    """A check that never stops."""


class MelDecoder:
    """Latents to log-mel, one sound at a time. Takes the decoder out of ``vae`` and changes its layout."""

    def __init__(self, vae: AutoencoderKL) -> None:
        if not streams(vae):
            raise ValueError("a VAE decoder of residual blocks with group norms is needed")
        self._decoder = _own(vae.decoder)
        self._first = _own(vae.post_quant_conv)
        replace_upsamplers(self._decoder.up_blocks)
        self._scaling = float(vae.config.scaling_factor)
        on_cpu = next(vae.parameters()).device.type == "cpu"
        self._chunk_bytes = CPU_CHUNK_BYTES if on_cpu else DEVICE_CHUNK_BYTES

    def __call__(self, latents: Tensor, check: Check = nothing) -> Tensor:
        """latents (B, 8, T, F) -> log-mel (B, 4T, 4F), as ``vae.decode(latents / scaling)`` gives."""
        mels = [self._decode(latent.unsqueeze(0), check) for latent in latents]
        return torch.cat(mels).squeeze(1)

    def _decode(self, latent: Tensor, check: Check) -> Tensor:
        decoder = self._decoder
        x = (latent / self._scaling).contiguous(memory_format=_LAYOUT)
        x = decoder.conv_in(self._first(x))
        check()
        x = decoder.mid_block(x).contiguous(memory_format=_LAYOUT)
        check()
        moments = Moments.of(x)
        for block in decoder.up_blocks:
            for resnet in block.resnets:
                x, moments = self._resnet(resnet, x, moments, check)
            for upsampler in block.upsamplers or ():
                x, moments = self._upsample(upsampler, x, check)
        last = _convolved(decoder.conv_out, x, _normalised(decoder.conv_norm_out, moments))
        return self._stream(last, x.shape[2], x, decoder.conv_out, check)[0]

    def _resnet(self, block: Any, x: Tensor, moments: Moments, check: Check) -> tuple[Tensor, Moments]:
        rows = x.shape[2]
        first = _convolved(block.conv1, x, _normalised(block.norm1, moments))
        hidden, moments = self._stream(first, rows, x, block.conv1, check)
        second = _convolved(block.conv2, hidden, _normalised(block.norm2, moments))

        def with_residual(start: int, stop: int) -> Tensor:
            before = x[:, :, start:stop]
            if block.conv_shortcut is not None:
                before = block.conv_shortcut(before)
            return second(start, stop).add_(before)

        return self._stream(with_residual, rows, hidden, block.conv2, check)

    def _upsample(self, module: PhaseUpsample, x: Tensor, check: Check) -> tuple[Tensor, Moments]:
        def doubled(start: int, stop: int) -> Tensor:
            return module.rows(_with_neighbours(x, start // 2, stop // 2, None))

        return self._stream(doubled, 2 * x.shape[2], x, module.conv, check)

    def _stream(
        self, produce: Rows, rows: int, like: Tensor, conv: nn.Conv2d, check: Check
    ) -> tuple[Tensor, Moments]:
        """All ``rows`` that ``produce(start, stop)`` gives chunk by chunk, and their moments."""
        out: Tensor | None = None
        moments = Moments()
        for start, stop in self._chunks(conv, like, rows):
            check()
            part = produce(start, stop)
            moments.add(part)
            if out is None:
                shape = (1, part.shape[1], rows, part.shape[3])
                out = torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=_LAYOUT)
            out[:, :, start:stop] = part
        assert out is not None
        return out, moments

    def _chunks(self, conv: nn.Conv2d, like: Tensor, rows: int) -> Iterator[tuple[int, int]]:
        """Chunks of equal, even size: small for the cache, but not against the weights, which each reads."""
        weights = conv.weight.numel() * conv.weight.element_size()
        row = like.shape[3] * like.shape[1] * like.element_size()
        pieces = max(1, round(rows * row / max(self._chunk_bytes, 2 * weights)))
        size = 2 * -(-rows // (2 * pieces))
        for start in range(0, rows, size):
            yield start, min(start + size, rows)


class Moments:
    """Mean and variance of each channel, gathered chunk by chunk.

    Sums are taken around the first chunk's mean, so that float32 is enough within a chunk; float64 between.
    """

    def __init__(self) -> None:
        self._count = 0
        self._pivot: Tensor | None = None  # (C,)
        self._sums: Tensor | None = None  # (2, C)

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        moments = cls()
        moments.add(x)
        return moments

    def add(self, part: Tensor) -> None:
        """part: (1, C, T, F), channels last."""
        flat = part.permute(0, 2, 3, 1).reshape(-1, part.shape[1])
        if flat.dtype != torch.float32:
            flat = flat.float()
        if self._pivot is None:
            self._pivot = flat.mean(0)
        centred = flat - self._pivot
        sums = torch.stack((centred.sum(0), centred.square_().sum(0))).to(_wide(part))
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += flat.shape[0]

    def grouped(self, groups: int, eps: float) -> tuple[Tensor, Tensor]:
        """(mean, 1 / standard deviation) of each channel's group, both (C,), in the wide dtype."""
        assert self._pivot is not None
        assert self._sums is not None
        channels = self._pivot.shape[0]
        offset, square = (self._sums / self._count).unbind()
        inside = (square - offset.square()).clamp_min(0).view(groups, -1)
        means = (self._pivot + offset).view(groups, -1)
        mean = means.mean(1, keepdim=True)
        variance = inside.mean(1, keepdim=True) + (means - mean).square().mean(1, keepdim=True)
        scale = (variance + eps).rsqrt()
        spread = (groups, channels // groups)
        return mean.expand(spread).reshape(-1), scale.expand(spread).reshape(-1)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64  # Metal has no float64


def _normalised(norm: nn.GroupNorm, moments: Moments) -> Callable[[Tensor], Tensor]:
    """Group norm and SiLU with known statistics."""
    mean, inverse = moments.grouped(norm.num_groups, norm.eps)
    scale = inverse * norm.weight
    shift = (norm.bias - mean * scale).to(norm.weight.dtype).view(1, -1, 1, 1)
    scale = scale.to(norm.weight.dtype).view(1, -1, 1, 1)
    return lambda part: functional.silu(torch.addcmul(shift, part, scale), inplace=True)


def _convolved(conv: nn.Conv2d, x: Tensor, prepare: Callable[[Tensor], Tensor]) -> Rows:
    """``conv(prepare(x))`` as a function of the rows asked for."""
    return lambda start, stop: functional.conv2d(
        _with_neighbours(x, start, stop, prepare), conv.weight, conv.bias, padding=(0, 1)
    )


def _with_neighbours(x: Tensor, start: int, stop: int, prepare: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Rows start - 1 .. stop + 1, prepared; zeros beyond the ends, as a convolution pads."""
    rows = x.shape[2]
    part = x[:, :, max(start - 1, 0) : min(stop + 1, rows)]
    if prepare is not None:
        part = prepare(part)
    if start == 0 or stop == rows:
        part = functional.pad(part, (0, 0, int(start == 0), int(stop == rows)))
    return part


def _own(module: Any) -> Any:
    """The module in the decoder's layout, with weights of its own, so that the file need not stay mapped."""
    module.to(memory_format=_LAYOUT)
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


def streams(vae: AutoencoderKL) -> bool:
    """Whether the decoder is of the kind known here: residual blocks, group norms, nearest upsampling."""
    config = vae.config
    return (
        all(kind == "UpDecoderBlock2D" for kind in config.up_block_types)
        and config.act_fn in ("silu", "swish")
        and config.use_post_quant_conv
        and all(fits(one) for block in vae.decoder.up_blocks for one in block.upsamplers or ())
    )
