# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge learns to tell sounds apart, says the same after a round trip, and refuses what is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.server.train import judge, loop, mel
from footfall.server.train.shards import write_sounds
from footfall.server.train.synth.families import NAMES
from footfall.server.train.synth.shot import RATE_HZ, SAMPLES, Shot

KINDS = 3


def sound(kind: int, seed: int) -> np.ndarray:
    """A tone of its own for each kind, in noise: (40,960,) at 16 kHz."""
    draw = np.random.default_rng(seed)
    clock = np.arange(judge.FRAMES * mel.HOP) / mel.RATE_HZ
    wave = np.sin(2 * np.pi * 300 * 4**kind * clock * draw.uniform(0.95, 1.05))
    return (0.3 * wave + 0.05 * draw.standard_normal(len(clock))).astype(np.float32)


def tiny_task(seed: int = 0) -> judge.JudgeTask:
    labels = torch.arange(24) % KINDS
    mels = torch.stack([judge.log_mel(sound(int(kind), n)) for n, kind in enumerate(labels)]).half()
    return judge.JudgeTask(mels, labels, channels=(8, 8, 8, 8), embedding=8, batch=8, seed=seed, warmup=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    loop.train(tiny_task(), folder, steps=60, device="cpu", precision="float32")
    return folder


def test_it_tells_sounds_apart_that_it_never_heard(trained: Path) -> None:
    found = judge.Judge.load(trained / "part")
    kinds = np.arange(12) % KINDS
    verdicts = found.hear([sound(int(kind), 1000 + n) for n, kind in enumerate(kinds)])
    assert verdicts.probabilities.shape == (12, len(NAMES))
    assert verdicts.embeddings.shape == (12, 8)
    assert (verdicts.probabilities.argmax(1) == kinds).mean() >= 0.9
    assert verdicts.probabilities.sum(1) == pytest.approx(np.ones(12))


def test_its_loss_falls(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["judge/loss"] < 0.6 * rows[0]["judge/loss"]


def test_level_length_and_company_do_not_change_the_verdict(trained: Path) -> None:
    found = judge.Judge.load(trained / "part")
    one = sound(1, 7)
    said = found.hear([one, one * 0.05, np.concatenate([one, sound(2, 1)]), one[:30_000]]).probabilities
    assert said[1] == pytest.approx(said[0], abs=1e-3)
    assert said[2] == pytest.approx(said[0], abs=1e-6)
    assert said[3].argmax() == said[0].argmax()
    assert found.hear([one]).probabilities[0] == pytest.approx(said[0], abs=1e-5)


def test_silence_and_nothing_get_a_verdict_too(trained: Path) -> None:
    found = judge.Judge.load(trained / "part")
    assert np.isfinite(found.hear([np.zeros(100, np.float32), np.zeros(0, np.float32)]).embeddings).all()
    assert found.hear([]).probabilities.shape == (0, len(NAMES))


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    name = "part/model.safetensors"
    for folder, stops in ((tmp_path / "one", (6,)), (tmp_path / "two", (2, 6))):
        for steps in stops:
            loop.train(tiny_task(), folder, steps=steps, device="cpu", precision="float32")
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_batch_is_decided_by_seed_and_step_alone() -> None:
    one, other = tiny_task(), tiny_task()
    one.batch(0)
    assert torch.equal(one.batch(5)["mels"], other.batch(5)["mels"])
    assert not torch.equal(one.batch(5)["mels"], one.batch(6)["mels"])
    assert not torch.equal(one.batch(5)["mels"], tiny_task(seed=1).batch(5)["mels"])


def test_what_a_batch_is_changed_by_leaves_the_data_alone() -> None:
    row = judge.log_mel(sound(0, 0))
    before = row.clone()
    for seed in range(20):
        changed = judge.changed(row, np.random.default_rng(seed))
        assert changed.shape == row.shape
        assert torch.isfinite(changed).all()
    assert torch.equal(row, before)


def settings() -> SimpleNamespace:
    return SimpleNamespace(tiny=True, seed=0)


def world(folder: Path, split: str) -> None:
    rows = []
    for number in range(3):
        shot = Shot(
            key=f"{split}-{number:06d}",
            split=split,
            number=number,
            family=NAMES[number],
            seed=number,
            parameters={},
            hits=(),
            captions=("a sound",) * 4,
        )
        rows.append((shot, np.random.default_rng(number).standard_normal(SAMPLES).astype(np.float32) * 0.1))
    write_sounds(folder / "world" / f"{split}-0000.tar", rows)
    assert RATE_HZ == 48_000


def test_it_learns_from_its_own_split_alone(tmp_path: Path) -> None:
    world(tmp_path, "train")
    with pytest.raises(BadInput, match="footfall train world"):
        judge.task(tmp_path, settings())
    world(tmp_path, "judge")
    task = judge.task(tmp_path, settings())
    assert set(task.batch(0)["labels"].tolist()) <= {0, 1, 2}
    assert task.config()["families"] == list(NAMES)


def test_a_judge_that_is_missing_or_damaged_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall train judge"):
        judge.Judge.load(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelRefused):
        judge.Judge.load(tmp_path)
    (tmp_path / "config.json").write_text((trained / "part/config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((trained / "part/model.safetensors").read_bytes()[:200])
    with pytest.raises(ModelRefused):
        judge.Judge.load(tmp_path)
