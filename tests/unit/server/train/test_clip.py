# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIP learns from a small world, and what it learnt is read by the worker."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from footfall.server.models.clip import ClipEncoder
from footfall.server.train import clip, parts, tower
from footfall.server.train.clip import ClipTask
from footfall.server.train.loop import train
from torch.nn.functional import cosine_similarity

from .towers_world import write_world

CPU = torch.device("cpu")
STEPS = 20
SETTINGS = SimpleNamespace(tiny=True, seed=0)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a trained CLIP."""
    work = tmp_path_factory.mktemp("clip")
    write_world(work / "world", 43, 10)
    summary = train(clip.task(work, SETTINGS), work / "clip", steps=STEPS, device="cpu", precision="float32")
    assert summary.done
    return work


@pytest.fixture
def task(work: Path) -> ClipTask:
    return clip.task(work, SETTINGS)


@pytest.fixture(scope="module")
def encoder(work: Path, tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    bundle = parts.assemble(work, ("clip",), tmp_path_factory.mktemp("bundle") / "clip")
    return ClipEncoder.load(bundle, CPU, torch.float32)


def frames(count: int, side: int = 112) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return small.repeat(side // 8, 1).repeat(side // 8, 2)


def test_the_loss_falls(work: Path) -> None:
    rows = [json.loads(line) for line in (work / "clip" / "log.jsonl").read_text().splitlines()]
    losses = [row["clip/loss"] for row in rows]
    assert losses[-1] < losses[0] - 0.3


def test_the_worker_reads_the_part(work: Path, encoder: ClipEncoder) -> None:
    assert encoder.encode_images(frames(3)).shape == (3, 512)
    rows = encoder.encode_text(["a wooden ball falling on stone", "", "RAIN"])
    assert rows.shape == (3, 512)
    assert torch.isfinite(rows).all()
    names = {path.name for path in (work / "clip" / "part").iterdir()}
    assert names == {"open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"}


def test_training_and_worker_see_and_read_alike(task: ClipTask, encoder: ClipEncoder) -> None:
    module = task.module.eval()
    module.tower.load_state_dict(encoder._model.state_dict())
    shots = np.arange(3)
    ids, lengths = task.words.rows(task.words.first(shots))
    with torch.inference_mode():
        seen, read = module.shots(task.plain(frames(3))), module.texts(ids, lengths)
    captions = [task.seen.shots[shot].captions[0] for shot in shots]
    assert cosine_similarity(seen, encoder.encode_images(frames(3), whole=True)).min() > 0.9999
    assert cosine_similarity(read, encoder.encode_text(captions)).min() > 0.9999


def test_a_batch_depends_on_the_step_alone(work: Path, task: ClipTask) -> None:
    task.batch(3)
    first, again, other = task.batch(7), clip.task(work, SETTINGS).batch(7), task.batch(8)
    assert all(
        torch.equal(
            first[name],
            again[name],
        )
        or name == "numbers"
        for name in first
    )
    assert torch.equal(first["numbers"].nan_to_num(9), again["numbers"].nan_to_num(9))
    assert not torch.equal(first["things"], other["things"])
    assert first["ids"].shape[1] == first["other_ids"].shape[1]


def test_held_out_frames_are_watched(task: ClipTask) -> None:
    task.module.train()
    found = task.examined()
    assert set(found) == {"scene_family", "scene_at10"}
    assert all(0 <= value <= 1 for value in found.values())
    assert task.module.training


def test_frames_are_changed_but_stay_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    same = torch.from_numpy(frames(1).repeat(6, 0))
    found = clip.changed(same, 32, generator)
    assert found.shape == (6, 3, 32, 32)
    assert found.min() >= 0
    assert found.max() <= 1
    assert all(not torch.equal(found[0], other) for other in found[1:])
    again = clip.changed(same, 32, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_settling_makes_the_norms_know_the_data() -> None:
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(2)).eval()
    data = torch.randn(4, 8, 2, 5, 5) * 3 + 7
    tower.settle(net, (net(piece) for piece in data))
    assert net[0].running_mean == pytest.approx(data.mean((0, 1, 3, 4)).numpy(), abs=1e-4)
    assert not net[0].training
