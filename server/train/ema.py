# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow average of a network's weights, which is what a finished part holds. Nothing here knows the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of the parameters that are trained.

    ``decay``: of each update in the long run. Early updates count more, (1 + n) / (10 + n) at most, so that
    the random start is soon forgotten. Buffers, such as running means, are not averaged.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Takes in the weights as they are now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        live = dict(module.named_parameters())
        torch._foreach_lerp_(
            list(self.weights.values()), [live[name].detach() for name in self.weights], 1.0 - decay
        )

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], updates: int) -> None:
        """Goes on from what a checkpoint held."""
        self.updates = updates
        for name, mine in self.weights.items():
            mine.copy_(weights[name])


@contextmanager
def swapped(module: nn.Module, average: Average | None) -> Iterator[None]:
    """Inside, ``module`` has the averaged weights and is in its eval mode; what is done to it is undone.

    Without an average it keeps its own weights.
    """
    was_training = {name: m.training for name, m in module.named_modules()}
    kept = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    try:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if average is not None and name in average.weights:
                    parameter.copy_(average.weights[name])
        module.eval()
        yield
    finally:
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                tensor.copy_(kept[name])
        for name, m in module.named_modules():
            m.training = was_training.get(name, m.training)
