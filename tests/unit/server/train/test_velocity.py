# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of both UNets: its times, its schedule, and what each step counts."""

from __future__ import annotations

import torch
from footfall.server.train import velocity
from footfall.server.train.starter_layout import starter_layout

LAYOUT = starter_layout(tiny=True)


def test_the_last_step_counts_in_full() -> None:
    """Plain min-SNR weights of a velocity would be 0 there, and the level would never be learnt."""
    snr = torch.tensor([0.0, 1.0, 4.0, 9.0, 99.0])
    torch.testing.assert_close(velocity.weights(snr), torch.tensor([1.0, 1.0, 1.0, 0.5, 0.05]))


def test_times_are_even_and_the_schedule_ends_in_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    times = torch.stack([velocity.even_times(4, 1000, generator, torch.device("cpu")) for _ in range(500)])
    assert (int(times.min()), int(times.max())) == (0, 999)
    assert abs(float(times.float().mean()) - 499.5) < 15
    assert int((times.sort(1).values.diff(dim=1) - 250).abs().max()) <= 1
    signal, spread = velocity.schedule(LAYOUT.scheduler)
    assert (float(signal[-1]), float(spread[-1])) == (0.0, 1.0)
    torch.testing.assert_close(signal.square() + spread.square(), torch.ones(1000))


def test_who_knows_the_velocity_pays_nothing() -> None:
    """Told both, clean and noise, a network is right at every step; one that says nothing is not."""
    clean = torch.randn(4, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    loss = velocity.Velocity(LAYOUT.scheduler)
    signal, spread = velocity.schedule(LAYOUT.scheduler)

    def knowing(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        a, s = (part[times].view(-1, 1, 1, 1) for part in (signal, spread))
        return a * (noisy - a * clean) / s - s * clean

    found, said = loss.loss(clean, knowing, torch.Generator().manual_seed(2))
    assert float(found) < 1e-6
    assert float(said["error"]) < 1e-6
    found, _ = loss.loss(clean, lambda noisy, _: torch.zeros_like(noisy), torch.Generator().manual_seed(2))
    assert float(found) > 0.1
