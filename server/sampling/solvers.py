# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampling loop: a pure function from noise to latents."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .schedules import noise_levels

# (latents (N, C, T, F), timestep on the latents' device, sigma) -> prediction of the same shape
Predict = Callable[[Tensor, Tensor, float], Tensor]
OnStep = Callable[[int, int], None]  # (steps done, steps in all)
Hold = Callable[[Tensor, float], Tensor]  # (latents, sigma) -> latents


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Begin:
    """``latents`` (N, C, T, F) to begin with instead of noise alone, at ``step`` of the run (SDEdit, Meng et
    al. 2022, arXiv:2108.01073).
    """

    latents: Tensor
    step: int


def mixed(latents: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """``latents`` at the noise level ``sigma``, infinite for noise alone."""
    scale = 1.0 / math.sqrt(1.0 + sigma * sigma)
    return latents * scale + noise * (1.0 if math.isinf(sigma) else sigma * scale)


def held(known: Tensor, noise: Tensor, free: Tensor) -> Hold:
    """Keeps latents at ``known`` wherever ``free`` is false, at whatever noise level they are.

    known: (C, 1 or T, F), noise: (N, C, T, F) that the run begins with, free: (T,), all on the latents'
    device. After RePaint (Lugmayr et al. 2022), without its going back.
    """
    mask = free.view(1, 1, -1, 1)

    def hold(latents: Tensor, sigma: float) -> Tensor:
        return torch.where(mask, latents, mixed(known, noise, sigma))

    return hold


def sample(
    predict: Predict,
    scheduler: Any,
    noise: Tensor,
    steps: int,
    on_step: OnStep,
    hold: Hold | None = None,
    begin: Begin | None = None,
) -> Tensor:
    """noise (N, C, T, F), standard normal -> latents of the same shape, after ``steps`` steps, or as many
    as it has. ``hold`` is asked before each step what is known already, and at the end. ``begin``: the steps
    before it are left out.

    ``scheduler``: fresh from ``make_scheduler``. ``on_step`` may raise to stop. Nothing in the loop waits
    for the device: times and noise levels stay on the CPU, and the network gets its own copy of the times.
    """
    config = scheduler.config
    most = config.num_train_timesteps - config.get("steps_offset", 0)  # one more would be beyond the schedule
    scheduler.set_timesteps(min(steps, most), device="cpu")
    first = 0 if begin is None else min(begin.step, len(scheduler.timesteps) - 1)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    levels = noise_levels(scheduler)
    times = scheduler.timesteps
    for_network = times.to(noise.device)
    latents = noise * float(scheduler.init_noise_sigma)
    if begin is not None:
        latents = mixed(begin.latents, noise, levels[first])
    for index, (time, sigma) in enumerate(zip(times, levels, strict=True)):
        if index < first:
            continue
        latents = hold(latents, sigma) if hold else latents
        scaled = scheduler.scale_model_input(latents, time)
        prediction = predict(scaled, for_network[index], sigma)
        latents = scheduler.step(prediction, time, latents).prev_sample
        on_step(index + 1, len(levels))
    return hold(latents, 0.0) if hold else latents


def is_sound(latents: Tensor) -> bool:
    """Whether every number is finite."""
    return bool(torch.isfinite(latents).all())
