# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampling loop: a pure function from noise to latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .schedules import noise_levels

# (latents (N, C, T, F), timestep on the latents' device, sigma) -> prediction of the same shape
Predict = Callable[[Tensor, Tensor, float], Tensor]
OnStep = Callable[[int, int], None]  # (steps done, steps in all)


def sample(predict: Predict, scheduler: Any, noise: Tensor, steps: int, on_step: OnStep) -> Tensor:
    """noise (N, C, T, F), standard normal -> latents of the same shape, after ``steps`` steps, or as many
    as it has.

    ``scheduler``: fresh from ``make_scheduler``. ``on_step`` may raise to stop. Nothing in the loop waits
    for the device: times and noise levels stay on the CPU, and the network gets its own copy of the times.
    """
    config = scheduler.config
    most = config.num_train_timesteps - config.get("steps_offset", 0)  # one more would be beyond the schedule
    scheduler.set_timesteps(min(steps, most), device="cpu")
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    levels = noise_levels(scheduler)
    times = scheduler.timesteps
    for_network = times.to(noise.device)
    latents = noise * float(scheduler.init_noise_sigma)
    for index, (time, sigma) in enumerate(zip(times, levels, strict=True)):
        scaled = scheduler.scale_model_input(latents, time)
        prediction = predict(scaled, for_network[index], sigma)
        latents = scheduler.step(prediction, time, latents).prev_sample
        on_step(index + 1, len(levels))
    return latents


def is_sound(latents: Tensor) -> bool:
    """Whether every number is finite."""
    return bool(torch.isfinite(latents).all())
