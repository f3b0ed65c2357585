# SPDX-License-Identifier: GPL-3.0-or-later
"""3 x 3 convolutions over few pixels as one matrix product: for a processor, where the weights are larger
than the picture.

A processor's convolution first brings all its weights into an order of its own. In the deepest layers of the
UNet that costs as much as the convolution, at every step. A matrix product takes the weights as they lie.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

MOST_PIXELS = 128  # of all pictures of a batch; beyond it the ordinary convolution is faster


class SmallConv(nn.Module):
    """Takes the place of a 3 x 3 convolution with padding 1; (B, C, H, W) -> (B, O, H, W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        if batch * height * width > MOST_PIXELS:
            return self.conv(x)
        columns = functional.unfold(x, 3, padding=1)  # (B, 9C, H * W)
        found = torch.matmul(self.conv.weight.flatten(1), columns)
        if self.conv.bias is not None:
            found += self.conv.bias.view(1, -1, 1)
        return found.view(batch, -1, height, width)


def replace_small_convs(module: nn.Module) -> None:
    """Puts SmallConv in the place of every convolution that allows it, but not inside another one."""
    for name, child in list(module.named_children()):
        if isinstance(child, SmallConv):
            continue
        if isinstance(child, nn.Conv2d) and _fits(child):
            setattr(module, name, SmallConv(child))
        else:
            replace_small_convs(child)


def _fits(conv: nn.Conv2d) -> bool:
    return (
        (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
        and (conv.dilation, conv.groups) == ((1, 1), 1)
        and conv.padding_mode == "zeros"
    )
