# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectral vocoder's training: it learns, then through the sound too, and the worker plays the part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.server.evaluation import vocoding
from footfall.server.models.spectral_vocoder import SpectralVocoder
from footfall.server.train import general, loop, mel, spectral
from footfall.server.train.sounds import SAMPLES, Sounds
from footfall.server.train.starter_layout import TINY_SPECTRAL
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    draw = np.random.default_rng(0)
    rows = [mel.level(general.general(draw, SAMPLES)) for _ in range(6)]
    return Sounds([torch.from_numpy((np.stack(rows) * 32_767).astype(np.int16))])


def make(sounds: Sounds, sounding_from: int = 1000) -> spectral.SpectralTask:
    return spectral.SpectralTask(
        sounds, sounds, TINY_SPECTRAL, batch=4, frames=24, sounding_from=sounding_from, seed=0, warmup=2
    )


@pytest.fixture(scope="module")
def trained(sounds: Sounds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spectral")
    loop.train(make(sounds, 30), folder, steps=40, device="cpu", precision="float32")
    return folder


def test_it_learns_frames_and_then_sound(sounds: Sounds, trained: Path) -> None:
    fresh, taught = make(sounds, 0), make(sounds, 0)
    taught.network.load_state_dict(load_file(trained / "part" / "model.safetensors"))
    batch = fresh.batch(1000)
    with torch.no_grad():
        before, after = (float(t.players[0].loss(batch, torch.Generator())[0]) for t in (fresh, taught))
    assert after < 0.98 * before
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert "vocoder/sound" in rows[-1]
    assert "vocoder/sound" not in rows[0]


def test_the_sound_teaches_the_network(sounds: Sounds) -> None:
    task = make(sounds, 5)
    player = task.players[0]
    plain, _ = player.loss(task.batch(4), torch.Generator().manual_seed(0))
    batch = task.batch(5)
    loss, parts = player.loss(batch, torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(float(parts["logs"] + parts["converged"] + parts["sound"]))
    assert plain.requires_grad
    loss.backward()
    gradients = [weight.grad for weight in task.network.parameters() if weight.grad is not None]
    assert all(bool(torch.isfinite(one).all()) for one in gradients)
    assert float(task.network.fall.bias.grad.abs().sum()) > 0.0


def test_silence_teaches_nothing_wrong(sounds: Sounds) -> None:
    task = make(sounds, 0)
    batch = task.batch(0)
    batch["waves"].zero_()
    loss, _ = task.players[0].loss(batch, torch.Generator().manual_seed(0))
    loss.backward()
    assert bool(torch.isfinite(task.network.fall.weight.grad).all())


def test_it_is_trained_on_what_it_is_measured_by() -> None:
    draw = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(1, 16_000, generator=draw)
    other = 0.1 * torch.randn(1, 16_000, generator=draw)
    measured = vocoding.distance(other[0], sound[0])
    assert float(spectral.distance(other, sound)) == pytest.approx(measured, rel=1e-3)
    assert float(spectral.distance(sound, sound)) == 0.0


def test_a_batch_is_the_same_again(sounds: Sounds) -> None:
    first, second = make(sounds).batch(7), make(sounds).batch(7)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first["mels"].shape == (4, 24, 64)
    assert first["waves"].shape == (4, 24 * 160)


def test_the_worker_plays_the_part(trained: Path) -> None:
    play = vocoding.load(trained / "part")
    assert isinstance(play, SpectralVocoder)
    assert play(torch.full((1, 30, 64), -4.0)).shape == (1, 4800)
