# SPDX-License-Identifier: GPL-3.0-or-later
"""The generative mapper's network: a diffusion prior over CLAP embeddings, on diffusers' PriorTransformer.

Settings after Ramesh et al. 2022 (arXiv 2204.06125) and the public prior that the paper's parameter count
points to: x0 prediction, 1000 steps with a cosine schedule, targets scaled by sqrt(D), stochastic DDIM (eta
1) in 64 steps. Four tokens are processed: condition, time, noisy target, query. 48.6 M parameters at 512
wide, 15 layers, 8 heads of 64; the paper publishes 48.83 M.
"""

from __future__ import annotations

import math

import torch
from diffusers import DDIMScheduler, PriorTransformer
from torch import Tensor, nn
from torch.nn.functional import normalize

TRAIN_STEPS = 1000


def noise_schedule() -> DDIMScheduler:
    """Cosine schedule (Nichol and Dhariwal 2021), x0 prediction, nothing clipped."""
    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )


class GenerativePrior(nn.Module):
    """Wraps PriorTransformer: ``forward`` is one x0 prediction, ``sample`` the whole reverse process."""

    STEPS = 64

    def __init__(self, size: int = 512, layers: int = 15, heads: int = 8, head_size: int = 64) -> None:
        super().__init__()
        self.size = size
        self.scale = math.sqrt(size)
        self.transformer = PriorTransformer(
            num_attention_heads=heads,
            attention_head_dim=head_size,
            num_layers=layers,
            embedding_dim=size,
            num_embeddings=0,
            additional_embeddings=4,
            encoder_hid_proj_type=None,
        )

    def forward(self, noisy: Tensor, time: Tensor, clip_rows: Tensor) -> Tensor:
        """noisy: (B, D) scaled target with noise; time: (B,) 0..999; clip_rows: (B, D) unit -> predicted x0
        (B, D).
        """
        return self.transformer(noisy, time, proj_embedding=clip_rows).predicted_image_embedding

    def sample(self, clip_rows: Tensor, *, seed: int, steps: int = STEPS) -> Tensor:
        """(W, D) unit rows -> (W, D) unit rows. Noise comes from ``seed`` on the CPU, the same for every row.

        One noise for all windows keeps a shot's sound of one piece where the picture does not change.
        """
        schedule = noise_schedule()
        schedule.set_timesteps(steps)
        generator = torch.Generator().manual_seed(seed)
        device = clip_rows.device
        noise = torch.randn(steps + 1, 1, self.size, generator=generator).to(device)
        sample = noise[0].expand(len(clip_rows), -1)
        for index, time in enumerate(schedule.timesteps.tolist()):
            times = torch.full((len(clip_rows),), time, device=device)
            predicted = self(sample, times, clip_rows)
            fresh = noise[index + 1].expand_as(sample)
            sample = schedule.step(predicted, time, sample, eta=1.0, variance_noise=fresh).prev_sample
        return normalize(sample / self.scale, dim=-1)
