# SPDX-License-Identifier: GPL-3.0-or-later
"""Nearest doubling and the 3 x 3 convolution after it, in one, with four ninths of the multiplications.

After doubling, a 3 x 3 window sees at most 2 x 2 different numbers. So each of the four positions inside a
doubled pixel is a 2 x 2 convolution of the original, whose weights are sums of the original ones.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class PhaseUpsample(nn.Module):
    """Takes the place of diffusers' ``Upsample2D``; (B, C, H, W) -> (B, O, 2H, 2W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv  # for sizes that are not doubled
        self.out_channels = conv.out_channels
        layout = torch.channels_last if _is_channels_last(conv.weight) else torch.contiguous_format
        # One for the left and one for the right position, each with the upper and the lower one as channels.
        self._weights = [
            torch.cat(_folded(columns, 2)).to(conv.weight.dtype).contiguous(memory_format=layout)
            for columns in _folded(_wide(conv.weight), 3)
        ]
        self._bias = torch.cat((conv.bias, conv.bias)) if conv.bias is not None else None

    def forward(self, x: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        if output_size is not None and tuple(output_size) != (2 * x.shape[2], 2 * x.shape[3]):
            return self.conv(functional.interpolate(x, size=tuple(output_size), mode="nearest"))
        return self.rows(functional.pad(x, (0, 0, 1, 1)))

    def rows(self, x: Tensor) -> Tensor:
        """x: (B, C, n + 2, W), with the row above and the row below, zeros outside -> (B, O, 2n, 2W)."""
        batch, _, rows, columns = x.shape
        rows, channels = rows - 2, self.out_channels
        layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
        shape = (batch, channels, 2 * rows, 2 * columns)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
        for right, weight in enumerate(self._weights):
            both = functional.conv2d(functional.pad(x, (1 - right, right)), weight, self._bias)
            for lower in range(2):
                part = both[:, lower * channels : (lower + 1) * channels, lower : lower + rows]
                out[:, :, lower::2, right::2] = part
        return out


def fits(module: nn.Module) -> bool:
    """Whether a diffusers ``Upsample2D`` is nearest doubling and a plain 3 x 3 convolution, nothing else."""
    conv = getattr(module, "conv", None)
    return (
        isinstance(conv, nn.Conv2d)
        and getattr(module, "norm", None) is None
        and bool(getattr(module, "interpolate", False))
        and (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
        and (conv.dilation, conv.groups) == ((1, 1), 1)
    )


def replace_upsamplers(blocks: nn.ModuleList) -> None:
    """Puts PhaseUpsample in the place of every upsampler that allows it."""
    for block in blocks:
        upsamplers: Any = getattr(block, "upsamplers", None) or ()
        for index, module in enumerate(upsamplers):
            if fits(module):
                upsamplers[index] = PhaseUpsample(module.conv)


def _folded(weight: Tensor, axis: int) -> list[Tensor]:
    """Three taps along an axis as two, for the first and for the second of the doubled positions."""
    before, at, after = weight.unbind(axis)
    return [torch.stack((before, at + after), axis), torch.stack((before + at, after), axis)]


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _wide(weight: Tensor) -> Tensor:
    return weight.float() if weight.device.type == "mps" else weight.double()  # Metal has no float64
