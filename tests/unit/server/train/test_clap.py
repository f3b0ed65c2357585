# SPDX-License-Identifier: GPL-3.0-or-later
"""CLAP learns from a small world by the worker's own path of sound, and the worker reads what it learnt."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from footfall.server.models import clap as worker
from footfall.server.models.clap import ClapEncoder
from footfall.server.train import clap, mel, parts
from footfall.server.train.clap import ClapTask
from footfall.server.train.loop import train
from footfall.server.train.synth.shots import make_shot
from torch.nn.functional import cosine_similarity

from .towers_world import sound, write_world

CPU = torch.device("cpu")
STEPS = 20
SETTINGS = SimpleNamespace(tiny=True, seed=0)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a trained CLAP."""
    work = tmp_path_factory.mktemp("clap")
    write_world(work / "world", 43, 6)
    summary = train(clap.task(work, SETTINGS), work / "clap", steps=STEPS, device="cpu", precision="float32")
    assert summary.done
    return work


@pytest.fixture
def task(work: Path) -> ClapTask:
    return clap.task(work, SETTINGS)


@pytest.fixture(scope="module")
def encoder(work: Path, tmp_path_factory: pytest.TempPathFactory) -> ClapEncoder:
    bundle = parts.assemble(work, ("clap",), tmp_path_factory.mktemp("bundle") / "clap")
    return ClapEncoder.load(bundle, CPU, torch.float32)


def wave(number: int) -> np.ndarray:
    return mel.prepare(sound(make_shot("train", number)))


def test_the_loss_falls(work: Path) -> None:
    rows = [json.loads(line) for line in (work / "clap" / "log.jsonl").read_text().splitlines()]
    losses = [row["clap/loss"] for row in rows]
    assert losses[-1] < losses[0] - 0.3


def test_the_worker_reads_the_part(work: Path, encoder: ClapEncoder) -> None:
    rows = encoder.encode_audio(np.stack([wave(0), wave(7)]))
    assert rows.shape == (2, 512)
    assert not torch.equal(rows[0], rows[1])
    assert encoder.encode_text(["", "WIND " * 600]).shape == (2, 512)
    names = {path.name for path in (work / "clap" / "part").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt"} <= names


def test_what_is_kept_unrolls_to_what_the_worker_hears() -> None:
    for number in (0, 20, 39):
        heard = worker.log_mel(
            worker.fit(worker.resample(torch.from_numpy(wave(number))[None], 16_000, 48_000))
        )
        kept = clap.unrolled(torch.from_numpy(clap.rolled(wave(number)))[None].float())
        assert kept.shape == heard.shape == (1, 1, 1001, 64)
        assert (kept - heard).abs().max() < 0.1


def test_training_and_worker_hear_and_read_alike(task: ClapTask, encoder: ClapEncoder) -> None:
    module = task.module.eval()
    module.tower.load_state_dict(encoder._model.state_dict())
    ids, lengths = task.words.rows(task.words.first(np.arange(3)))
    kept = np.stack([clap.rolled(wave(number)) for number in range(3)])
    with torch.inference_mode():
        heard, read = module.shots(task.plain(kept)), module.texts(ids, lengths)
    sounds = np.stack([wave(number) for number in range(3)])
    captions = [task.seen.shots[shot].captions[0] for shot in range(3)]
    assert cosine_similarity(heard, encoder.encode_audio(sounds)).min() > 0.9999
    assert cosine_similarity(read, encoder.encode_text(captions)).min() > 0.9999


def test_a_batch_depends_on_the_step_alone(work: Path, task: ClapTask) -> None:
    task.batch(3)
    first, again, other = task.batch(7), clap.task(work, SETTINGS).batch(7), task.batch(8)
    assert all(torch.equal(first[name], again[name]) or name == "numbers" for name in first)
    assert not torch.equal(first["things"], other["things"])


def test_held_out_sounds_are_watched(task: ClapTask) -> None:
    task.module.train()
    found = task.examined()
    assert set(found) == {"scene_family", "scene_at10"}
    assert all(0 <= value <= 1 for value in found.values())
    assert task.module.training


def test_sounds_are_changed_but_stay_sounds() -> None:
    kept = torch.from_numpy(clap.rolled(wave(5)))[None].float().repeat(40, 1, 1)
    found = clap.changed(kept, torch.Generator().manual_seed(0))
    assert found.shape == (40, 1, 1001, 64)
    assert found.min() >= clap.SILENCE_DB
    assert found.max() < kept.max() + 12
    quiet = (found[:, 0, 3 * clap.TURN :] == clap.SILENCE_DB).all(-1).all(-1)
    assert 0.5 < quiet.float().mean() < 1  # some go on for ten seconds
    assert torch.equal(found, clap.changed(kept, torch.Generator().manual_seed(0)))
