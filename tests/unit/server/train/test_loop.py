# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: it goes on to the bit where it stopped, and says what went wrong."""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import BadInput, Cancelled, ModelRefused, SaveError
from footfall.server.train import checkpoints
from footfall.server.train.ema import Average, swapped
from footfall.server.train.journal import read_log
from footfall.server.train.loop import Diverged, Player, Progress, Summary, train, write_part
from footfall.server.train.precision import pick_precision
from footfall.server.train.seats import Team, derive
from footfall.tests.fakes.toy_training import Toy
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

TOY = "footfall.tests.fakes.toy_training"
NAME = checkpoints.NAME


def run(task: Toy, folder: Path, steps: int, **options: Any) -> Summary:
    return train(task, folder, steps=steps, device="cpu", **{"precision": "float32", **options})


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "state" / NAME)


def log_without_time(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(folder)]


def assert_same_training(one: Path, other: Path) -> None:
    """Weights, moments, averages, log and part, to the bit."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert log_without_time(one) == log_without_time(other)
    facts = [checkpoints.load(folder / "state").facts for folder in (one, other)]
    assert facts[0] | {"seconds": 0} == facts[1] | {"seconds": 0}
    parts = [(folder / "part" / "model.safetensors").read_bytes() for folder in (one, other)]
    assert parts[0] == parts[1]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen steps without a break."""
    folder = tmp_path_factory.mktemp("straight")
    run(Toy(), folder, 14)
    return folder


# Going on -----------------------------------------------------------------------------------------------


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


def test_stop_saves_and_says_so(tmp_path: Path, straight: Path) -> None:
    seen: list[Progress] = []
    halted = run(Toy(), tmp_path, 14, progress=seen.append, stop=lambda: len(seen) >= 4)
    assert (halted.step, halted.done) == (4, False)
    assert not (tmp_path / "part").exists()
    assert [at.step for at in seen] == [1, 2, 3, 4]
    assert seen[-1].seconds_left is not None
    assert seen[-1].losses["generator/loss"] is not None
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


def interrupt_at(step: int) -> Toy:
    return Toy(hook=lambda at: signal.raise_signal(signal.SIGINT) if at == step else None)


def test_ctrl_c_finishes_the_step_and_saves(tmp_path: Path, straight: Path) -> None:
    with pytest.raises(Cancelled, match="after step 6 of 14"):
        run(interrupt_at(5), tmp_path, 14)
    assert checkpoints.load(tmp_path / "state").facts["step"] == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def twice(step: int) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(Toy(hook=twice), tmp_path, 14)


def test_what_fails_in_making_a_batch_loses_no_step(tmp_path: Path, straight: Path) -> None:
    def fail(step: int) -> None:
        if step == 7:
            raise BadInput("no such picture")

    with pytest.raises(BadInput, match="no such picture"):
        run(Toy(hook=fail), tmp_path, 14)
    assert checkpoints.load(tmp_path / "state").facts["step"] == 7
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


# Killed -------------------------------------------------------------------------------------------------


@contextmanager
def toy_process(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", TOY, str(folder), "14", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("call", ["fsync:9", "replace:5"])
def test_killed_while_it_saves(tmp_path: Path, straight: Path, call: str) -> None:
    """A save syncs the file, renames it and syncs the folder; before it the log is renamed once."""
    with toy_process(tmp_path, "--die", call) as process:
        assert process.wait(250) == -signal.SIGKILL
    state = checkpoints.load(tmp_path / "state")
    assert state.facts["step"] == {"fsync:9": 4, "replace:5": 3}[call]
    assert (tmp_path / "state" / f"{NAME}.part").exists()
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


def test_killed_at_any_moment(tmp_path: Path, straight: Path) -> None:
    with toy_process(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 5:
                process.kill()
                break
    assert checkpoints.load(tmp_path / "state").facts["step"] >= 4
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 14, "gener')
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


# What goes wrong ----------------------------------------------------------------------------------------


@contextmanager
def small_disk(most_bytes: int) -> Iterator[None]:
    """No file may grow beyond ``most_bytes``: the system itself refuses to write more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path, straight: Path) -> None:
    run(Toy(), tmp_path, 6)
    with small_disk(8192), pytest.raises(SaveError, match=r"the disk is full.*saved before is whole"):
        run(Toy(), tmp_path, 14, save_every_s=0.0)
    assert checkpoints.load(tmp_path / "state").facts["step"] == 6
    assert not (tmp_path / "state" / f"{NAME}.part").exists()
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


def test_a_full_disk_under_the_log(tmp_path: Path) -> None:
    with small_disk(100), pytest.raises(SaveError, match=r"log\.jsonl.*the disk is full"):
        run(Toy(), tmp_path, 14)


def test_a_part_that_cannot_be_written_keeps_the_one_before(tmp_path: Path) -> None:
    class Heavy(Toy):
        def write_part(self, folder: Path) -> None:
            super().write_part(folder)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run(Toy(), tmp_path, 2)
    before = (tmp_path / "part" / "model.safetensors").read_bytes()
    with pytest.raises(SaveError, match="part could not be written: the disk is full"):
        run(Heavy(), tmp_path, 3)
    assert (tmp_path / "part" / "model.safetensors").read_bytes() == before
    assert checkpoints.load(tmp_path / "state").facts["step"] == 3


@pytest.mark.parametrize("when", [3, 11])
def test_a_loss_that_is_no_number_is_named(tmp_path: Path, when: int) -> None:
    """Seen at once in the first steps, later at the next line of the log, and never saved."""

    def spoiled() -> Toy:
        task = Toy()
        task.hook = lambda step: setattr(task, "spoil", step == when)
        return task

    with pytest.raises(Diverged, match=rf"toy failed at step {when + 1}: critic's (loss|gradient) is nan"):
        run(spoiled(), tmp_path, 14 + 6, save_every_s=1000.0)
    assert not checkpoints.exists(tmp_path / "state")
    with pytest.raises(Diverged):
        run(spoiled(), tmp_path, 14, save_every_s=0.0)
    state = checkpoints.load(tmp_path / "state")
    assert state.facts["step"] == when
    assert all(t.isfinite().all() for t in state.tensors.values())


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    run(Toy(), tmp_path, 2)
    with pytest.raises(ModelRefused, match=r"width: 16 before, 12 now"):
        run(Toy(width=12), tmp_path, 4)
    assert checkpoints.load(tmp_path / "state").facts["step"] == 2


def test_another_network_under_the_same_configuration_is_refused(tmp_path: Path) -> None:
    run(Toy(), tmp_path, 2)
    other = Toy()
    other.critic.append(nn.Linear(1, 1))
    with pytest.raises(ModelRefused, match="saved state of critic belongs to another network"):
        run(other, tmp_path, 4)


@pytest.mark.parametrize("cut", [0, 7, 200, -1])
def test_a_damaged_state_is_refused(tmp_path: Path, cut: int) -> None:
    run(Toy(), tmp_path, 1)
    path = tmp_path / "state" / NAME
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelRefused, match=r"state\.safetensors is damaged"):
        run(Toy(), tmp_path, 4)


@settings(max_examples=30)
@given(facts=st.recursive(st.none() | st.integers() | st.text(), st.lists) | st.just({"step": -1}))
def test_a_state_of_nonsense_is_refused(tmp_path_factory: pytest.TempPathFactory, facts: Any) -> None:
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("nonsense")
    save_file({"x": torch.zeros(1)}, folder / NAME, {"footfall": json.dumps(facts)})
    with pytest.raises(ModelRefused):
        checkpoints.load(folder)


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no precision named 'int4'"):
        run(Toy(), tmp_path, 1, precision="int4")
    with pytest.raises(BadInput, match="negative"):
        run(Toy(), tmp_path, -1)
    with pytest.raises(BadInput, match="run footfall train toy first"):
        write_part(Toy(), tmp_path)


# Pieces -------------------------------------------------------------------------------------------------


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
