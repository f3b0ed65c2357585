# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappers: the published sizes, batches that depend on the step alone, parts that the worker takes."""

from __future__ import annotations

import hashlib
import json
import shutil
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelRefused
from footfall.server.models.bundle import SpaceId, open_bundle
from footfall.server.models.mapper import Generative, Regression, load_mapper
from footfall.server.models.prior import GenerativePrior
from footfall.server.train import mapper as training
from footfall.server.train.into import put_into
from footfall.server.train.loop import train, write_part
from footfall.server.train.mapper import MapperTask, build, recipe, some_frames, trainable
from footfall.server.train.pairs import Pairs, Row, pairs_of
from footfall.server.train.world_pairs import world_pairs
from torch.nn.functional import normalize

KINDS = ("regression", "generative")
CPU = torch.device("cpu")


def synthetic(
    count: int = 96, frames: int = 4, sizes: tuple[int, int] = (24, 16), spaces: tuple[SpaceId, ...] = ()
) -> Pairs:
    """Sounds that follow from the pictures by a fixed rotation, pictures of four kinds."""
    generator = torch.Generator().manual_seed(5)
    kinds = torch.randn(4, sizes[0], generator=generator)
    rotation = torch.randn(sizes[0], sizes[1], generator=generator)
    which = torch.arange(count) % 4
    clean = kinds[which]
    seen = clean[:, None] + 0.1 * torch.randn(count, frames, sizes[0], generator=generator)
    rows = [
        Row(file=f"clip{number}.mp4", label=str(int(which[number])), split="train") for number in range(count)
    ]
    clip, clap = spaces or (SpaceId(name="eye", sha256="a" * 64), SpaceId(name="ear", sha256="b" * 64))
    return pairs_of(seen, normalize(clean @ rotation, dim=-1), rows, clip, clap)


def tiny(kind: str, pairs: Pairs | None = None, seed: int = 0) -> MapperTask:
    return MapperTask(
        kind, recipe(kind, "starter", tiny=True), synthetic() if pairs is None else pairs, seed=seed
    )


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [
        ("regression", "paper", 2_103_808),
        ("generative", "paper", 48_602_624),  # without the class's unused mean and deviation, 1024 numbers
        ("regression", "starter", 526_336),
        ("generative", "starter", 2_896_896),
    ],
)
def test_sizes(kind: str, size: str, count: int) -> None:
    chosen = recipe(kind, size)
    with torch.device("meta"):
        network = build(kind, chosen.network, (512, 512), chosen.dropout)
    assert trainable(network) == count
    if (kind, size) == ("generative", "paper"):
        assert abs(count - training.PUBLISHED_PARAMETERS) < 0.005 * training.PUBLISHED_PARAMETERS


def test_the_papers_settings() -> None:
    """Those of the public prior whose parameter count the paper publishes."""
    chosen = recipe("generative", "paper")
    assert (chosen.rate, chosen.weight_decay, chosen.ema) == (1.1e-4, 6.02e-2, 0.9999)
    assert (chosen.drop, chosen.dropout, chosen.clip, chosen.steps) == (0.1, 0.05, 0.5, 64)
    with torch.device("meta"):
        network = build("generative", chosen.network, (512, 512), chosen.dropout)
    assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)} == {0.05}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_depends_on_the_step_alone(kind: str) -> None:
    one, other = tiny(kind), tiny(kind)
    first = [one.batch(step) for step in range(30)]
    for step in (29, 3, 17):
        again = other.batch(step)
        assert all(torch.equal(again[name], first[step][name]) for name in again)
    assert not torch.equal(first[0]["clip"], first[1]["clip"])
    assert not torch.equal(tiny(kind, seed=1).batch(0)["clip"], first[0]["clip"])


def test_each_round_has_every_pair_once() -> None:
    task = tiny("regression")
    numbers = np.concatenate([task._numbers(step) for step in range(24)])  # two rounds of 96 in eights
    for half in (numbers[:96], numbers[96:]):
        assert sorted(half) == list(range(96))
    assert not np.array_equal(numbers[:96], numbers[96:])


def test_runs_of_frames() -> None:
    frames = torch.eye(6).expand(500, 6, 6)
    shares = some_frames(frames, np.random.default_rng(0))
    torch.testing.assert_close(shares.sum(-1), torch.ones(500))
    counts = (shares > 0).sum(-1)
    assert set(counts.tolist()) == set(range(1, 7))
    for row in shares:
        places = torch.nonzero(row).flatten()
        assert len(places) == int(places[-1] - places[0]) + 1  # one run
        assert float(row.max()) == pytest.approx(1 / len(places))


@pytest.mark.parametrize(("kind", "steps", "gain"), [("regression", 60, 0.3), ("generative", 120, 0.9)])
def test_the_loss_falls_and_a_resume_is_exact(tmp_path: Path, kind: str, steps: int, gain: float) -> None:
    seen: list[float] = []
    whole = tmp_path / "whole"
    train(tiny(kind), whole, steps=steps, device="cpu", precision="float32",
          progress=lambda told: seen.append(told.losses.get("mapper/loss") or 0.0))  # fmt: skip
    losses = [loss for loss in seen if loss]
    assert np.mean(losses[-10:]) < gain * np.mean(losses[:5])
    parts = tmp_path / "parts"
    train(tiny(kind), parts, steps=steps // 2, device="cpu", precision="float32")
    train(tiny(kind), parts, steps=steps, device="cpu", precision="float32")
    for name in ("part/model.safetensors", "part/config.json"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_another_data_set_is_not_gone_on_with(tmp_path: Path) -> None:
    train(tiny("regression"), tmp_path, steps=1, device="cpu", precision="float32")
    with pytest.raises(ModelRefused, match="pairs: 96 before, 95 now"):
        train(tiny("regression", synthetic(95)), tmp_path, steps=2, device="cpu", precision="float32")


def test_how_many_draws_are_averaged_is_no_reason_to_begin_anew() -> None:
    chosen = recipe("generative", "starter", tiny=True)
    assert chosen.draws == 8
    assert replace(chosen, draws=1).said() == chosen.said()
    assert replace(chosen, rate=1.0).said() != chosen.said()


def test_the_conditions_are_left_out_as_often_as_said() -> None:
    seen: list[torch.Tensor] = []

    class Spy(GenerativePrior):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor, clip_rows: torch.Tensor) -> torch.Tensor:
            seen.append(clip_rows)
            return noisy

    prior = Spy(size=8, layers=1, heads=1, head_size=8)
    batch = {"clip": torch.randn(4000, 8), "clap": normalize(torch.randn(4000, 8), dim=-1)}
    training.prior_loss(prior, batch, torch.Generator().manual_seed(0), 0.1)
    lengths = seen[0].norm(dim=-1)
    assert 0.08 < float((lengths == 0).float().mean()) < 0.12
    torch.testing.assert_close(lengths[lengths > 0], torch.ones(int((lengths > 0).sum())))


SIZES = (512, 512)


@pytest.mark.parametrize(("kind", "loaded"), [("regression", Regression), ("generative", Generative)])
def test_the_worker_loads_the_part(tmp_path: Path, models_folder: Path, kind: str, loaded: type) -> None:
    """Straight into a bundle, twice: the second one takes the place of the first."""
    root = Path(shutil.copytree(models_folder / "tiny", tmp_path / "tiny"))
    bundle = open_bundle(root)
    pairs = synthetic(sizes=(512, 512), spaces=(bundle.clip_space, bundle.clap_space))
    chosen = recipe(kind, "starter", tiny=True)
    for steps in (1, 2):
        task = MapperTask(kind, chosen, pairs, into=root)
        train(task, tmp_path / "work", steps=steps, device="cpu", precision="float32")
    assert kind in open_bundle(root).mappers
    open_bundle(root).verify()
    mapper = load_mapper(open_bundle(root), kind, SIZES, CPU)
    assert isinstance(mapper, loaded)
    rows = mapper.map(pairs.take([0, 1])[0].mean(1), seed=3)
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(2))
    said = json.loads((root / "mappers" / kind / "config.json").read_text())["trained"]
    assert said["pairs"] == 96
    assert said["parameters"] == trainable(task.network)


def test_pairs_of_another_space(tmp_path: Path, models_folder: Path) -> None:
    """Told before the training, not after it; and by the worker, should such a part be put there by hand."""
    root = Path(shutil.copytree(models_folder / "tiny", tmp_path / "tiny"))
    pairs, chosen = synthetic(sizes=(512, 512)), recipe("regression", "starter", tiny=True)
    with pytest.raises(ModelRefused, match="another CLIP or CLAP"):
        MapperTask("regression", chosen, pairs, into=root)
    work = tmp_path / "work"
    train(MapperTask("regression", chosen, pairs), work, steps=1, device="cpu", precision="float32")
    (work / "part" / "model.safetensors").chmod(0o600)
    put_into(root, work / "part", "mappers/regression")
    modes = {path.stat().st_mode for path in (root / "mappers" / "regression").iterdir()}
    assert modes == {(root / "bundle.toml").stat().st_mode}  # for whoever may read the bundle
    with pytest.raises(ModelRefused, match="another CLIP"):
        load_mapper(open_bundle(root), "regression", SIZES, CPU)


def test_a_part_can_be_written_before_the_end(tmp_path: Path) -> None:
    asked = iter([False, True])
    summary = train(
        tiny("regression"), tmp_path, steps=50, device="cpu", precision="float32", stop=lambda: next(asked)
    )
    assert not summary.done
    assert write_part(tiny("regression"), tmp_path) == 2
    assert (tmp_path / "part" / "model.safetensors").is_file()


def test_no_such_mapper_and_no_pairs() -> None:
    with pytest.raises(BadInput, match="no huge"):
        recipe("regression", "huge")
    pairs = synthetic(4)
    empty = pairs_of(pairs.clip[0][:0], pairs.clap[0][:0], [], pairs.clip_space, pairs.clap_space)
    with pytest.raises(BadInput, match="no pairs"):
        tiny("regression", empty)


def test_options() -> None:
    parser = ArgumentParser()
    training.add_arguments(parser)
    assert parser.parse_args([]) == Namespace(
        kind="regression", size="starter", data=None, frames=None, model=None, variance=None, into=None
    )


def write_features(work: Path, counts: list[int]) -> None:
    """Features of the world as ``features.make`` leaves them, for shots of so many frames each."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(2)
    head = {
        "keys": [f"train-{number}" for number in range(len(counts))],
        "families": ["rain" if count else "creak" for count in counts],
    }
    (work / "features").mkdir(parents=True)
    start = torch.tensor([0, *np.cumsum(counts).tolist()])
    pictures = torch.arange(sum(counts)).float()[:, None] + torch.rand(sum(counts), 512, generator=generator)
    sounds = normalize(torch.randn(len(counts), 512, generator=generator), dim=-1)
    words = ["a", "b"]
    clap = head | {"words": words, "captions": [[0, 1]] * len(counts)}
    facts = {"mark": "m", "head": json.dumps(head)}
    save_file({"pictures": pictures, "start": start}, work / "features" / "train-clip.safetensors", facts)
    save_file(
        {"sounds": sounds, "texts": sounds[:2].clone(), "empty": sounds[:1].clone()},
        work / "features" / "train-clap.safetensors",
        {"mark": "m", "head": json.dumps(clap)},
    )
    for part in ("clip", "clap"):
        (work / part / "part").mkdir(parents=True)
        (work / part / "part" / "model.safetensors").write_bytes(part.encode())


def test_pairs_of_the_world(tmp_path: Path) -> None:
    """Shots that cannot be seen are left out; a shot of fewer frames shows each for longer."""
    write_features(tmp_path, [4, 0, 2, 4])
    pairs = world_pairs(tmp_path, "train", made=True)
    assert [pairs.row(number).file for number in range(3)] == ["train-0", "train-2", "train-3"]
    assert {pairs.row(number).label for number in range(3)} == {"rain"}
    frames, heard = pairs.take([1, 2])
    assert frames[0, :, 0].floor().tolist() == [4, 4, 5, 5]
    assert frames[1, :, 0].floor().tolist() == [6, 7, 8, 9]
    torch.testing.assert_close(heard.norm(dim=-1), torch.ones(2))
    assert pairs.clip_space.sha256 == hashlib.sha256(b"clip").hexdigest()
    assert len(pairs.parted()[1]) == 0


def test_a_world_without_pictures(tmp_path: Path) -> None:
    write_features(tmp_path, [0, 0])
    with pytest.raises(BadInput, match="no shots with pictures"):
        world_pairs(tmp_path, "train", made=True)
