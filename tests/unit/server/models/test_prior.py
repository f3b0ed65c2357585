# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion prior: the published size, a reverse process that ends at its own prediction, and seeds."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from footfall.server.models.prior import GenerativePrior, reverse_steps, signal_power
from torch.nn.functional import normalize

PUBLISHED = 48.83e6  # trained parameters of V2A-Mapper, as its authors give them


@pytest.fixture(scope="module")
def small() -> GenerativePrior:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GenerativePrior(size=32, layers=1, heads=2, head_size=8, clip_size=48).eval()


def rows(count: int, size: int = 48, seed: int = 1) -> torch.Tensor:
    return normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_size_is_the_published_one() -> None:
    with torch.device("meta"):
        prior = GenerativePrior()
    count = sum(parameter.numel() for parameter in prior.parameters())
    assert count == 48_603_648
    assert abs(count - PUBLISHED) < 0.01 * PUBLISHED


def test_schedule_is_the_cosine_schedule_of_diffusers() -> None:
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    torch.testing.assert_close(
        torch.tensor(signal_power()).float(), theirs.float(), rtol=1e-3, atol=1e-6
    )  # theirs multiplies in float32


@pytest.mark.parametrize("count", [1, 2, 7, 50, 64, 999, 1000])
def test_steps_go_down_and_end_at_the_target(count: int) -> None:
    steps = reverse_steps(count)
    times = [step.time for step in steps]
    assert len(steps) == count
    assert times[0] == 999  # where there is noise alone
    assert times == sorted(set(times), reverse=True)
    assert min(times) >= 0
    last = steps[-1]
    assert (last.target, last.sample, last.noise) == (1.0, 0.0, 0.0)
    assert all(step.noise > 0 for step in steps[:-1])


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_impossible_numbers_of_steps(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        reverse_steps(count)


@pytest.mark.parametrize("count", [2, 64])
def test_every_step_keeps_the_noise_level_that_its_time_asks_for(count: int) -> None:
    """Noised targets go in, and what comes out has the next time's share of target and of noise."""
    power = signal_power()
    steps = reverse_steps(count)
    for step, after in pairwise(steps):
        here, there = power[step.time], power[after.time]
        assert step.target + step.sample * math.sqrt(here) == pytest.approx(math.sqrt(there), abs=1e-12)
        spread = step.sample**2 * (1.0 - here) + step.noise**2
        assert spread == pytest.approx(1.0 - there, abs=1e-12)


@pytest.mark.parametrize("count", [20, 50])
def test_same_walk_as_diffusers_ddim_with_eta_one(small: GenerativePrior, count: int) -> None:
    """At counts that divide 1000, where diffusers' own spacing is even."""
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )
    theirs.set_timesteps(count)
    noise = torch.randn(count, 1, 32, generator=torch.Generator().manual_seed(9))
    condition = rows(2)
    sample = noise[0].expand(2, -1)
    with torch.no_grad():
        for index, time in enumerate(theirs.timesteps):
            fresh = noise[min(index + 1, count - 1)]
            sample = theirs.step(
                small(sample, time, condition), int(time), sample, eta=1.0, variance_noise=fresh
            ).prev_sample
        ours = small.sample(condition, seed=9, steps=count)
    torch.testing.assert_close(ours, normalize(sample, dim=-1), rtol=1e-3, atol=1e-4)


def test_result_is_what_the_network_says_last(
    monkeypatch: pytest.MonkeyPatch, small: GenerativePrior
) -> None:
    said: list[torch.Tensor] = []

    def forward(noisy: torch.Tensor, time: torch.Tensor, clip_rows: torch.Tensor) -> torch.Tensor:
        said.append(torch.randn(len(noisy), 32, generator=torch.Generator().manual_seed(len(said))))
        return said[-1]

    monkeypatch.setattr(small, "forward", forward)
    found = small.sample(rows(3), seed=0, steps=64)
    assert len(said) == 64
    assert torch.equal(found, normalize(said[-1], dim=-1))


def test_a_perfect_network_gives_its_target_whatever_the_noise(
    monkeypatch: pytest.MonkeyPatch, small: GenerativePrior
) -> None:
    target = rows(3, size=32, seed=4)
    monkeypatch.setattr(small, "forward", lambda noisy, time, clip_rows: target * small.scale)
    for steps in (1, 2, 64):
        torch.testing.assert_close(small.sample(rows(3), seed=7, steps=steps), target)


def test_same_seed_same_rows_bit_by_bit(small: GenerativePrior) -> None:
    with torch.no_grad():
        first = small.sample(rows(3), seed=2**63 - 1, steps=8)
        torch.rand(5)  # what others draw in between does not matter
        again = small.sample(rows(3), seed=2**63 - 1, steps=8)
        other = small.sample(rows(3), seed=3, steps=8)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(3))


def test_equal_pictures_get_equal_rows(small: GenerativePrior) -> None:
    with torch.no_grad():
        found = small.sample(rows(1).expand(4, -1), seed=0, steps=8)
    torch.testing.assert_close(found, found[:1].expand(4, -1))


def test_several_draws_are_averaged(small: GenerativePrior) -> None:
    """A draw that is one of several is the one that it would be alone, were its noise the same."""
    walked: list[torch.Tensor] = []
    forward = small.forward

    def seen(noisy: torch.Tensor, time: torch.Tensor, clip_rows: torch.Tensor) -> torch.Tensor:
        walked.append(forward(noisy, time, clip_rows))
        return walked[-1]

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "forward", seen)
        found = small.sample(rows(2), seed=4, steps=3, draws=5)
    last = torch.nn.functional.normalize(walked[-1], dim=-1).view(2, 5, -1)
    torch.testing.assert_close(found, torch.nn.functional.normalize(last.mean(1), dim=-1))
    assert (last[0, 0] - last[0, 1]).abs().max() > 1e-4  # each has noise of its own


def test_no_rows(small: GenerativePrior) -> None:
    with torch.no_grad():
        assert small.sample(torch.zeros(0, 48), seed=0, steps=2).shape == (0, 32)


def test_progress_comes_after_each_step_and_may_stop(small: GenerativePrior) -> None:
    class Enough(Exception):
        pass

    seen: list[float] = []

    def progress(done: float) -> None:
        seen.append(done)
        if done >= 0.5:
            raise Enough

    with pytest.raises(Enough), torch.no_grad():
        small.sample(rows(1), seed=0, steps=8, progress=progress)
    assert seen == [0.125, 0.25, 0.375, 0.5]


def test_nothing_in_the_loop_waits_for_the_device() -> None:
    """On a meta device no tensor has numbers: asking for one raises."""
    with torch.device("meta"):
        prior = GenerativePrior(size=32, layers=1, heads=2, head_size=8)
    with torch.no_grad():
        found = prior.sample(torch.zeros(2, 32, device="meta"), seed=0, steps=4)
    assert found.shape == (2, 32)
    assert found.device.type == "meta"
