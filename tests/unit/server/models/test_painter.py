# SPDX-License-Identifier: GPL-3.0-or-later
"""The painter paints what diffusers' own pipeline would, from public layouts; misfits are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from footfall.addon.wire.errors import BadInput, Cancelled, ModelRefused
from footfall.server.models.painter import Painter, load_painter
from footfall.server.models.picture_words import Reader
from footfall.server.models.sd_layout import NAMES, sd_layout
from footfall.server.sampling.noise import noise
from footfall.server.train import parts
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .painter_bundle import write_json, write_stable_diffusion

CPU = torch.device("cpu")
TWO = "stable-diffusion-2-1-base"
PROMPTS = [
    "a photo of a drum",
    "",
    "the rain, the bell",
    "Glocke \u96e8 \u043a\u043e\u043b\u043e\u043a\u043e\u043b",
    "bell " * 5000,
]


def opened(root: Path) -> Painter:
    return load_painter(parts.opened(root), CPU, torch.float32)


@pytest.fixture(scope="module", params=["stable-diffusion-1-5", TWO])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painter")
    write_stable_diffusion(folder, request.param)
    return folder


@pytest.fixture(scope="module")
def painter(root: Path) -> Painter:
    return opened(root)


def test_the_public_layouts_have_as_many_numbers_as_the_public_weights() -> None:
    from accelerate import init_empty_weights

    counts = {}
    for name in NAMES:
        said = sd_layout(name)
        text = {k: v for k, v in said["pictures/text_encoder/config.json"].items() if k[0] != "_"}
        with init_empty_weights():
            modules = (
                UNet2DConditionModel.from_config(said["pictures/unet/config.json"]),
                AutoencoderKL.from_config(said["pictures/vae/config.json"]),
                CLIPTextModel(CLIPTextConfig(**text)),
            )
        counts[name] = tuple(sum(p.numel() for p in module.parameters()) for module in modules)
    one = (859_520_964, 83_653_863, 123_060_480)
    assert counts == {NAMES[0]: one, NAMES[1]: one, TWO: (865_910_724, 83_653_863, 340_387_840)}


def test_prompts_become_the_tokens_of_clips_own_tokenizer(root: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(root / "pictures" / "tokenizer")
    rows = tokenizer(PROMPTS, padding="max_length", max_length=77, truncation=True).input_ids
    assert Reader.load(parts.opened(root), CPU, torch.float32).ids(PROMPTS).tolist() == rows


def test_it_paints_what_diffusers_own_pipeline_paints(root: Path, painter: Painter) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(root / "pictures")
    pipeline.scheduler = DDIMScheduler.from_config(painter.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    prompts = PROMPTS[:3]
    start = torch.stack([noise(7, ("picture", 1), (4, 8, 8))] * len(prompts))
    wanted = pipeline(
        prompts, num_inference_steps=4, guidance_scale=5.0, latents=start, output_type="np"
    ).images
    found = painter.paint(painter.read(prompts), seed=7, takes=2, steps=4, guidance=5.0, solver="ddim")
    assert found.shape == (3, 2, 64, 64, 3)
    assert np.abs(found[:, 1].astype(float) - wanted * 255).max() <= 1.0
    assert (found[0, 1] != found[1, 1]).any()


def test_a_take_depends_on_its_number_and_not_on_its_neighbours(painter: Painter) -> None:
    given = painter.read(PROMPTS)
    every = painter.paint(given, seed=3, takes=2, steps=2)
    alone = painter.paint(given[2:3], seed=3, takes=1, steps=2)
    assert np.abs(every[2, 0].astype(int) - alone[0, 0].astype(int)).max() <= 1
    assert (every[:, 0] != every[:, 1]).any()
    assert (painter.paint(given[:1], seed=4, steps=2) != every[:1, :1]).any()
    assert painter.paint(given[:0], seed=4).shape == (0, 1, 64, 64, 3)


def test_a_token_stands_behind_the_last_word_and_learns(painter: Painter) -> None:
    drum = painter.word("drum").detach()
    prompts = ["a photo of a", "the"]
    tokens = torch.stack([drum, drum]).requires_grad_()
    found = painter.read(prompts, tokens)
    assert torch.allclose(found, painter.read([f"{prompt} drum" for prompt in prompts]), atol=1e-6)
    latents = painter.latents(np.zeros((2, 48, 80, 3), np.uint8))
    assert latents.shape == (2, 4, 8, 8)
    losses = painter.loss(latents, found, torch.Generator().manual_seed(0))
    losses.mean().backward()
    assert losses.shape == (2,)
    assert tokens.grad is not None
    assert tokens.grad.abs().sum() > 0
    assert all(p.grad is None for module in painter.modules.values() for p in module.parameters())


def test_a_token_behind_a_prompt_that_is_too_long_is_still_read(painter: Painter) -> None:
    tokens = torch.randn(1, painter.width)
    long = painter.read(["bell " * 5000], tokens)
    assert long.shape == painter.read([""]).shape
    assert (long != painter.read(["bell " * 5000], -tokens)).any()
    with pytest.raises(BadInput, match="one word of"):
        painter.read(["bell"], torch.zeros(2, painter.width))
    with pytest.raises(BadInput, match="no word"):
        painter.word("")


def test_it_stops_when_told_to(painter: Painter) -> None:
    class Stopped:
        told: tuple[tuple[str, float], ...] = ()

        def check(self) -> None:
            if len(self.told) > 2:
                raise Cancelled("Stopped.")

        def progress(self, phase: str, fraction: float) -> None:
            self.told += ((phase, fraction),)

    control = Stopped()
    with pytest.raises(Cancelled):
        painter.paint(painter.read(["a drum"]), seed=0, steps=20, control=control)
    assert [phase for phase, _ in control.told] == ["sampling"] * 3
    assert [share for _, share in control.told] == sorted(share for _, share in control.told)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("unet/config.json", {"in_channels": 9}, "has conv_in.weight of shape"),
        ("unet/config.json", {"cross_attention_dim": 32}, "of shape"),
        ("unet/config.json", {"class_embed_type": "timestep"}, "lacks"),
        ("unet/config.json", {"sample_size": [8, 8]}, "does not know"),
        ("unet/config.json", {"block_out_channels": 3}, "damaged"),
        ("text_encoder/config.json", {"hidden_size": 0}, "damaged"),
        ("tokenizer/tokenizer_config.json", {"pad_token": "<never>"}, "do not belong together"),
        ("tokenizer/tokenizer_config.json", {"model_max_length": "long"}, "damaged"),
        ("tokenizer/vocab.json", {"one": "two"}, "damaged"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "unknown kind"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, part: str, change: dict[str, object], words: str
) -> None:
    write_stable_diffusion(tmp_path)
    path = tmp_path / "pictures" / part
    write_json(path, json.loads(path.read_text()) | change)
    with pytest.raises(ModelRefused, match=words):
        opened(tmp_path)
