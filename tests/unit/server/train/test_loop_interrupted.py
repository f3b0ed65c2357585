# SPDX-License-Identifier: GPL-3.0-or-later
"""A training that is stopped, killed or out of room goes on to the bit from what was saved before."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from footfall.addon.wire.errors import BadInput, Cancelled, SaveError
from footfall.server.models.weights import save_weights
from footfall.server.train import checkpoints
from footfall.server.train.loop import Progress
from footfall.tests.fakes.small_disk import small_disk
from footfall.tests.fakes.toy_runs import NAME, TOY, assert_same_training, run
from footfall.tests.fakes.toy_training import Toy


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
    assert len(list((tmp_path / "state").iterdir())) == 2  # the state, and what was being written
    run(Toy(), tmp_path, 14)
    assert [path.name for path in (tmp_path / "state").iterdir()] == [NAME]
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


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path, straight: Path) -> None:
    run(Toy(), tmp_path, 6)
    with small_disk(8192), pytest.raises(SaveError, match=r"the disk is full.*saved before is whole"):
        run(Toy(), tmp_path, 14, save_every_s=0.0)
    assert checkpoints.load(tmp_path / "state").facts["step"] == 6
    assert [path.name for path in (tmp_path / "state").iterdir()] == [NAME]
    run(Toy(), tmp_path, 14)
    assert_same_training(straight, tmp_path)


def test_a_full_disk_under_the_log(tmp_path: Path) -> None:
    with small_disk(100), pytest.raises(SaveError, match=r"log\.jsonl.*the disk is full"):
        run(Toy(), tmp_path, 14)


def test_a_part_that_cannot_be_written_keeps_the_one_before(tmp_path: Path) -> None:
    class Heavy(Toy):
        def write_part(self, folder: Path) -> None:
            super().write_part(folder)
            with small_disk(8192):
                save_weights({"heavy": torch.zeros(50_000)}, folder / "model.safetensors")

    run(Toy(), tmp_path, 2)
    before = (tmp_path / "part" / "model.safetensors").read_bytes()
    with pytest.raises(SaveError, match="part could not be written: the disk is full"):
        run(Heavy(), tmp_path, 3)
    assert (tmp_path / "part" / "model.safetensors").read_bytes() == before
    assert checkpoints.load(tmp_path / "state").facts["step"] == 3
