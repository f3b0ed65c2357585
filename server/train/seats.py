# SPDX-License-Identifier: GPL-3.0-or-later
"""One player of a training at its turn: forward, backward, clip, step, average. The loop decides when."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...addon.wire.errors import ModelRefused
from .checkpoints import load_optimiser, optimiser_tensors, pick
from .ema import Average
from .precision import autocast

Batch = dict[str, Tensor]
Loss = Callable[[Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]


@dataclass(slots=True, eq=False)
class Player:
    """One network that is trained, with its own optimiser (AdamW).

    ``loss(batch, generator)``: the batch lies on the device; ``generator`` lives there too and is seeded anew
    for every step. It returns what to minimise and further scalars for the log, detached. A loss that
    needs no gradient means: this player sits this step out. It runs under autocast, so bring the outputs to
    float32 before you compare them. ``rate`` is reached after ``warmup`` steps and then stays, or halves
    every ``fade[1]`` steps from step ``fade[0]`` on.
    ``weight_decay`` applies to weights of two dimensions or more. ``ema``: decay of the average, None for
    none. ``clip``: largest norm of the gradient. Parameters that need no gradient are left alone.
    """

    name: str
    module: nn.Module
    loss: Loss
    rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    ema: float | None = None
    warmup: int = 0
    clip: float = 1.0
    fade: tuple[int, int] | None = None

    def rate_at(self, step: int) -> float:
        """Of the step that makes it ``step`` + 1 in all; nothing else decides it, so it can be taken up."""
        rate = self.rate * min(1.0, (step + 1) / max(1, self.warmup))
        if self.fade is None:
            return rate
        first, every = self.fade
        return rate * 0.5 ** (max(0, step - first) / every)


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together, and which one this is."""

    count: int = 1
    rank: int = 0

    def slice(self, batch: Mapping[str, Tensor]) -> tuple[Batch, float]:
        """This process's rows of the whole batch, and what its loss counts for, 1 if all have as many.

        Every tensor is cut along its first dimension into contiguous pieces; scalars go to all.
        """
        if self.count == 1:
            return dict(batch), 1.0
        mine = {k: t if t.ndim == 0 else t.tensor_split(self.count)[self.rank] for k, t in batch.items()}
        whole = max((t.shape[0] for t in batch.values() if t.ndim), default=1)
        rows = max((t.shape[0] for t in mine.values() if t.ndim), default=1)
        return mine, rows * self.count / whole


def derive(*words: object) -> int:
    """A seed of 63 bits that any change of a word makes another."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Seat:
    """A player with its optimiser, its average and, for float16, its loss scaling."""

    def __init__(self, player: Player, device: torch.device, dtype: torch.dtype, team: Team) -> None:
        self.player = player
        self._device, self._dtype, self._team = device, dtype, team
        player.module.to(device).train()
        self.trained = {n: p for n, p in player.module.named_parameters() if p.requires_grad}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.trained.values() if p.ndim >= 2]},
            {"params": [p for p in self.trained.values() if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=player.rate, betas=player.betas, weight_decay=player.weight_decay, fused=True,
        )  # fmt: skip
        self.average = Average(player.module, player.ema) if player.ema is not None else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self._generator = torch.Generator(device)

    @property
    def strict(self) -> bool:
        """Whether a gradient that is no number is an error; loss scaling provokes them on purpose."""
        return not self._scaler.is_enabled()

    def play(self, on: bool) -> None:
        """Whether gradients reach this player's weights; only one player's turn it is."""
        for parameter in self.trained.values():
            parameter.requires_grad_(on)

    def turn(self, batch: Batch, share: float, step: int, seed: int) -> dict[str, Tensor]:
        """One update. Returns scalars for the log that still lie on the device."""
        player, name = self.player, self.player.name
        number = derive(seed, name, step, self._team.rank)
        torch.manual_seed(number)  # for dropout
        self._generator.manual_seed(number)
        for group in self.optimiser.param_groups:
            group["lr"] = player.rate_at(step)
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self._device, self._dtype):
            loss, parts = player.loss(batch, self._generator)
        said = {f"{name}/{key}": value.detach() for key, value in parts.items()}
        said[f"{name}/loss"] = loss.detach()
        if not loss.requires_grad:
            return said
        self._scaler.scale(loss * share if share != 1.0 else loss).backward()  # type: ignore[no-untyped-call]
        self._share_gradients()
        self._scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.trained.values(), player.clip)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        if self.average is not None:
            self.average.update(player.module)
        return said | {f"{name}/gradient": norm.detach()}

    def _share_gradients(self) -> None:
        """The mean over all processes, in one message; a weight that one of them did not use counts as 0."""
        if self._team.count == 1:
            return
        from accelerate.utils import reduce

        for parameter in self.trained.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in self.trained.values() if p.grad is not None]
        flat = reduce(torch.cat([g.reshape(-1) for g in gradients]), "mean")
        for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))

    def share_state(self, buffers_only: bool) -> None:
        """Weights and buffers of the first process for all."""
        if self._team.count == 1:
            return
        from accelerate.utils import broadcast

        module = self.player.module
        tensors = list(module.buffers()) if buffers_only else list(module.state_dict().values())
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(broadcast(tensor.clone()))

    def tensors(self) -> dict[str, Tensor]:
        """All that a state must hold of this player, by name."""
        names = {id(p): n for n, p in self.trained.items()}
        parts = {
            "weights": self.player.module.state_dict(),
            "moments": optimiser_tensors(self.optimiser, names),
            "average": self.average.weights if self.average is not None else {},
        }
        return {f"{self.player.name}/{part}/{n}": t for part, held in parts.items() for n, t in held.items()}

    def facts(self) -> dict[str, Any]:
        """What a state must hold beside the tensors."""
        return {
            "updates": self.average.updates if self.average is not None else 0,
            "scaler": self._scaler.state_dict() if self._scaler.is_enabled() else {},
        }

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Goes on from a state. Raises ModelRefused if its tensors are of another network."""
        mine = pick(tensors, self.player.name)
        try:
            self.player.module.load_state_dict(pick(mine, "weights"))
            load_optimiser(self.optimiser, self.trained, pick(mine, "moments"))
            if self.average is not None:
                self.average.load(pick(mine, "average"), int(facts["updates"]))
            if self._scaler.is_enabled() and facts.get("scaler"):
                self._scaler.load_state_dict(dict(facts["scaler"]))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise ModelRefused(
                f"The saved state of {self.player.name} belongs to another network; "
                "move the training's folder away to begin anew.",
                repr(error)[:4000],
            ) from error
