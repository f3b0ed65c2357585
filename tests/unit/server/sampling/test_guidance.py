# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance, the quality table, and noise that depends on its name only."""

from __future__ import annotations

import math

import pytest
import torch
from footfall.addon.wire.messages import QUALITIES as NAMES
from footfall.server.sampling.guidance import Guidance, Interval
from footfall.server.sampling.noise import noise, seed_of
from footfall.server.sampling.quality import QUALITIES
from footfall.server.sampling.schedules import SOLVERS


def test_guidance_is_the_formula() -> None:
    without, given = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(Guidance(scale=1.0).combine(without, given), given)
    guided = Guidance(scale=2.5).combine(without, given)
    torch.testing.assert_close(guided, 2.5 * given - 1.5 * without)


def test_rescaled_guidance_is_as_loud_as_the_condition() -> None:
    without, given = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    guided = Guidance(scale=6.0, rescale=1.0).combine(without, given)
    torch.testing.assert_close(guided.std(dim=(1, 2, 3)), given.std(dim=(1, 2, 3)))


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_no_guidance_costs_no_second_pass(scale: float) -> None:
    assert not Guidance(scale=scale).acts(1.0)


def test_the_interval_has_its_ends() -> None:
    guidance = Guidance(scale=2.0, interval=Interval(0.3, 3.0))
    assert [guidance.acts(sigma) for sigma in (0.2, 0.3, 3.0, 3.1, math.inf)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_every_quality_has_its_row() -> None:
    assert set(QUALITIES) == set(NAMES)
    assert all(row.solver in SOLVERS for row in QUALITIES.values())
    assert QUALITIES["draft"].steps < QUALITIES["good"].steps < QUALITIES["best"].steps
    assert QUALITIES["best"].candidates > 1


def test_noise_depends_on_seed_and_name_alone() -> None:
    first = noise(5, ("bed", 0), (8, 16, 16))
    torch.manual_seed(99)
    assert torch.equal(first, noise(5, ("bed", 0), (8, 16, 16)))
    for other in (noise(5, ("bed", 1), (8, 16, 16)), noise(6, ("bed", 0), (8, 16, 16))):
        assert abs(float((first * other).mean())) < 0.1
    assert abs(float(first.std()) - 1) < 0.1


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_any_seed_will_do(seed: int) -> None:
    assert 0 <= seed_of(seed, "bed", 3) < 2**63
    assert noise(seed, ("x",), (4,)).isfinite().all()
