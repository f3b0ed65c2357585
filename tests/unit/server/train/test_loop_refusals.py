# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training refuses: losses that are no numbers, states of other trainings, damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelRefused
from footfall.server.train import checkpoints
from footfall.server.train.loop import Diverged, write_part
from footfall.tests.fakes.toy_runs import NAME, run
from footfall.tests.fakes.toy_training import Toy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


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
