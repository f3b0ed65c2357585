# SPDX-License-Identifier: GPL-3.0-or-later
"""What the UNets of sounds and of pictures learn: velocity prediction over a schedule whose last step is pure
noise (Lin et al. 2023, arXiv:2305.08891), so that level and noise floor are learnt; losses weighted by the
signal-to-noise ratio (min-SNR, Hang et al. 2023, arXiv:2303.09556).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..models.layouts import Config

GAMMA = 5.0  # of min-SNR


class Velocity:
    """The loss of a network on the schedule of a ``scheduler``'s configuration."""

    def __init__(self, scheduler: Config) -> None:
        self._signal, self._spread = schedule(scheduler)

    def loss(
        self, clean: Tensor, predict: Callable[[Tensor, Tensor], Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What to minimise, and for the log the mean squared error. clean: (B, C, H, W); ``predict``: noisy
        ones and their times (B,) to velocities (B, C, H, W).
        """
        device = clean.device
        times = even_times(len(clean), len(self._signal), generator, device)
        signal = self._signal.to(device)[times].view(-1, 1, 1, 1)
        spread = self._spread.to(device)[times].view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        found = predict(signal * clean + spread * noise, times)
        errors = (found.float() - (signal * noise - spread * clean)).square().mean((1, 2, 3))
        loss = (errors * weights((signal / spread).square().flatten())).mean()
        return loss, {"error": errors.detach().mean()}


def weights(snr: Tensor) -> Tensor:
    """Of squared velocity errors at signal-to-noise ratios ``snr``.

    An error of velocity counts snr + 1 times that of the clean sound, which min-SNR would weigh with
    min(snr, 5). With snr + 1 on both sides the last step, where snr is 0 and the level is decided, counts in
    full.
    """
    return (snr + 1.0).clamp(max=GAMMA) / (snr + 1.0)


def even_times(count: int, steps: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(count,) timesteps, each uniform, together spread evenly: a calmer loss for small batches."""
    start = torch.rand(1, generator=generator, device=device)
    places = (start + torch.arange(count, device=device) / count) % 1.0
    return (places * steps).long().clamp(max=steps - 1)


def schedule(scheduler: Config) -> tuple[Tensor, Tensor]:
    """sqrt(alpha) and sqrt(1 - alpha) of each timestep, (1000,) float32, as the solvers will use them."""
    from ..sampling.schedules import make_scheduler

    alphas = make_scheduler(scheduler, "ddim").alphas_cumprod.double()
    return alphas.sqrt().float(), (1.0 - alphas).sqrt().float()
