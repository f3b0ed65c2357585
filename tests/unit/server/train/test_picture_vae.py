# SPDX-License-Identifier: GPL-3.0-or-later
"""The training of the pictures' VAE: it learns, colours count, latents are white, and it goes on exactly."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput
from footfall.server.models.weights import load_weights
from footfall.server.train import loop, picture_vae
from footfall.server.train.autoencoder import build
from footfall.server.train.picture_layout import picture_layout
from footfall.server.train.picture_vae import PictureVaeTask
from safetensors.torch import load_file

from .towers_world import write_world

LAYOUT = picture_layout(tiny=True)
TINY = SimpleNamespace(tiny=True, seed=0)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Plain colours, each with a square of another."""
    draw = np.random.default_rng(0)
    rows = np.zeros((16, 32, 32, 3), np.uint8) + draw.integers(0, 256, (16, 1, 1, 3), dtype=np.uint8)
    rows[:, 8:20, 10:24] = draw.integers(0, 256, (16, 1, 1, 3))
    return rows


def made(pictures: np.ndarray, seed: int = 0) -> PictureVaeTask:
    return PictureVaeTask(pictures, LAYOUT, batch=4, seed=seed, warmup=2)


def trained(pictures: np.ndarray, folder: Path, steps: int) -> Path:
    loop.train(made(pictures), folder, steps=steps, device="cpu", precision="float32")
    return folder


def test_it_learns_and_its_latents_are_white(pictures: np.ndarray, tmp_path: Path) -> None:
    folder = trained(pictures, tmp_path, 24)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["picture-vae/distance"] < 0.8 * rows[0]["picture-vae/distance"]
    vae = load_weights(lambda: build(LAYOUT.vae), folder / "part" / "diffusion_pytorch_model.safetensors")
    found = picture_vae.latents_of(vae, pictures)
    assert found.shape == (16, 4, 8, 8)
    channels = found.transpose(0, 1).flatten(1)
    assert torch.allclose(channels.mean(1), torch.zeros(4), atol=0.02)
    assert torch.allclose(channels.std(1), torch.ones(4), atol=0.02)


def test_a_training_that_stopped_ends_in_the_same_weights(pictures: np.ndarray, tmp_path: Path) -> None:
    whole = trained(pictures, tmp_path / "whole", 6)
    trained(pictures, tmp_path / "parts", 2)
    halted = trained(pictures, tmp_path / "parts", 6)
    weights = [load_file(f / "part" / "diffusion_pytorch_model.safetensors") for f in (whole, halted)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_batch_depends_on_seed_and_step_alone(pictures: np.ndarray) -> None:
    one, two = made(pictures), made(pictures)
    one.batch(3)
    assert torch.equal(one.batch(7)["pictures"], two.batch(7)["pictures"])
    assert not torch.equal(one.batch(7)["pictures"], one.batch(8)["pictures"])
    assert not torch.equal(one.batch(7)["pictures"], made(pictures, seed=1).batch(7)["pictures"])
    assert one.batch(0)["pictures"].shape == (4, 32, 32, 3)


def test_a_wrong_colour_is_further_away_than_a_wrong_light() -> None:
    wanted = torch.zeros(1, 3, 16, 16)
    lighter, redder = wanted + 0.2, wanted.clone()
    redder[:, 0] += 0.3
    redder[:, 1:] -= 0.15
    same = (redder - wanted).abs().mean()
    assert same == pytest.approx(float((lighter - wanted).abs().mean()))
    assert picture_vae.distance(redder, wanted) > 2 * picture_vae.distance(lighter, wanted)


def test_grain_that_is_averaged_away_costs_more_than_other_grain() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (0.1 * torch.randn(1, 3, 32, 32, generator=generator) for _ in range(2))
    axes = (2, 3)
    lost = [picture_vae._roughness(torch.zeros_like(one), a) - picture_vae._roughness(one, a) for a in axes]
    kept = [picture_vae._roughness(other, a) - picture_vae._roughness(one, a) for a in axes]
    assert all(a.abs().mean() > 2 * b.abs().mean() for a, b in zip(lost, kept, strict=True))


def test_the_worlds_frames_come_small(tmp_path: Path) -> None:
    write_world(tmp_path / "world", 6, 0)
    task = picture_vae.task(tmp_path, TINY)
    assert task.batch(0)["pictures"].shape == (4, 32, 32, 3)
    assert task.config()["pictures"] % 2 == 0


def test_a_world_without_pictures_is_named(tmp_path: Path) -> None:
    write_world(tmp_path / "world", 2, 0)
    for path in (tmp_path / "world").glob("frames-*"):
        path.unlink()
    with pytest.raises(BadInput, match="nothing to learn from"):
        picture_vae.task(tmp_path, TINY)


def test_the_starters_painter_is_as_small_as_it_may_be() -> None:
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel

    layout = picture_layout()
    with init_empty_weights():
        vae, unet = build(layout.vae), UNet2DConditionModel.from_config(dict(layout.unet))
    counts = [sum(p.numel() for p in module.parameters()) for module in (vae, unet)]
    assert counts[0] <= 700_000
    assert counts[1] <= 4_000_000
    assert 2 * sum(counts) <= 9_500_000
    assert dataclasses.asdict(layout)["size"] == 64
