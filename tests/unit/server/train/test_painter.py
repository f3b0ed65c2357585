# SPDX-License-Identifier: GPL-3.0-or-later
"""The painter's training: our CLIP's words unchanged, and a part that diffusers opens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from footfall.addon.wire.errors import ModelMissing
from footfall.server.models.painter import load_painter
from footfall.server.models.tokens import Tokens
from footfall.server.sampling.noise import noise
from footfall.server.train import loop, painter, parts, picture_vae
from footfall.server.train.kept import Described, Kept
from footfall.server.train.painter import PainterTask
from footfall.server.train.picture_layout import picture_layout
from footfall.server.train.picture_text import write_text
from footfall.server.train.unet import UnetRecipe
from safetensors.torch import load_file
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from ..models.painter_bundle import write_index
from .clip_part import TEXTS, write_clip_part
from .towers_world import write_world

CPU = torch.device("cpu")
LAYOUT = picture_layout(tiny=True)
RECIPE = UnetRecipe(batch=8, warmup=2, ema=0.8, rate=3e-3)
TINY = SimpleNamespace(tiny=True, seed=0)
PAINTER = tuple(f"pictures/{part}" for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "clip"
    write_clip_part(folder)
    return folder


@pytest.fixture(scope="module")
def data() -> Kept:
    """Two kinds of shots, one word each: one is bright in every channel and one is dark."""
    kinds = [number % 2 for number in range(12)]
    levels = np.repeat(np.array([-1.0, 1.0])[kinds], 2)[:, None, None, None]
    rows = levels + 0.2 * np.random.default_rng(0).standard_normal((24, 4, 8, 8))
    shots = [
        Described(key=f"train-{n:06d}", family="bell", parameters={}, captions=(("a drum", "a bell")[kind],))
        for n, kind in enumerate(kinds)
    ]
    return Kept(shots=tuple(shots), rows=rows.astype(np.float16), start=np.arange(13) * 2)


def made(data: Kept, clip: Path, seed: int = 0) -> PainterTask:
    return PainterTask(data, painter.load_reader(clip), clip, LAYOUT, RECIPE, seed)


def test_the_text_tower_says_what_open_clips_says(tmp_path: Path) -> None:
    model = write_clip_part(tmp_path / "clip", seed=3)
    write_text(tmp_path / "clip", tmp_path / "out")
    ours = CLIPTextModel.from_pretrained(tmp_path / "out" / "text_encoder")
    reader = painter.load_reader(tmp_path / "clip")
    ids = reader.ids(TEXTS)
    with torch.no_grad():
        wanted = model.encode_text(torch.nn.functional.pad(ids, (0, model.context_length - ids.shape[1])))
        for states in (ours(ids).last_hidden_state, reader.read(TEXTS)):
            ends = states[torch.arange(len(ids)), (ids == ids.max()).int().argmax(1)]
            assert torch.allclose(ends @ model.text_projection, wanted, atol=1e-5)


def test_the_tokens_are_those_of_our_clip(clip: Path, tmp_path: Path) -> None:
    texts = [*TEXTS, "", "Glocke \u96e8", "drum " * 5000]
    write_text(clip, tmp_path)
    reader, theirs = (
        painter.load_reader(clip),
        PreTrainedTokenizerFast.from_pretrained(tmp_path / "tokenizer"),
    )
    rows = theirs(texts, padding="max_length", truncation=True, max_length=reader.length).input_ids
    assert reader.ids(texts).tolist() == rows
    ids, mask = Tokens(clip / "tokenizer.json", limit=reader.length, vocabulary=384)(texts)
    for row, own, known in zip(rows, ids, mask, strict=True):
        assert row[: known.sum()] == own[: known.sum()].tolist()
        assert set(row[known.sum() :]) <= {row[known.sum() - 1]}


def test_prompts_are_captions_or_what_a_token_stands_behind_or_nothing() -> None:
    draw = np.random.default_rng(0)
    found = Counter(painter.prompt(("an old drum", "rain"), draw) for _ in range(2000))
    assert set(found) == {"", "an old drum", "rain", "a photo of a old drum", "a photo of a rain"}
    assert 0.07 < found[""] / 2000 < 0.13
    assert 0.3 < sum(found[words] for words in found if "photo" in words) / 2000 < 0.42


def test_a_batch_depends_on_seed_and_step_alone(data: Kept, clip: Path) -> None:
    one, two = made(data, clip), made(data, clip)
    one.batch(3)
    first, again = one.batch(7), two.batch(7)
    assert first["latents"].shape == (8, 4, 8, 8)
    assert first["states"].shape == (8, 32, 16)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["latents"], one.batch(8)["latents"])
    assert not torch.equal(first["latents"], made(data, clip, seed=1).batch(7)["latents"])


def test_a_training_that_stopped_ends_in_the_same_weights(data: Kept, clip: Path, tmp_path: Path) -> None:
    for folder, steps in (("whole", (5,)), ("halted", (2, 5))):
        for step in steps:
            loop.train(made(data, clip), tmp_path / folder, steps=step, device="cpu", precision="float32")
    one, two = (
        load_file(tmp_path / folder / "part" / "unet" / "diffusion_pytorch_model.safetensors")
        for folder in ("whole", "halted")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


# About steps_offset, which a schedule that trails does not use.
@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")
def test_the_whole_chain_ends_in_a_pipeline_that_diffusers_opens(clip: Path, tmp_path: Path) -> None:
    """From frames of a world to pictures, which are those of diffusers' own pipeline."""
    write_world(tmp_path / "world", 6, 0)
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "part").symlink_to(clip)
    with pytest.raises(ModelMissing, match="footfall train picture-vae"):
        painter.task(tmp_path, TINY)
    for module in (picture_vae, painter):
        loop.train(module.task(tmp_path, TINY), tmp_path / module.NAME, steps=2, device="cpu")
    bundle = parts.assemble(tmp_path, PAINTER, tmp_path / "bundle")
    found = load_painter(bundle, CPU, torch.float32)
    assert found.size == 32
    assert (found.guidance, found.rescale) == (5.0, 0.7)
    assert found.backbone.sha256 == bundle.weights_sha256("pictures/text_encoder")
    write_index(bundle.root / "pictures", "PreTrainedTokenizerFast")
    pipeline = StableDiffusionPipeline.from_pretrained(bundle.root / "pictures", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    wanted = pipeline(
        ["a drum"], num_inference_steps=3, guidance_scale=3.0, guidance_rescale=found.rescale,
        latents=noise(5, ("picture", 0), (4, 8, 8))[None], output_type="np",
    ).images  # fmt: skip
    shown = found.paint(found.read(["a drum"]), seed=5, steps=3, guidance=3.0, solver="ddim")
    assert np.abs(shown[:, 0].astype(float) - wanted * 255).max() <= 1.0


def test_latents_go_with_their_own_shots_words(
    data: Kept, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, said = made(data, clip), []
    monkeypatch.setattr(
        task._reader, "read", lambda words: said.extend(words) or torch.zeros(len(words), 1, 1)
    )
    levels = torch.cat([task.batch(step)["latents"].mean((1, 2, 3)) for step in range(4)])
    assert {words.rpartition(" ")[2] for words in said} == {"drum", "bell", ""}
    assert all(
        words == "" or ("bell" in words) == (level > 0) for words, level in zip(said, levels, strict=True)
    )


def test_it_learns(data: Kept, clip: Path, tmp_path: Path) -> None:
    loop.train(made(data, clip), tmp_path, steps=15, device="cpu", precision="float32")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["painter/error"] < 0.85 * rows[0]["painter/error"]
