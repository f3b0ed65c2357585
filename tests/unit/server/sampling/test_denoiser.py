# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows, guidance and batches around a network: neither batch size nor memory changes what comes out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import Cancelled
from footfall.server.sampling import windows
from footfall.server.sampling.denoiser import Denoiser, RowLimit
from footfall.server.sampling.guidance import Guidance, Interval
from torch import Tensor

TIME = torch.tensor(3)


def network(rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
    """Something that depends on every row, on its condition and on the time, row by row."""
    return rows * conditions.mean(1).view(-1, 1, 1, 1) + rows.roll(1, 2) + conditions[:, :1, None, None]


def out_of_memory(error: BaseException) -> bool:
    return "out of memory" in str(error)


def denoiser(columns: int, sounds: int = 2, rows: int = 64, **changes: Any) -> Denoiser:
    plan = windows.plan(columns, 32, 8)
    generator = torch.Generator().manual_seed(0)
    conditions, negatives = torch.randn(2, sounds, len(plan), 512, generator=generator)
    plain: dict[str, Any] = {
        "network": network,
        "windows": plan,
        "conditions": conditions,
        "negatives": negatives,
        "guidance": Guidance(scale=2.5),
        "limit": RowLimit(rows, out_of_memory),
        "on_pass": lambda fraction: None,
    }
    return Denoiser(**(plain | changes))


@pytest.mark.parametrize("columns", [24, 100])
@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_batches_change_nothing(columns: int, rows: int) -> None:
    latents = torch.randn(2, 8, columns, 4)
    together = denoiser(columns)(latents, TIME, 1.0)
    torch.testing.assert_close(denoiser(columns, rows=rows)(latents, TIME, 1.0), together)


def test_one_window_is_plain_guidance() -> None:
    latents = torch.randn(2, 8, 24, 4)
    made = denoiser(24)
    given = network(latents, TIME, made.conditions[:, 0])
    without = network(latents, TIME, made.negatives[:, 0])
    torch.testing.assert_close(made(latents, TIME, 1.0), without + 2.5 * (given - without))


def test_each_window_has_its_own_condition() -> None:
    made = denoiser(100, guidance=Guidance(scale=1.0))
    found = made(torch.zeros(2, 8, 100, 4), TIME, 1.0)
    # On zeros the network answers with the condition's first number, so windows can be told apart.
    expected = torch.einsum("nw,wt->nt", made.conditions[:, :, 0], made.windows.weights())
    torch.testing.assert_close(found[:, 0, :, 0], expected)


def test_an_unguided_step_costs_half() -> None:
    seen: list[int] = []

    def counting(rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        seen.append(len(rows))
        return network(rows, timestep, conditions)

    made = denoiser(24, network=counting, guidance=Guidance(scale=2.5, interval=Interval(0.5, 2.0)))
    for sigma in (1.0, 4.0, math.inf):
        made(torch.randn(2, 8, 24, 4), TIME, sigma)
    assert seen == [4, 2, 2]


class Small:
    """A network on a device with memory for ``most`` rows."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.sizes: list[int] = []

    def __call__(self, rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        self.sizes.append(len(rows))
        if len(rows) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return network(rows, timestep, conditions)


def test_out_of_memory_halves_until_it_fits() -> None:
    latents = torch.randn(2, 8, 100, 4)
    small = Small(3)
    made = denoiser(100, network=small)
    torch.testing.assert_close(made(latents, TIME, 1.0), denoiser(100)(latents, TIME, 1.0))
    assert made.limit.rows <= 3
    failures = [size for size in small.sizes if size > 3]
    made(latents, TIME, 1.0)
    assert [size for size in small.sizes if size > 3] == failures  # learnt once, not at every step


def test_no_memory_for_a_single_row_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        denoiser(24, network=Small(0))(torch.randn(2, 8, 24, 4), TIME, 1.0)


def test_other_errors_are_not_taken_for_memory() -> None:
    def broken(rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        denoiser(24, network=broken)(torch.randn(2, 8, 24, 4), TIME, 1.0)


def test_a_cancel_is_asked_for_before_each_pass() -> None:
    passes = 0

    def stop(fraction: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 3:
            raise Cancelled

    small = Small(99)
    with pytest.raises(Cancelled):
        denoiser(100, rows=2, network=small, on_pass=stop)(torch.randn(2, 8, 100, 4), TIME, 1.0)
    assert small.sizes == [2, 2]
