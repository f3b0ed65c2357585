# SPDX-License-Identifier: GPL-3.0-or-later
"""A generator and a critic of a few weights that learn in turn; as a script, a training to be killed.

``python -m footfall.tests.fakes.toy_training FOLDER STEPS [--die CALL:N]`` saves after every step and prints
each step's number; ``--die replace:3`` kills it at the third call of ``os.replace``.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from footfall.server.train.loop import Batch, Player, Progress, train
from safetensors.torch import save_file
from torch import Tensor, nn

Hook = Callable[[int], None]


class Toy:
    """A task whose every source of randomness is in use: noise, dropout, normalisation by batch.

    ``hook(step)``: called when a batch is made.
    """

    name = "toy"

    def __init__(
        self, *, width: int = 16, seed: int = 3, noisy: bool = True, hook: Hook | None = None
    ) -> None:
        self._width, self._seed, self._noisy = width, seed, noisy
        self.hook = hook or (lambda step: None)
        self.spoil = False  # the critic's loss is no number
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            norm = [nn.BatchNorm1d(width), nn.Dropout(0.2)] if noisy else []
            self.made = nn.Sequential(nn.Linear(8, width), *norm, nn.GELU(), nn.Linear(width, 8))
            self.critic = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))
        self.players = (
            Player("generator", self.made, self._make, rate=1e-2, ema=0.9, warmup=3),
            Player("critic", self.critic, self._judge, rate=1e-3, weight_decay=0.1, betas=(0.5, 0.9)),
        )

    def config(self) -> dict[str, Any]:
        return {"width": self._width, "seed": self._seed, "noisy": self._noisy}

    def batch(self, step: int) -> Batch:
        self.hook(step)
        generator = torch.Generator().manual_seed(self._seed * 1000 + step)
        return {"x": torch.randn(6, 8, generator=generator), "weight": torch.tensor(0.1)}

    def _make(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch["x"]
        noise = torch.randn(x.shape, generator=generator) * 0.1 if self._noisy else 0.0
        made = self.made(x + noise).float()
        error = (made - x).square().mean()
        return error - batch["weight"] * self.critic(made).float().mean(), {"error": error}

    def _judge(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            made = self.made(batch["x"])
        margin = self.critic(made).float() - self.critic(batch["x"]).float()
        return (margin.tanh().mean() * (float("nan") if self.spoil else 1.0)), {}

    def write_part(self, folder: Path) -> None:
        assert not self.made.training
        save_file(self.made.state_dict(), folder / "model.safetensors")
        with torch.no_grad():
            self.made[0].weight.zero_()  # whatever is done here is undone


def _die_at(call: str, count: int) -> None:
    """The process is killed at the ``count``th call of that function of ``os``."""
    original, left = getattr(os, call), [count]

    def deadly(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(os, call, deadly)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--die", default="")
    parser.add_argument("--plain", action="store_true", help="nothing random, for several processes")
    options = parser.parse_args()
    if options.die:
        call, _, count = options.die.partition(":")
        _die_at(call, int(count))

    def tell(at: Progress) -> None:
        print(at.step, flush=True)

    train(
        Toy(noisy=not options.plain), options.folder, steps=options.steps, device="cpu",
        precision="float32", save_every_s=0.0, progress=tell,
    )  # fmt: skip


if __name__ == "__main__":
    main()
