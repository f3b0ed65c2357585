# SPDX-License-Identifier: GPL-3.0-or-later
"""Solvers over the bundle's own schedule, on a model whose right answer is known.

Data that is normal with deviation D around M has a best predictor in closed form, and the probability flow
carries a noise z to M + D z. So every solver, prediction type and schedule can be judged without weights.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import Cancelled, ModelRefused
from footfall.server.models.layouts import layout
from footfall.server.sampling.schedules import SOLVERS, make_scheduler, noise_levels
from footfall.server.sampling.solvers import Begin, is_sound, mixed, sample
from torch import Tensor

AUDIOLDM: dict[str, Any] = layout("audioldm-s-full-v2", tiny=True).scheduler
ZERO_SNR = AUDIOLDM | {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
SCHEDULES = {
    "audioldm": AUDIOLDM,
    "velocity": AUDIOLDM | {"prediction_type": "v_prediction"},
    "zero terminal SNR": ZERO_SNR,
}
MEAN, DEVIATION = 0.5, 0.6


def oracle(scheduler: Any) -> Any:
    """The best prediction for normal data, of the kind that the schedule asks for."""

    def predict(latents: Tensor, timestep: Tensor, sigma: float) -> Tensor:
        alpha = float(scheduler.alphas_cumprod[int(timestep)])
        signal, spread = math.sqrt(alpha), math.sqrt(1 - alpha)
        variance = alpha * DEVIATION**2 + 1 - alpha
        error = spread * (latents - signal * MEAN) / variance
        if scheduler.config.prediction_type == "epsilon":
            return error
        clean = MEAN + signal * DEVIATION**2 * (latents - signal * MEAN) / variance
        return signal * error - spread * clean

    return predict


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_noise_becomes_the_data(solver: str, name: str) -> None:
    scheduler = make_scheduler(SCHEDULES[name], solver)
    noise = torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(1))
    found = sample(oracle(scheduler), scheduler, noise, 50, lambda done, of: None)
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(found.std()) == pytest.approx(DEVIATION, abs=0.05)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("first", [0, 20, 45, 99])
def test_a_run_can_begin_with_latents(solver: str, first: int) -> None:
    """The flow keeps a number's place in the distribution, from whatever noise level it comes."""
    scheduler = make_scheduler(ZERO_SNR, solver)
    draw = torch.Generator().manual_seed(1)
    latents, noise = (torch.randn(1, 8, 16, 16, generator=draw) for _ in range(2))
    latents = MEAN + DEVIATION * latents
    seen: list[int] = []
    begin = Begin(latents=latents, step=first)
    found = sample(oracle(scheduler), scheduler, noise, 50, lambda done, of: seen.append(done), begin=begin)
    first = min(first, 49)
    assert seen == list(range(first + 1, 51))
    sigma = noise_levels(scheduler)[first]
    alpha = 1.0 / (1.0 + sigma**2)
    start = mixed(latents, noise, sigma)
    spread = math.sqrt(alpha * DEVIATION**2 + 1.0 - alpha)
    wanted = MEAN + DEVIATION * (start - math.sqrt(alpha) * MEAN) / spread
    assert float((found - wanted).abs().max()) < 0.12


@pytest.mark.parametrize("solver", ["dpm++", "unipc"])
def test_second_order_solvers_need_fewer_steps(solver: str) -> None:
    noise = torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(1))
    errors = {}
    for kind in ("ddim", solver):
        exact = make_scheduler(AUDIOLDM, kind)
        reference = sample(oracle(exact), exact, noise, 500, lambda done, of: None)
        scheduler = make_scheduler(AUDIOLDM, kind)
        errors[kind] = float(
            (sample(oracle(scheduler), scheduler, noise, 12, lambda done, of: None) - reference).abs().max()
        )
    assert errors[solver] < errors["ddim"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 999, 1000])
def test_any_number_of_steps(solver: str, steps: int) -> None:
    scheduler = make_scheduler(AUDIOLDM, solver)
    told: list[tuple[int, int]] = []
    found = sample(
        oracle(scheduler), scheduler, torch.randn(1, 8, 8, 4), steps, lambda done, of: told.append((done, of))
    )
    assert is_sound(found)
    assert told[-1][0] == told[-1][1] == len(told) == min(steps, 999)


def test_noise_levels_fall_and_belong_to_the_schedule() -> None:
    scheduler = make_scheduler(AUDIOLDM, "ddim")
    scheduler.set_timesteps(20)
    levels = noise_levels(scheduler)
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 20
    assert levels[-1] < 0.1
    zero = make_scheduler(ZERO_SNR, "ddim")
    zero.set_timesteps(20)
    assert noise_levels(zero)[0] > 1000


def test_a_step_callback_stops_it() -> None:
    scheduler = make_scheduler(AUDIOLDM, "dpm++")
    done: list[int] = []

    def stop(step: int, of: int) -> None:
        done.append(step)
        if step == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        sample(oracle(scheduler), scheduler, torch.randn(1, 8, 8, 4), 20, stop)
    assert done == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "broken", [{"prediction_type": "magic"}, {"beta_schedule": "magic"}, {"num_train_timesteps": -3}]
)
def test_a_damaged_schedule_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused):
        make_scheduler(AUDIOLDM | broken, "dpm++")
