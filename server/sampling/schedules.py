# SPDX-License-Identifier: GPL-3.0-or-later
"""Solvers and noise schedules: diffusers' schedulers, made from the bundle's own configuration.

A scheduler remembers the steps of its run, so each run makes a new one and nothing leaks into the next.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping
from typing import Any

import torch

from ...addon.wire.errors import ModelRefused

SOLVERS = ("ddim", "dpm++", "unipc")
_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_log = logging.getLogger(__name__)


def make_scheduler(config: Mapping[str, Any], solver: str) -> Any:
    """A fresh scheduler for one run. ``config``: the bundle's scheduler_config.json. Raises ModelRefused.

    Betas, prediction type, timestep spacing and zero terminal SNR are the bundle's; only the solver is ours.
    DDIM (Song et al. 2021), DPM-Solver++ 2M (Lu et al. 2022), UniPC (Zhao et al. 2023).
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    kinds: dict[str, type[Any]] = {
        "ddim": DDIMScheduler,
        "dpm++": DPMSolverMultistepScheduler,
        "unipc": UniPCMultistepScheduler,
    }
    kind = kinds[solver]
    known = set(inspect.signature(kind.__init__).parameters) - {"self"}
    plain = {key: value for key, value in config.items() if key in known}
    if plain.get("prediction_type", "epsilon") not in _PREDICTIONS:
        raise ModelRefused("The noise schedule of this model is of an unknown kind; choose another model.")
    try:
        return kind(**plain)
    except (TypeError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelRefused(
            "The noise schedule of this model is damaged; pull the model again.", str(error)
        ) from error


def noise_levels(scheduler: Any) -> list[float]:
    """sigma = sqrt((1 - alpha) / alpha) at each timestep of the run; infinite where all is noise."""
    alphas = scheduler.alphas_cumprod.double()
    times = scheduler.timesteps.cpu().to(torch.int64).clamp(0, len(alphas) - 1)
    return [math.sqrt((1 - alpha) / alpha) if alpha > 0 else math.inf for alpha in alphas[times].tolist()]
