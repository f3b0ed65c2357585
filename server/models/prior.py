# SPDX-License-Identifier: GPL-3.0-or-later
"""The generative mapper's network: a diffusion prior over CLAP embeddings, on diffusers' PriorTransformer.

Settings after Ramesh et al. 2022 (arXiv 2204.06125) and the public prior that the paper's parameter count
points to: x0 prediction, 1000 steps with a cosine schedule, targets scaled by sqrt(D), stochastic DDIM (eta
1) in 64 steps. Four tokens are processed: condition, time, noisy target, query. 48.6 M parameters at 512
wide, 15 layers, 8 heads of 64; the paper publishes 48.83 M.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from diffusers import PriorTransformer
from torch import Tensor, nn
from torch.nn.functional import normalize

TRAIN_STEPS = 1000
MAX_BETA = 0.999  # Nichol and Dhariwal's bound, which keeps the last step from losing everything at once

Progress = Callable[[float], None]


@cache
def signal_power() -> tuple[float, ...]:
    """The share of the target's power that is left at each training step (alpha-bar), falling from nearly 1
    to nearly 0: cosine schedule of Nichol and Dhariwal 2021.
    """

    def wanted(step: int) -> float:
        return math.cos((step / TRAIN_STEPS + 0.008) / 1.008 * math.pi / 2) ** 2

    shares, left = [], 1.0
    for step in range(TRAIN_STEPS):
        left *= 1.0 - min(1.0 - wanted(step + 1) / wanted(step), MAX_BETA)
        shares.append(left)
    return tuple(shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reverse step: the sample becomes ``target`` x0 + ``sample`` of itself + ``noise`` fresh noise."""

    time: int
    target: float
    sample: float
    noise: float


def reverse_steps(count: int) -> tuple[Step, ...]:
    """DDIM with eta 1 (Song et al. 2021, equations 12 and 16), which is the posterior of Ho et al. 2020.

    ``count`` 1..1000. The times are spaced evenly from the last one on, because that is the one that holds
    noise alone; the step from the first of them goes to the target itself. Raises ValueError.
    """
    if not 1 <= count <= TRAIN_STEPS:
        raise ValueError(f"{count} steps")
    return steps_at([TRAIN_STEPS - 1 - index * TRAIN_STEPS // count for index in range(count)])


def steps_at(times: Sequence[int]) -> tuple[Step, ...]:
    """The reverse steps through falling ``times`` 0..999; the last of them ends at the target."""
    power = signal_power()
    steps = []
    for time, following in zip(times, [*times[1:], None], strict=True):
        here, there = power[time], 1.0 if following is None else power[following]
        kept, unsure = here / there, (1.0 - there) / (1.0 - here)
        steps.append(
            Step(
                time=time,
                target=math.sqrt(there) * (1.0 - kept) / (1.0 - here),
                sample=math.sqrt(kept) * unsure,
                noise=math.sqrt(unsure * (1.0 - kept)),
            )
        )
    return tuple(steps)


class GenerativePrior(nn.Module):
    """Wraps PriorTransformer: ``forward`` is one x0 prediction, ``sample`` the whole reverse process.

    ``size``: D, of the target space; ``clip_size``: C, of the condition, as D if not said.
    """

    STEPS = 64

    def __init__(
        self,
        size: int = 512,
        layers: int = 15,
        heads: int = 8,
        head_size: int = 64,
        clip_size: int | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.clip_size = clip_size or size
        # A unit vector's numbers have a power of 1 / D; scaled so, they meet noise of their own power.
        self.scale = math.sqrt(size)
        self.transformer: Any = PriorTransformer(  # untyped
            num_attention_heads=heads,
            attention_head_dim=head_size,
            num_layers=layers,
            embedding_dim=size,
            embedding_proj_dim=self.clip_size,
            num_embeddings=0,
            additional_embeddings=4,
            encoder_hid_proj_type=None,
        )

    def forward(self, noisy: Tensor, time: Tensor, clip_rows: Tensor) -> Tensor:
        """One prediction of the target.

        noisy: (B, D) scaled target with noise; time: (B,) or () int64, 0..999; clip_rows: (B, C) unit.
        Returns the scaled target (B, D). The class's ``clip_mean`` and ``clip_std`` play no part in it.
        """
        return self.transformer(noisy, time, proj_embedding=clip_rows).predicted_image_embedding

    def sample(
        self,
        clip_rows: Tensor,
        *,
        seed: int,
        steps: int = STEPS,
        draws: int = 1,
        progress: Progress | None = None,
    ) -> Tensor:
        """(W, C) unit rows -> (W, D) unit rows. Noise comes from ``seed`` on the CPU, the same for every row.

        One noise for all windows keeps a shot's sound of one piece where the picture does not change.
        ``draws``: several are made of each row, each from noise of its own, and their mean is taken: a small
        prior now and then draws something else than is seen, seldom twice the same.
        ``progress`` is called with 0..1 after each step, and may raise to stop. Nothing in the loop waits for
        the device.
        """
        plan = reverse_steps(steps)
        if not len(clip_rows):
            return clip_rows.new_zeros(0, self.size)
        device = clip_rows.device
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(steps, 1, draws, self.size, generator=generator)
        noise = noise.expand(-1, len(clip_rows), -1, -1).flatten(1, 2).to(device)
        clip_rows = clip_rows.repeat_interleave(draws, 0)
        times = torch.tensor([step.time for step in plan]).to(device)
        sample = noise[0]
        for index, step in enumerate(plan):
            target = self(sample, times[index], clip_rows)
            sample = step.target * target + step.sample * sample
            if step.noise:  # all but the last step
                sample = sample + step.noise * noise[index + 1]
            if progress is not None:
                progress((index + 1) / steps)
        found = normalize(sample, dim=-1)
        return found if draws == 1 else normalize(found.unflatten(0, (-1, draws)).mean(1), dim=-1)
