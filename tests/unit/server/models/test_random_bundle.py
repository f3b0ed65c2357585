# SPDX-License-Identifier: GPL-3.0-or-later
"""Random bundles have the public layout to the last parameter, and say that they are random."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelError
from footfall.server.models import layouts, registry
from footfall.server.models.bundle import Bundle, open_bundle
from footfall.server.models.random_bundle import builders, write_random_bundle
from footfall.server.models.tokens import Tokens
from footfall.server.models.weights import load_weights, read_header

# The public bundles: UNets measured, totals from their model cards.
UNET = {"audioldm-s-full-v2": 185_036_552, "audioldm-m-full": 415_954_568, "audioldm-l-full": 739_139_080}
CARD_TOTAL_M = {"audioldm-s-full-v2": 421, "audioldm-m-full": 652, "audioldm-l-full": 975}
CLAP = {"audioldm-s-full-v2": 153_492_890, "audioldm-m-full": 193_913_882, "audioldm-l-full": 153_492_890}
SHARED = {"vae": 55_376_873, "vocoder": 55_264_897, "text_encoder": 125_302_016, "clip": 151_277_313}
HEADER_BYTES = 150_000


@pytest.fixture(scope="module", params=list(UNET))
def public(request: pytest.FixtureRequest) -> tuple[str, dict[str, torch.nn.Module]]:
    """Every part of a public bundle at full size, without memory for its weights."""
    with torch.device("meta"):
        return request.param, {part: make() for part, make in builders(layouts.layout(request.param)).items()}


def test_full_size_has_the_published_parameter_counts(public: tuple[str, dict[str, torch.nn.Module]]) -> None:
    name, modules = public
    counts = {part: sum(p.numel() for p in module.parameters()) for part, module in modules.items()}
    assert counts == {**SHARED, "unet": UNET[name], "clap": CLAP[name]}
    total = sum(counts[part] for part in ("unet", "vae", "vocoder", "text_encoder"))
    assert round(total / 1e6) == CARD_TOTAL_M[name]


def test_full_size_weighs_what_the_public_files_weigh(public: tuple[str, dict[str, torch.nn.Module]]) -> None:
    name, modules = public
    row = registry.find(name)
    assert row is not None
    sizes = {
        file.to.split("/")[0]: file.size for source in row.sources for file in source.files if file.size >= 0
    }
    compared = 0
    for part in sizes.keys() & modules.keys():
        state = modules[part].state_dict().values()
        if part != "clap":  # its tokenizer is the file with a known size
            ours = sum(value.numel() * value.element_size() for value in state)
            assert abs(sizes[part] - ours) < HEADER_BYTES, part
            compared += 1
    assert compared >= 2


def test_every_part_loads_through_the_same_code(tiny: Bundle) -> None:
    for part, make in builders(layouts.layout("audioldm-s-full-v2", tiny=True)).items():
        module = load_weights(make, tiny.weights(part))
        assert sum(p.numel() for p in module.parameters()) > 1000


def test_the_standard_libraries_read_it_as_their_own(tiny: Bundle) -> None:
    import diffusers
    import transformers

    unet = diffusers.UNet2DConditionModel.from_pretrained(tiny.part("unet"), use_safetensors=True)
    assert unet.config.class_embed_type == "simple_projection"
    vae = diffusers.AutoencoderKL.from_pretrained(tiny.part("vae"), use_safetensors=True)
    assert vae.config.scaling_factor == 0.9392935633659363
    scheduler = diffusers.DDIMScheduler.from_pretrained(tiny.part("scheduler"))
    assert scheduler.config.steps_offset == 1
    vocoder = transformers.SpeechT5HifiGan.from_pretrained(tiny.part("vocoder"), use_safetensors=True)
    assert np.prod(vocoder.config.upsample_rates) == 160
    clap, found = transformers.ClapModel.from_pretrained(tiny.part("clap"), output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert clap.config.projection_dim == 512
    tower = transformers.ClapTextModelWithProjection.from_pretrained(tiny.part("text_encoder"))
    assert torch.equal(tower.text_projection.linear1.weight, clap.text_projection.linear1.weight)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny.part("clap"), local_files_only=True)
    assert tokenizer("a dog").input_ids[0] == 0


def test_numbers_neither_die_out_nor_blow_up(tiny: Bundle) -> None:
    made = builders(layouts.layout("audioldm-s-full-v2", tiny=True))
    unet, vae, vocoder = (load_weights(made[part], tiny.weights(part)) for part in ("unet", "vae", "vocoder"))
    noise = torch.randn(2, 8, 64, 16, generator=torch.Generator().manual_seed(1))
    condition = torch.nn.functional.normalize(torch.ones(2, 512), dim=-1)
    with torch.inference_mode():
        predicted = unet(noise, 500, encoder_hidden_states=None, class_labels=condition).sample
        mel = vae.decode(predicted[:1]).sample
        sound = vocoder(mel.squeeze(1))
    for out in (predicted, mel, sound):
        assert 0.001 < out.std() < 10
    assert sound.abs().max() < 1


def test_the_same_seed_gives_the_same_files(tiny: Bundle, tmp_path: Path) -> None:
    for name, seed in (("again", 0), ("other", 1)):
        write_random_bundle("audioldm-s-full-v2", tmp_path / name, tiny=True, seed=seed)
    assert open_bundle(tmp_path / "again").files == tiny.files
    other = open_bundle(tmp_path / "other").files
    assert other["unet/config.json"] == tiny.files["unet/config.json"]
    assert (
        other["unet/diffusion_pytorch_model.safetensors"]
        != tiny.files["unet/diffusion_pytorch_model.safetensors"]
    )


def test_it_says_what_it_is(tiny: Bundle) -> None:
    assert tiny.random
    assert "vocabulary of its own" in tiny.note
    assert "random" in tiny.licence
    assert tiny.size_bytes < 20_000_000
    assert not [path for path in tiny.files if path.endswith((".bin", ".pt"))]


def test_its_tokenizers_know_every_text(tiny: Bundle) -> None:
    texts = ["", "a dog barking", "犬 🐶", "x" * 10_000, "<s></s>\n\t"]
    for path, limit in (("clap/tokenizer.json", 512), ("clip/tokenizer.json", 77)):
        ids, mask = Tokens(tiny.file(path), limit=limit, vocabulary=1024)(texts)
        assert ids.shape == mask.shape
        assert ids.shape[1] <= limit
        assert ids.max() < 1024
        assert (mask.sum(1)[1:] > 2).all()
        assert mask.sum(1)[0] == 2


def test_full_size_text_fits_the_public_vocabulary() -> None:
    for name in layouts.NAMES:
        plan = layouts.layout(name)
        assert plan.vocabulary <= plan.clap["text_config"]["vocab_size"] == 50265


def test_progress_rises(tmp_path: Path) -> None:
    seen: list[float] = []
    write_random_bundle(
        "audioldm-l-full", tmp_path / "x", tiny=True, progress=lambda what, done: seen.append(done)
    )
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] < 1
    assert open_bundle(tmp_path / "x").config("vae")["scaling_factor"] == 0.9654927849769592


def test_unknown_names_and_used_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="audioldm-m-full"):
        write_random_bundle("stable-diffusion", tmp_path / "x")
    (tmp_path / "mine").write_text("my file")
    with pytest.raises(BadInput, match="not empty"):
        write_random_bundle("audioldm-s-full", tmp_path, tiny=True)
    with pytest.raises(BadInput, match="not empty"):
        write_random_bundle("audioldm-s-full", tmp_path / "mine", tiny=True)
    assert (tmp_path / "mine").read_text() == "my file"


def test_a_disk_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelError, match="disk full"):
        write_random_bundle("audioldm-s-full", tmp_path / "x", tiny=True)
    assert not (tmp_path / "x").exists()


def test_layouts_are_plain_data() -> None:
    for name in layouts.NAMES:
        for tiny in (False, True):
            plan = layouts.layout(name, tiny=tiny)
            for part in ("unet", "vae", "vocoder", "scheduler", "clip", "clap", "text_encoder"):
                assert json.loads(json.dumps(getattr(plan, part))) == getattr(plan, part)


def test_public_names_of_tensors(tiny: Bundle) -> None:
    """A few names that the public files are known to have."""
    known = {
        "unet": "class_embedding.weight",
        "vae": "decoder.mid_block.attentions.0.to_q.weight",
        "vocoder": "upsampler.0.weight",
        "clip": "visual.transformer.resblocks.0.attn.in_proj_weight",
        "clap": "audio_model.audio_encoder.layers.0.blocks.0.attention.self.query.weight",
        "text_encoder": "text_model.encoder.layer.0.attention.self.query.weight",
    }
    for part, name in known.items():
        assert name in read_header(tiny.weights(part))
