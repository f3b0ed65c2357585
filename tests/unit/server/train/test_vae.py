# SPDX-License-Identifier: GPL-3.0-or-later
"""The VAE's training: it learns, whitening changes the latents alone, and the worker can use the part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.server.models.mel_decoder import MelDecoder, streams
from footfall.server.models.weights import load_weights
from footfall.server.train import autoencoder, loop, mel, vae
from footfall.server.train.general import general
from footfall.server.train.sounds import SAMPLES, Sounds
from footfall.server.train.starter_layout import starter_layout


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    draw = np.random.default_rng(0)
    rows = [mel.level(general(draw, SAMPLES)) for _ in range(12)]
    return Sounds([torch.from_numpy((np.stack(rows) * 32_767).astype(np.int16))])


def make(sounds: Sounds, seed: int = 0) -> vae.VaeTask:
    return vae.VaeTask(sounds, starter_layout(tiny=True).vae, batch=4, frames=32, seed=seed, warmup=2)


@pytest.fixture(scope="module")
def trained(sounds: Sounds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    loop.train(make(sounds), folder, steps=20, device="cpu", precision="float32")
    return folder


def test_it_learns(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["vae/distance"] < 0.8 * rows[0]["vae/distance"]


def test_a_batch_depends_on_seed_and_step_alone(sounds: Sounds) -> None:
    one, two = make(sounds), make(sounds)
    one.batch(3)
    assert torch.equal(one.batch(7)["mels"], two.batch(7)["mels"])
    assert not torch.equal(one.batch(7)["mels"], one.batch(8)["mels"])
    assert not torch.equal(one.batch(7)["mels"], make(sounds, seed=1).batch(7)["mels"])
    assert one.batch(0)["mels"].shape == (4, 1, 32, 64)


def test_whitening_changes_the_latents_and_not_the_sound(sounds: Sounds) -> None:
    network = make(sounds).vae.eval()
    mels = torch.from_numpy(np.stack([mel.log_mel_of(sounds.wave(n)) for n in range(4)])).unsqueeze(1)
    with torch.no_grad():
        before = network.encode(mels).latent_dist
        wanted = network.decode(before.mean).sample
        spread = before.mean.transpose(0, 1).flatten(1)
        autoencoder.whiten(network, spread.mean(1).double(), spread.std(1).double())
        after = network.encode(mels).latent_dist
        found = network.decode(after.mean).sample
    assert torch.allclose(found, wanted, atol=2e-4)
    rows = after.mean.transpose(0, 1).flatten(1)
    assert torch.allclose(rows.mean(1), torch.zeros(8), atol=1e-3)
    assert torch.allclose(rows.std(1), torch.ones(8), atol=1e-3)
    noise_before = before.std / spread.std(1)[None, :, None, None]
    assert torch.allclose(after.std, noise_before, rtol=1e-3)


def test_the_worker_decodes_the_part(sounds: Sounds, trained: Path) -> None:
    """Through the worker's own loader and decoder, with latents of mean 0 and deviation 1."""
    layout = json.loads((trained / "part" / "config.json").read_text())
    assert layout["scaling_factor"] == 1.0
    weights = trained / "part" / "diffusion_pytorch_model.safetensors"
    network = load_weights(lambda: autoencoder.build(layout), weights)
    assert streams(network)
    mels = torch.from_numpy(np.stack([mel.log_mel_of(sounds.wave(n)) for n in range(12)])).unsqueeze(1)
    with torch.no_grad():
        latents = network.encode(mels).latent_dist.mean
        wanted = network.decode(latents).sample[:, 0]
        found = MelDecoder(network)(latents)
    assert latents.shape == (12, 8, 64, 16)
    assert latents.mean().abs() < 0.05
    assert latents.std() == pytest.approx(1.0, abs=0.05)
    assert torch.allclose(found, wanted, atol=1e-3)


def test_the_distance_hears_what_a_mean_hides() -> None:
    draw = torch.Generator().manual_seed(0)
    grain = torch.randn(1, 1, 64, 64, generator=draw)
    flat = torch.zeros_like(grain)
    assert vae.distance(grain, grain) == 0.0
    # The mean of logarithms is too quiet for noise; so too loud is better than too quiet.
    assert vae.distance(flat + 0.25, grain) < vae.distance(flat - 0.25, grain)


def test_a_fresh_network_begins_at_the_scale_of_mels(sounds: Sounds) -> None:
    task = make(sounds)
    mels = task.batch(0)["mels"]
    with torch.no_grad():
        found = task.vae.decode(task.vae.encode(mels).latent_dist.mean).sample
    assert found.mean() == pytest.approx(float(mels.mean()), abs=float(2 * mels.std()))
