# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter's sizes: every part can be built, they fit each other, and together they are small."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from accelerate import init_empty_weights
from footfall.server.models.layouts import Layout
from footfall.server.models.mel_decoder import streams
from footfall.server.models.random_bundle import builders
from footfall.server.models.vocoder import Vocoder
from footfall.server.sampling.schedules import SOLVERS, make_scheduler
from footfall.server.train.starter_layout import starter_layout

PARTS = ("unet", "vae", "vocoder", "clip", "clap")
LIMIT_BYTES = 36_000_000  # leaves room for two mappers in the 40 MB


@pytest.fixture(scope="module", params=[True, False], ids=["tiny", "starter"])
def layout(request: pytest.FixtureRequest) -> Layout:
    return starter_layout(tiny=request.param)


def test_in_float16_there_is_room_for_the_mappers() -> None:
    makers = builders(starter_layout())
    with init_empty_weights(include_buffers=False):
        numbers = sum(p.numel() for part in PARTS for p in makers[part]().parameters())
    assert 2 * numbers < LIMIT_BYTES


def test_latents_pass_through_the_unet_and_the_vae(layout: Layout) -> None:
    makers = builders(layout)
    vae, unet = makers["vae"]().eval(), makers["unet"]().eval()
    assert streams(vae)
    assert vae.config.scaling_factor == 1.0
    with torch.inference_mode():
        latents = vae.encode(torch.randn(1, 1, 256, 64)).latent_dist.mode()
        assert latents.shape == (1, 8, 64, 16)
        assert vae.decode(latents).sample.shape == (1, 1, 256, 64)
        found = unet(latents, torch.tensor(10), None, class_labels=torch.randn(1, 512)).sample
    assert found.shape == latents.shape


def test_no_norm_of_the_unet_is_of_single_channels(layout: Layout) -> None:
    assert layout.unet["norm_num_groups"] < layout.unet["block_out_channels"][0]


def test_each_mel_frame_becomes_160_samples(layout: Layout) -> None:
    module = builders(layout)["vocoder"]()
    with torch.inference_mode():
        assert module(torch.randn(50, 64)).shape == (50 * 160,)
        assert Vocoder(module.eval())(torch.randn(1, 50, 64)).shape == (1, 50 * 160)


def test_the_towers_end_in_the_spaces_that_the_mapper_knows(layout: Layout) -> None:
    makers = builders(layout)
    clip, clap = makers["clip"]().eval(), makers["clap"]().eval()
    side = layout.clip["model_cfg"]["vision_cfg"]["image_size"]
    with torch.inference_mode():
        assert clip.encode_image(torch.zeros(1, 3, side, side)).shape == (1, 512)
        found = clap.get_audio_features(input_features=torch.zeros(1, 1, 1001, 64))
        assert found.pooler_output.shape == (1, 512)
        words = torch.ones(1, 512, dtype=torch.long)  # the longest text that the worker hands on
        assert clap.get_text_features(input_ids=words).pooler_output.shape == (1, 512)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_schedule_ends_in_nothing_but_noise(solver: str) -> None:
    scheduler = make_scheduler(starter_layout().scheduler, solver)
    scheduler.set_timesteps(10)
    assert scheduler.config.prediction_type == "v_prediction"
    assert int(scheduler.timesteps[0]) == 999
    assert float(scheduler.alphas_cumprod[-1]) < 1e-6


def test_two_layouts_share_nothing_that_can_be_changed() -> None:
    first, second = starter_layout(), starter_layout()
    assert dataclasses.asdict(first) == dataclasses.asdict(second)
    first.clip["model_cfg"]["text_cfg"]["width"] = 1
    assert second.clip["model_cfg"]["text_cfg"]["width"] != 1
