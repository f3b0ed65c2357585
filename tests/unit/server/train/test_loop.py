# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: it goes on to the bit where it stopped, averages, warms up, and shares its work out."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from footfall.server.train import checkpoints
from footfall.server.train.ema import Average, swapped
from footfall.server.train.journal import read_log
from footfall.server.train.loop import Player, write_part
from footfall.server.train.precision import pick_precision
from footfall.server.train.seats import Team, derive
from footfall.tests.fakes.toy_runs import TOY, assert_same_training, run, tensors
from footfall.tests.fakes.toy_training import Toy
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_two_runs_are_one(tmp_path: Path, precision: str) -> None:
    """Also with loss scaling, and when the first one ends between two lines of the log."""
    run(Toy(), tmp_path / "one", 16, precision=precision)
    first = run(Toy(), tmp_path / "two", 12, precision=precision)
    second = run(Toy(), tmp_path / "two", 16, precision=precision)
    assert (first.step, second.step, second.done) == (12, 16, True)
    assert_same_training(tmp_path / "one", tmp_path / "two")


def test_a_state_of_every_step_will_do(tmp_path: Path, straight: Path) -> None:
    for steps in (1, 2, 5, 14):
        run(Toy(), tmp_path, steps)
    assert_same_training(straight, tmp_path)


def test_other_random_numbers_drawn_around_it_change_nothing(tmp_path: Path, straight: Path) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    run(Toy(hook=lambda step: torch.manual_seed(step)), tmp_path, 14)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert_same_training(straight, tmp_path)


def test_another_seed_is_another_training(tmp_path: Path, straight: Path) -> None:
    run(Toy(seed=4), tmp_path, 14)
    key = "generator/weights/0.weight"
    assert not torch.equal(tensors(tmp_path)[key], tensors(straight)[key])


def test_it_learns(straight: Path) -> None:
    rows = read_log(straight)
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert rows[-1]["generator/error"] < 0.8 * rows[0]["generator/error"]
    assert all(row["critic/gradient"] > 0 for row in rows)


def test_the_part_holds_the_average_and_leaves_the_weights_alone(tmp_path: Path) -> None:
    task = Toy()
    run(task, tmp_path, 5)
    state, part = tensors(tmp_path), load_file(tmp_path / "part" / "model.safetensors")
    key = "0.weight"
    assert torch.equal(part[key], state[f"generator/average/{key}"])
    assert not torch.equal(part[key], state[f"generator/weights/{key}"])
    assert torch.equal(task.made.state_dict()[key], state[f"generator/weights/{key}"])
    assert task.made.training
    assert write_part(Toy(), tmp_path) == 5
    assert torch.equal(load_file(tmp_path / "part" / "model.safetensors")[key], part[key])


def test_the_average_follows_its_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = Average(module, 0.5)
    expected = float(module.weight.detach())
    for update, value in enumerate((1.0, -2.0, 4.0)):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update(module)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
        assert math.isclose(float(average.weights["weight"]), expected, rel_tol=1e-6)
    with swapped(module, average):
        assert math.isclose(float(module.weight.detach()), expected, rel_tol=1e-6)
    assert float(module.weight.detach()) == 4.0


def test_a_player_may_sit_a_step_out(tmp_path: Path) -> None:
    task = Toy()
    before = task.critic[0].weight.detach().clone()
    task.players = (task.players[0], Player("critic", task.critic, lambda batch, g: (torch.zeros(()), {})))
    run(task, tmp_path, 3)
    assert torch.equal(task.critic[0].weight, before)
    assert read_log(tmp_path)[-1]["critic/loss"] == 0.0


def test_a_rate_warms_up_and_weights_without_gradient_stay(tmp_path: Path) -> None:
    task = Toy()
    task.made[0].weight.requires_grad_(False)
    before = task.made[0].weight.clone()
    run(task, tmp_path, 2)
    assert torch.equal(task.made[0].weight, before)
    assert not task.made[0].weight.requires_grad
    moments = [name for name in tensors(tmp_path) if name.startswith("generator/moments/0.weight")]
    assert moments == []


def test_precision_by_name_and_by_hardware() -> None:
    cpu = torch.device("cpu")
    fast = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    assert pick_precision(cpu) == (torch.bfloat16 if fast else torch.float32)
    assert pick_precision(torch.device("mps")) == torch.float32
    assert pick_precision(cpu, "bf16") == torch.bfloat16


@given(rows=st.integers(1, 40), count=st.integers(1, 6))
def test_slices_are_the_whole_batch_and_count_by_their_rows(rows: int, count: int) -> None:
    batch = {"x": torch.arange(rows), "scale": torch.tensor(2.0)}
    found = [Team(count, rank).slice(batch) for rank in range(count)]
    assert torch.equal(torch.cat([mine["x"] for mine, _ in found]), batch["x"])
    assert all(float(mine["scale"]) == 2.0 for mine, _ in found)
    assert math.isclose(sum(share for _, share in found), count)


def test_seeds_differ_by_every_word() -> None:
    seeds = {derive(*words) for words in [(0, "a", 1, 0), (0, "a", 0, 1), (1, "a", 0, 0), (0, "b", 0, 0)]}
    assert len(seeds) == 4
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_differences_are_named() -> None:
    old, new = {"a": 1, "b": {"c": [1], "d": 2}}, {"a": True, "b": {"c": [1, 2], "e": 2}}
    assert checkpoints.differences(old, new) == [
        "a: 1 before, true now",
        "b.c: [1] before, [1, 2] now",
        "b.d: only before",
        "b.e: only now",
    ]


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """Slices of the batch, gradients shared: the same but for the order of sums; one of them writes."""
    run(Toy(noisy=False), tmp_path / "one", 12)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [TOY, str(tmp_path / "two"), "12", "--plain"]
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [str(step) for step in range(1, 13)]
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4)
    for first, second in zip(read_log(tmp_path / "one"), read_log(tmp_path / "two"), strict=True):
        assert math.isclose(first["generator/loss"], second["generator/loss"], rel_tol=1e-3, abs_tol=1e-4)
