# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapper from words alone: its means are folded in exactly, and it maps pictures it never saw."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from footfall.addon.wire.errors import BadInput
from footfall.server.models.bundle import SpaceId
from footfall.server.models.mapper import RegressionNetwork
from footfall.server.train import mapper as training
from footfall.server.train.loop import train
from footfall.server.train.mapped import open_mapper
from footfall.server.train.text_fit import TextTask, Words, fold, mean_of
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

CPU = torch.device("cpu")
EYE, EAR = SpaceId(name="eye", sha256="a" * 64), SpaceId(name="ear", sha256="b" * 64)
SIZE = 24


class World:
    """Eight things; words and pictures (and words and sounds) of one lie apart by the gap of their kind."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.things = torch.randn(8, SIZE, generator=draw)
        self.turn = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=draw)).Q
        self.gaps = 4.0 * normalize(torch.randn(4, SIZE, generator=draw), dim=-1)
        self.draw = draw

    def side(self, which: torch.Tensor, gap: int, turned: bool) -> Tensor:
        clean = self.things[which] + 0.3 * torch.randn(len(which), SIZE, generator=self.draw)
        return normalize((clean @ self.turn if turned else clean) + self.gaps[gap], dim=-1)


def test_the_means_are_folded_in_exactly() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = RegressionNetwork(6, 5, 9)
    rows, picture, sound = torch.randn(7, 6), torch.randn(6), torch.randn(5)
    with torch.no_grad():
        wanted = network(rows - picture) + sound
        fold(network, picture, sound, (torch.zeros(6), torch.zeros(5)))
        torch.testing.assert_close(network(rows), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seen", [True, False])
def test_it_maps_pictures_that_it_never_saw(tmp_path: Path, seen: bool) -> None:
    """Far better with the pictures' own mean than with the words', where the gap is wide."""
    world = World()
    which = torch.arange(160) % 8
    words = Words(
        seen=world.side(which, 0, False),
        heard=world.side(which, 1, True),
        clip_space=EYE,
        clap_space=EAR,
        picture=mean_of(world.side(which, 2, False)) if seen else None,
        sound=mean_of(world.side(which, 3, True)) if seen else None,
    )
    task = TextTask(words, tiny=True)
    train(task, tmp_path, steps=300, device="cpu", precision="float32")
    mapper = open_mapper(tmp_path / "part", EYE, EAR, CPU)
    assert mapper.name == "text"
    pictures, sounds = world.side(torch.arange(8), 2, False), world.side(torch.arange(8), 3, True)
    found = mapper.map(3.0 * pictures)
    centred = (cosine_similarity(found - found.mean(0), sounds - sounds.mean(0), dim=-1)).mean()
    straight = cosine_similarity(found, sounds, dim=-1).mean()
    said = json.loads((tmp_path / "part" / "config.json").read_text())["trained"]
    assert said["means"] == ("of pictures and sounds" if seen else "of words")
    if seen:
        assert float(centred) > 0.4
        assert float(straight) > 0.85
    else:
        assert float(straight) < 0.7


def test_a_batch_depends_on_the_step_alone() -> None:
    world = World()
    which = torch.arange(16) % 8
    words = Words(
        seen=world.side(which, 0, False), heard=world.side(which, 1, True), clip_space=EYE, clap_space=EAR
    )
    one, other = TextTask(words, tiny=True), TextTask(words, tiny=True)
    batches = [one.batch(step) for step in range(5)]
    assert all(torch.equal(other.batch(4)[name], batches[4][name]) for name in batches[4])
    assert not torch.equal(batches[0]["clip"], batches[1]["clip"])


def test_too_few_words() -> None:
    row = torch.ones(1, 4)
    with pytest.raises(BadInput, match="less than two captions"):
        TextTask(Words(seen=row, heard=row, clip_space=EYE, clap_space=EAR))


def test_the_project_s_captions_through_a_bundle(models_folder: Path) -> None:
    """As ``footfall train mapper --kind text --model DIR`` asks for it."""
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    settings = parser.parse_args(["--kind", "text", "--model", str(models_folder / "tiny")])
    settings.tiny, settings.seed = True, 0
    task = training.task(Path("nowhere"), settings)
    batch = task.batch(0)
    assert batch["clip"].shape == batch["clap"].shape == (8, 512)
    assert task.config()["captions"] > 2000
    assert task.config()["variance"] == 0.016
