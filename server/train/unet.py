# SPDX-License-Identifier: GPL-3.0-or-later
"""A UNet of diffusers in training: how it is trained, made with random weights, and written as a part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models.layouts import Config
from . import parts
from .packing import rounded
from .seats import Loss, Player


@dataclass(frozen=True, slots=True, kw_only=True)
class UnetRecipe:
    """``batch``: rows a step. ``fade``: of the rate, as a Player has it."""

    batch: int
    rate: float
    ema: float
    warmup: int
    fade: tuple[int, int] | None = None

    def player(self, name: str, module: nn.Module, loss: Loss) -> Player:
        """``module`` trained by this recipe."""
        return Player(
            name=name,
            module=module,
            loss=loss,
            rate=self.rate,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            ema=self.ema,
            warmup=self.warmup,
            fade=self.fade,
        )


def build(config: Config) -> Any:
    """The network with random weights."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    plain = {key: value for key, value in config.items() if not key.startswith("_")}
    unet = UNet2DConditionModel.from_config(plain)
    if not torch.cuda.is_available():
        # With heads as narrow as ours, the gradient of torch's fused attention takes a processor a fifth of
        # the step; as plain products it takes next to nothing.
        unet.set_attn_processor(AttnProcessor())
    return unet


def write(state: Mapping[str, Tensor], config: Config, folder: Path) -> None:
    """The part as a bundle holds it, weights in float16 and rounded: it is the largest of a bundle."""
    packed = {name: rounded(value.detach()) for name, value in state.items()}
    parts.write(folder, config, packed, parts.DIFFUSERS_WEIGHTS)


def write_scheduler(config: Config, folder: Path) -> None:
    """The scheduler's configuration, which sound has beside its UNet and pictures in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scheduler_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
