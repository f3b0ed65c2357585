# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the toy training, and how two of them are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from footfall.server.train import checkpoints
from footfall.server.train.journal import read_log
from footfall.server.train.loop import Summary, train
from footfall.tests.fakes.toy_training import Toy
from safetensors.torch import load_file

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
