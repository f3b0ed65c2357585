# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior from words to pictures: its size, its data, an exact resume, parts that the worker takes, and
what is measured on shots that it never saw.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.cli import study as study_command
from footfall.cli import train as train_command
from footfall.server.models.bundle import STARTER_ROOT, SpaceId, open_bundle
from footfall.server.models.clip import ClipEncoder
from footfall.server.models.random_mapper import write_random_mapper
from footfall.server.models.random_prior import write_random_prior
from footfall.server.models.text_prior import LeanPrior, load_text_prior
from footfall.server.train import prior as training
from footfall.server.train.into import add_prior
from footfall.server.train.loop import train
from footfall.server.train.mapper import trainable
from footfall.server.train.pairs import Pairs, Row, pairs_of
from footfall.server.train.prior import Captioned, PriorTask, captioned, labelled
from footfall.server.train.prior_study import TrainedPrior, closed, measured, ridge, study_prior, work_prior
from footfall.server.train.world_pairs import space_of
from torch import Tensor
from torch.nn.functional import normalize

from .towers_world import write_world

CPU = torch.device("cpu")
EYE = SpaceId(name="eye", sha256="a" * 64)
TINY = replace(training.RECIPE, network={"layers": 1, "heads": 2, "head_size": 8}, batch=8, warmup=2, steps=4)


def made(shots: int = 60, size: int = 24, seed: int = 0, kinds: int = 5, first: int = 0) -> Captioned:
    """Pictures of a few kinds, and words that follow from them by a rotation, which is always the same."""
    fixed = torch.Generator().manual_seed(11)
    clean = torch.randn(kinds, size, generator=fixed)
    rotation = torch.linalg.qr(torch.randn(size, size, generator=fixed)).Q
    generator = torch.Generator().manual_seed(seed)
    kind = (first + torch.arange(shots)) % kinds
    own = clean[kind] + 0.3 * torch.randn(shots, size, generator=generator)
    frames = own[:, None] + 0.1 * torch.randn(shots, 4, size, generator=generator)
    words = (own @ rotation)[:, None] + 0.1 * torch.randn(shots, 2, size, generator=generator)
    return Captioned(
        pictures=normalize(frames, dim=-1),
        texts=normalize(words.flatten(0, 1), dim=-1),
        captions=tuple((2 * shot, 2 * shot + 1) for shot in range(shots)),
        families=tuple(str(int(number)) for number in kind),
        space=EYE,
    )


def same(one: Path, other: Path) -> bool:
    return (one / "part/model.safetensors").read_bytes() == (other / "part/model.safetensors").read_bytes()


def test_it_is_small_enough_to_ship(tmp_path: Path) -> None:
    task = PriorTask(made(size=512))
    assert trainable(task.network) < 1_400_000
    task.write_part(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_800_000


def test_batches_follow_from_seed_and_step_and_pair_what_belongs_together() -> None:
    data = made()
    task = PriorTask(data, replace(TINY, noise=0.0), seed=4)
    batch = task.batch(7)
    assert all(
        torch.equal(batch[key], PriorTask(data, replace(TINY, noise=0.0), seed=4).batch(7)[key])
        for key in batch
    )
    assert not torch.equal(batch["words"], task.batch(8)["words"])
    for words, picture in zip(batch["words"], batch["picture"], strict=True):
        caption = int((data.texts @ words).argmax())
        shot = next(shot for shot, own in enumerate(data.captions) if caption in own)
        assert float((data.pictures[shot] @ picture).max()) > 1 - 1e-5
    noisy = PriorTask(data, TINY, seed=4).batch(7)["words"]
    apart = (noisy - batch["words"]).norm(dim=-1)
    assert 0.5 * TINY.noise < float(apart.mean()) < 2 * TINY.noise


def test_all_captions_and_frames_are_drawn() -> None:
    data = made(shots=3)
    task = PriorTask(data, replace(TINY, noise=0.0))
    rows = [task.batch(step) for step in range(20)]
    assert len({tuple(row.tolist()) for batch in rows for row in batch["words"]}) == 6
    assert len({tuple(row.tolist()) for batch in rows for row in batch["picture"]}) == 12


def test_a_training_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    def run(folder: Path, steps: int) -> None:
        train(PriorTask(made(), TINY, seed=1), folder, steps=steps, device="cpu", precision="float32")

    run(tmp_path / "one", 12)
    run(tmp_path / "two", 5)
    run(tmp_path / "two", 12)
    assert same(tmp_path / "one", tmp_path / "two")


def test_what_it_learns_is_nearer_than_the_words(tmp_path: Path) -> None:
    task = PriorTask(made(400), replace(TINY, batch=64, ema=0.97, rate=5e-3, steps=8))
    train(task, tmp_path / "prior", steps=150, device="cpu", precision="float32")
    prior, held_out = work_prior(tmp_path), made(40, seed=9)
    report = study_prior(prior, task.data, held_out, tmp_path / "out", steps=(2,), guidance=(0.0,))
    ways = {row["way"]: row for row in report["ways"]}
    assert ways["prior"]["cosine"] > ways["the words as they are"]["cosine"] + 0.4
    assert ways["prior"]["family"] > 0.9
    assert report["closed"]["cosine"] > 0.7
    assert report["guidance"][0]["family"] < 0.6  # the words forgotten
    assert json.loads((tmp_path / "out/prior.json").read_text()) == report
    text = (tmp_path / "out/prior.md").read_text()
    assert "| ridge regression | " in text
    assert "| prior | " in text


def test_numbers_of_the_study() -> None:
    data = made(20)
    own = measured(data.pictures[:, 2], data)
    assert own["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert own["fd"] < 1e-6
    assert own["centres"] < 1e-6
    assert own["family"] == own["r1"] == 1.0
    wrong = measured(data.pictures[:, 2].roll(1, 0), data)  # the kinds go in a circle
    assert wrong["family"] == 0.0
    assert wrong["fd"] < 1e-6
    found = ridge(data)(data.texts[::2])
    assert float((found * data.pictures.mean(1)).sum(-1).mean()) > 0.9
    ways = [
        {"way": "the words as they are", "cosine": 0.2, "fd": 1.0, "centres": 0.5},
        {"way": "prior", "cosine": 0.5, "fd": 0.4, "centres": 0.5},
        {"way": "another frame of the shot", "cosine": 0.8, "fd": 0.2, "centres": 0.5},
    ]
    assert closed(ways) == pytest.approx({"cosine": 0.5, "fd": 0.75, "centres": 1.0})


def test_the_study_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall train prior"):
        work_prior(tmp_path)
    prior = TrainedPrior(network=PriorTask(made(), TINY).network, steps=2, clip_sha256="b" * 64)
    with pytest.raises(ModelRefused, match="another CLIP"):
        study_prior(prior, made(), made(), tmp_path)
    with pytest.raises(BadInput, match="at least two"):
        study_prior(prior, made(), made().some(1), tmp_path)
    (tmp_path / "prior/part").mkdir(parents=True)
    (tmp_path / "prior/part/config.json").write_text("{}")
    with pytest.raises(ModelRefused, match="damaged"):
        work_prior(tmp_path)


def test_some_shots_keep_what_belongs_to_them() -> None:
    data = made(10).some(3)
    assert len(data) == len(data.captions) == len(data.families) == 3
    assert data.families == ("0", "3", "1")
    assert len(made(10).some(99)) == 10


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(BadInput, match="footfall train world"):
        PriorTask(replace(made(), pictures=torch.zeros(0, 4, 24), captions=(), families=()))


# Where the data comes from


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Path:
    """A tiny world with CLIP and CLAP of its own."""
    folder = tmp_path_factory.mktemp("work")
    write_world(folder / "world", 6, 6)
    for part in ("clap", "clip"):
        shutil.copytree(models_folder / "tiny" / part, folder / part / "part")
    return folder


def test_the_worlds_captions_and_frames(work: Path) -> None:
    data = captioned(work, "train")
    assert len(data) == len(data.captions) == len(data.families)
    assert data.space == space_of(work, "clip")
    torch.testing.assert_close(data.texts.norm(dim=-1), torch.ones(len(data.texts)))
    torch.testing.assert_close(data.pictures.norm(dim=-1), torch.ones(data.pictures.shape[:2]))
    assert {place for places in data.captions for place in places} == set(range(len(data.texts)))


def run(*arguments: str) -> dict[str, Any]:
    """One of the two commands, as it prints itself with --json."""
    parser = ArgumentParser()
    subparsers = parser.add_subparsers()
    for command in (train_command, study_command):
        command.add_parser(subparsers)
    options = parser.parse_args([*arguments, "--json"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert (train_command if arguments[0] == "train" else study_command).run(options) == 0
    return dict(json.loads(printed.getvalue()))


def test_a_tiny_run_from_the_command_line_ends_in_a_part_that_is_measured(work: Path, tmp_path: Path) -> None:
    report = run("train", "prior", "--tiny", "--work", str(work), "--device", "cpu")
    assert report["done"]
    config = json.loads((work / "prior/part/config.json").read_text())
    assert config["clip"]["sha256"] == space_of(work, "clip").sha256
    assert config["trained"]["parameters"] < 100_000
    found = run("study", "--prior", "--work", str(work), "--out", str(tmp_path), "--pairs", "2")
    assert found["shots"] == 2
    assert [row["way"] for row in found["ways"]][3] == "prior"
    assert (tmp_path / "prior.md").is_file()
    with pytest.raises(BadInput, match="leave out --data"):
        run("study", "--prior", "--model", "x", "--work", str(work), "--out", str(tmp_path))


# Bundles


@pytest.fixture
def copied(models_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(models_folder / "tiny", tmp_path / "copy")
    return tmp_path / "copy"


def of_space(space: SpaceId) -> Captioned:
    return replace(made(size=512), space=space)


def test_a_finished_prior_goes_into_a_bundle(copied: Path, tmp_path: Path) -> None:
    task = PriorTask(of_space(open_bundle(copied).clip_space), TINY, into=copied)
    train(task, tmp_path / "prior", steps=2, device="cpu", precision="float32")
    bundle = open_bundle(copied)
    bundle.verify()
    assert "clip_text_prior" in bundle.queries
    prior = load_text_prior(bundle, CPU)
    assert isinstance(prior, LeanPrior)
    found = prior.pictured(ClipEncoder.load(bundle, CPU, torch.float32), ["rain"], 0)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(1))


def test_a_bundle_with_another_clip_is_refused_before_training(copied: Path) -> None:
    with pytest.raises(ModelRefused, match="for another CLIP"):
        PriorTask(of_space(EYE), TINY, into=copied)


def test_the_prior_of_one_model_goes_into_another_with_the_same_clip(copied: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(copied, source)
    write_random_mapper(source, "text_prior", tiny=True)
    add_prior(open_bundle(source), copied)
    bundle = open_bundle(copied)
    bundle.verify()
    assert bundle.weights_sha256("text_prior") == open_bundle(source).weights_sha256("text_prior")
    load_text_prior(bundle, CPU)

    write_random_prior("karlo-v1-alpha-prior", tmp_path / "karlo", tiny=True)
    with pytest.raises(ModelRefused, match="another CLIP"):
        add_prior(open_bundle(tmp_path / "karlo"), copied)
    files = {path: entry for path, entry in bundle.files.items() if not path.startswith("text_prior/")}
    with pytest.raises(ModelMissing, match="has no text_prior"):
        add_prior(replace(bundle, files=files), copied)
    with pytest.raises(ModelRefused, match="stays as it is"):
        add_prior(bundle, STARTER_ROOT)
    assert open_bundle(copied).files == bundle.files


def pairs_with(labels: list[str], space: SpaceId, size: int = 512) -> Pairs:
    generator = torch.Generator().manual_seed(2)
    rows = [Row(file=f"{n}.mp4", label=label, split="train") for n, label in enumerate(labels)]
    seen: Tensor = torch.randn(len(labels), 3, size, generator=generator)
    return pairs_of(seen, normalize(torch.randn(len(labels), 512), dim=-1), rows, space, EYE)


def test_videos_of_ones_own_have_their_labels_for_captions(copied: Path) -> None:
    bundle = open_bundle(copied)
    data = labelled(pairs_with(["rain", "a bell", "", "rain"], bundle.clip_space), bundle)
    assert data.families == ("rain", "a bell", "rain")
    assert data.captions == ((1,), (0,), (1,))
    assert data.texts.shape == (2, 512)
    expected = ClipEncoder.load(bundle, CPU, torch.float32).encode_text(["a bell", "rain"])
    np.testing.assert_allclose(data.texts, normalize(expected, dim=-1), atol=1e-5)
    with pytest.raises(ModelRefused, match="another CLIP"):
        labelled(pairs_with(["rain"], EYE), bundle)


def test_options(tmp_path: Path) -> None:
    parser = ArgumentParser()
    training.add_arguments(parser)
    options = parser.parse_args(["--data", str(tmp_path), "--into", str(tmp_path)])
    with pytest.raises(BadInput, match="--data needs --model"):
        training.task(tmp_path, Namespace(tiny=True, seed=0, **vars(options)))
