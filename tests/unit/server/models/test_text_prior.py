# SPDX-License-Identifier: GPL-3.0-or-later
"""Priors from words to pictures: the lean one, and the public ones against diffusers' own pipeline."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.server.models import manifest, prior_layout
from footfall.server.models.bundle import Bundle, SpaceId, open_bundle
from footfall.server.models.clip import ClipEncoder
from footfall.server.models.public_prior import PublicPrior, public_steps
from footfall.server.models.random_mapper import write_random_mapper
from footfall.server.models.random_prior import write_random_prior
from footfall.server.models.text_prior import LeanPrior, load_text_prior
from torch import Tensor
from torch.nn.functional import normalize

CPU = torch.device("cpu")
TEXTS = ["a wooden box falls on stone", "rain"]


@pytest.fixture(scope="module", params=prior_layout.NAMES)
def public(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A public prior and its CLIP: tiny, random, and otherwise as they are pulled."""
    root = tmp_path_factory.mktemp("priors") / request.param
    write_random_prior(request.param, root, tiny=True)
    return open_bundle(root)


@pytest.fixture
def karlo(tmp_path: Path) -> Path:
    """One to break."""
    write_random_prior("karlo-v1-alpha-prior", tmp_path / "karlo", tiny=True)
    return tmp_path / "karlo"


def clip_of(bundle: Bundle) -> ClipEncoder:
    return ClipEncoder.load(bundle, CPU, torch.float32)


def test_the_lean_prior_gives_rows_of_pictures(copy_bundle: Callable[[str], Path]) -> None:
    root = copy_bundle("lean")
    write_random_mapper(root, "text_prior", tiny=True)
    bundle = open_bundle(root)
    prior, clip = load_text_prior(bundle, CPU), clip_of(bundle)
    assert isinstance(prior, LeanPrior)
    found = prior.pictured(clip, TEXTS, seed=1)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2))
    assert torch.equal(found, prior.pictured(clip, TEXTS, seed=1))
    assert not torch.equal(found, prior.pictured(clip, TEXTS, seed=2))
    torch.testing.assert_close(found[:1], prior.pictured(clip, TEXTS[:1], seed=1))


def test_a_model_without_a_prior_says_so(tiny: Bundle) -> None:
    with pytest.raises(ModelMissing, match="choose the condition clip_text"):
        load_text_prior(tiny, CPU)


def test_a_prior_for_another_clip_is_refused(copy_bundle: Callable[[str], Path], karlo: Path) -> None:
    root = copy_bundle("lean")
    write_random_mapper(root, "text_prior", tiny=True)
    other = SpaceId(name="another one", sha256="f" * 64)
    for bundle in (open_bundle(root), open_bundle(karlo)):
        with pytest.raises(ModelRefused, match=r"This prior was made for another CLIP .* clip_text"):
            load_text_prior(replace(bundle, clip_space=other), CPU)


# The public ones


def pipeline(bundle: Bundle, prior: PublicPrior) -> tuple[Any, Any]:
    """diffusers' pipeline around the same prior, and transformers' text tower with the same weights."""
    from diffusers import KandinskyPriorPipeline, UnCLIPScheduler
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    model = clip_of(bundle)._model
    text = bundle.config("clip")["model_cfg"]["text_cfg"]
    quick = bundle.config("clip")["model_cfg"].get("quick_gelu", False)
    config = CLIPTextConfig(
        vocab_size=text["vocab_size"],
        hidden_size=text["width"],
        intermediate_size=4 * text["width"],
        projection_dim=text["width"],
        num_hidden_layers=text["layers"],
        num_attention_heads=text["heads"],
        hidden_act="quick_gelu" if quick else "gelu",
        bos_token_id=49406,
        eos_token_id=49407,
    )
    tower = CLIPTextModelWithProjection(config).eval()
    tower.load_state_dict(in_transformers(model), strict=False)
    scheduler = UnCLIPScheduler(prediction_type="sample", clip_sample_range=prior.within)
    unused: dict[str, Any] = {"image_encoder": None, "image_processor": None, "tokenizer": None}
    made = KandinskyPriorPipeline(prior=prior.transformer, text_encoder=tower, scheduler=scheduler, **unused)
    made.set_progress_bar_config(disable=True)
    return made, tower


def in_transformers(model: Any) -> dict[str, Tensor]:
    """open_clip's text tower under the names of transformers' class."""
    found = {
        "text_model.embeddings.token_embedding.weight": model.token_embedding.weight,
        "text_model.embeddings.position_embedding.weight": model.positional_embedding,
        "text_model.final_layer_norm.weight": model.ln_final.weight,
        "text_model.final_layer_norm.bias": model.ln_final.bias,
        "text_projection.weight": model.text_projection.T,
    }
    for number, block in enumerate(model.transformer.resblocks):
        here = f"text_model.encoder.layers.{number}"
        parts = {
            "layer_norm1": block.ln_1,
            "layer_norm2": block.ln_2,
            "self_attn.out_proj": block.attn.out_proj,
        }
        parts |= {"mlp.fc1": block.mlp.c_fc, "mlp.fc2": block.mlp.c_proj}
        for name, part in parts.items():
            found |= {f"{here}.{name}.weight": part.weight, f"{here}.{name}.bias": part.bias}
        for index, name in enumerate(("q_proj", "k_proj", "v_proj")):
            found[f"{here}.self_attn.{name}.weight"] = block.attn.in_proj_weight.chunk(3)[index]
            found[f"{here}.self_attn.{name}.bias"] = block.attn.in_proj_bias.chunk(3)[index]
    return found


@torch.no_grad()
def test_the_public_priors_are_sampled_as_their_own_pipeline_does(public: Bundle) -> None:
    prior, clip = load_text_prior(public, CPU), clip_of(public)
    assert isinstance(prior, PublicPrior)
    made, tower = pipeline(public, prior)
    ids = torch.from_numpy(clip._tokenize(["", TEXTS[0]]))
    mask = torch.arange(77) <= ids.argmax(-1)[:, None]
    read = tower(ids)
    words = clip.read_words(["", TEXTS[0]])
    torch.testing.assert_close(words.rows, read.text_embeds, atol=1e-5, rtol=1e-4)
    kept = mask.unsqueeze(-1)
    torch.testing.assert_close(words.tokens * kept, read.last_hidden_state * kept, atol=1e-5, rtol=1e-4)
    assert torch.equal(words.known, mask)

    made._encode_prompt = lambda *args: (read.text_embeds, read.last_hidden_state, mask)
    made.get_zero_embed = lambda count, device: torch.zeros(count, 32)  # a picture of nothing: not asked for
    said = made(TEXTS[0], generator=torch.Generator().manual_seed(3)).image_embeds
    generator = torch.Generator().manual_seed(3)
    noise = torch.stack([torch.randn(1, 32, generator=generator) for _ in range(25)])
    found = prior.sample(words.rows, words.tokens, words.known, noise)
    torch.testing.assert_close(found, normalize(said, dim=-1), atol=1e-4, rtol=1e-3)


def test_the_public_priors_follow_words_and_seed(public: Bundle) -> None:
    prior, clip = load_text_prior(public, CPU), clip_of(public)
    found = prior.pictured(clip, TEXTS, seed=1)
    assert found.shape == (2, 32)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2))
    assert torch.equal(found, prior.pictured(clip, TEXTS, seed=1))
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found, prior.pictured(clip, TEXTS, seed=2))
    torch.testing.assert_close(found[1:], prior.pictured(clip, TEXTS[1:], seed=1), atol=1e-5, rtol=1e-4)
    assert prior.pictured(clip, [], seed=1).shape == (0, 32)


@pytest.mark.parametrize("text", ["", "  ", "雨が降る 🌧 дождь", "stone " * 5000])
def test_odd_words_give_rows_all_the_same(karlo: Path, text: str) -> None:
    bundle = open_bundle(karlo)
    found = load_text_prior(bundle, CPU).pictured(clip_of(bundle), [text], seed=0)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(1))


def test_a_public_prior_can_be_stopped(karlo: Path) -> None:
    class Enough(Exception):
        pass

    told: list[float] = []

    def progress(done: float) -> None:
        told.append(done)
        if len(told) == 3:
            raise Enough

    bundle = open_bundle(karlo)
    with pytest.raises(Enough):
        load_text_prior(bundle, CPU).pictured(clip_of(bundle), TEXTS, 0, progress)
    assert told == [1 / 25, 2 / 25, 3 / 25]


def test_times_are_those_of_the_public_scheduler() -> None:
    from diffusers import UnCLIPScheduler

    scheduler = UnCLIPScheduler()
    for count in (2, 7, 25, 64, 999, 1000):
        scheduler.set_timesteps(count)
        assert [step.time for step in public_steps(count)] == scheduler.timesteps.tolist()
    for count in (0, 1, 1001):
        with pytest.raises(ValueError, match=str(count)):
            public_steps(count)


PUBLISHED_BYTES = 4_104_940_968  # of Kandinsky 2.2's prior, header included, as its snapshot's record says


@pytest.mark.parametrize("name", prior_layout.NAMES)
def test_the_full_layout(name: str) -> None:
    """The public architecture, without memory for its numbers: it takes the text tower's tokens, and its file
    has the published size.
    """
    import open_clip
    from diffusers import PriorTransformer

    layout = prior_layout.prior_layout(name)
    size = layout.prior["embedding_dim"]
    plain = {
        key: value for key, value in layout.prior.items() if key not in ("_class_name", "clip_sample_range")
    }
    with torch.device("meta"):
        prior, clip = PriorTransformer(**plain), open_clip.CLIP(**layout.clip["model_cfg"])
        found = prior(
            torch.zeros(2, size),
            torch.zeros((), dtype=torch.int64),
            proj_embedding=torch.zeros(2, size),
            encoder_hidden_states=torch.zeros(2, 77, size),
            attention_mask=torch.ones(2, 77),
        ).predicted_image_embedding
    assert found.shape == (2, size)
    assert clip.ln_final.weight.shape == (size,)
    count = sum(value.numel() for value in prior.state_dict().values())
    assert count == {768: 1_022_030_080, 1280: 1_026_225_920}[size]
    if name == "kandinsky-2-2-prior":
        assert 0 < PUBLISHED_BYTES - 4 * count < 130 * len(prior.state_dict())  # what is left is the header


@pytest.mark.parametrize(
    "change",
    [
        {"num_layers": 0},
        {"num_layers": 10**9},
        {"embedding_dim": 48},
        {"num_embeddings": None},
        {"num_attention_heads": "2"},
        {"clip_sample_range": math.inf},
        {"clip_sample_range": -1.0},
        {"clip_sample_range": None},
    ],
)
def test_a_damaged_configuration_is_refused(karlo: Path, change: dict[str, Any]) -> None:
    path = karlo / "text_prior/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    said, _ = manifest.read(karlo)
    manifest.seal(karlo, said)
    with pytest.raises(
        ModelRefused, match=r"text_prior .* damaged|damaged configuration|sizes that no model has"
    ):
        load_text_prior(open_bundle(karlo), CPU)


def test_weights_of_another_size_are_refused(karlo: Path) -> None:
    path = karlo / "text_prior/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_layers": 3}))
    said, _ = manifest.read(karlo)
    manifest.seal(karlo, said)
    with pytest.raises(ModelRefused, match="lacks"):
        load_text_prior(open_bundle(karlo), CPU)


def test_only_known_priors_are_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="karlo-v1-alpha-prior"):
        write_random_prior("audioldm-s-full-v2", tmp_path / "x", tiny=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(BadInput, match="empty"):
        write_random_prior("karlo-v1-alpha-prior", tmp_path / "full", tiny=True)


def test_random_priors_are_the_same_for_a_seed(tmp_path: Path) -> None:
    found = []
    for number, seed in enumerate((1, 1, 2)):
        write_random_prior("karlo-v1-alpha-prior", tmp_path / str(number), seed=seed, tiny=True)
        found.append(open_bundle(tmp_path / str(number)).weights_sha256("text_prior"))
    assert found[0] == found[1] != found[2]


def test_words_cost_what_they_take(karlo: Path) -> None:
    """Places behind the longest text are zeros, and said not to be known."""
    words = clip_of(open_bundle(karlo)).read_words(TEXTS)
    assert words.tokens.shape == (2, 77, 32)
    ends = words.known.sum(1).tolist()
    assert ends == sorted(ends, reverse=True)
    assert not np.any(words.tokens[:, max(ends) :].numpy())
