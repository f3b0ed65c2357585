# SPDX-License-Identifier: GPL-3.0-or-later
"""CLAP hears what AudioLDM's CLAP heard, without chance, and only the right CLAP is taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import clap as clap_module
from footfall.server.models.bundle import Bundle, open_bundle
from footfall.server.models.clap import SAMPLES, ClapEncoder, embedding, fit, log_mel, resample
from safetensors.torch import load_file, save_file

CPU = torch.device("cpu")


@pytest.fixture
def clap(tiny: Bundle) -> ClapEncoder:
    return ClapEncoder.load(tiny, CPU, torch.float32)


def noise(count: int, samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_texts_of_all_kinds_have_length_one(clap: ClapEncoder, tiny: Bundle) -> None:
    rows = clap.encode_text(["", "a dog barking", "犬 🐶", "x " * 5_000])
    assert rows.shape == (4, 512)
    assert torch.allclose(rows.norm(dim=-1), torch.ones(4), atol=1e-6)
    assert clap.encode_text([]).shape == (0, 512)
    assert clap.space == tiny.clap_space


def test_text_is_what_the_published_model_makes_of_it(clap: ClapEncoder, tiny: Bundle) -> None:
    import transformers

    model = transformers.ClapModel.from_pretrained(tiny.part("clap")).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny.part("clap"), local_files_only=True)
    texts = ["a dog barking", "", "rain on a tin roof"]
    with torch.inference_mode():
        wanted = embedding(model.get_text_features(**tokenizer(texts, padding=True, return_tensors="pt")))
    assert torch.allclose(clap.encode_text(texts), wanted, atol=1e-6)


@pytest.mark.parametrize("samples", [480, 100_000, 240_000, 480_000])
def test_features_are_the_published_extractors(samples: int) -> None:
    """For sounds of at most ten seconds: longer ones the extractor cuts at random, and we do not."""
    import transformers

    extractor = transformers.ClapFeatureExtractor(
        truncation="rand_trunc", padding="repeatpad", frequency_min=50, frequency_max=14_000
    )
    wave = noise(1, samples)
    wanted = extractor(wave[0].numpy(), sampling_rate=48_000, return_tensors="pt")["input_features"]
    made = log_mel(fit(wave))
    assert made.shape == wanted.shape == (1, 1, 1001, 64)
    assert (made - wanted).abs().max() < 1e-3


def test_a_long_sound_is_heard_from_its_start_every_time(clap: ClapEncoder) -> None:
    sound = noise(1, 163_840)  # 10.24 s
    first = clap.encode_audio(sound)
    assert torch.equal(first, clap.encode_audio(sound))
    assert torch.equal(first, clap.encode_audio(sound[:, :161_000]))
    assert not torch.equal(first, clap.encode_audio(sound[:, 10_000:]))


def test_a_short_sound_is_repeated_whole_and_then_padded() -> None:
    wave = torch.arange(1.0, 200_001.0)[None]
    made = fit(wave)
    assert made.shape == (1, SAMPLES)
    assert torch.equal(made[:, :400_000], wave.repeat(1, 2))
    assert not made[:, 400_000:].any()
    assert not fit(torch.zeros(2, 0)).any()
    assert torch.equal(fit(torch.ones(1, SAMPLES + 5)), torch.ones(1, SAMPLES))


def test_sounds_of_any_kind_have_length_one(clap: ClapEncoder) -> None:
    for sound in (noise(3, 1600), np.zeros((1, 16_000), np.float32), noise(1, 1)):
        rows = clap.encode_audio(sound)
        assert rows.shape == (len(sound), 512)
        assert torch.allclose(rows.norm(dim=-1), torch.ones(len(sound)), atol=1e-5)
    assert clap.encode_audio(np.zeros((0, 100), np.float32)).shape == (0, 512)


@pytest.mark.parametrize(
    ("old", "new"), [(16_000, 48_000), (48_000, 16_000), (44_100, 48_000), (48_000, 48_000)]
)
@pytest.mark.parametrize("pitch_hz", [100, 440, 3_000])
def test_resampling_keeps_a_tone(old: int, new: int, pitch_hz: int) -> None:
    tone = torch.sin(2 * math.pi * pitch_hz * torch.arange(old // 2, dtype=torch.float64) / old)[None].float()
    made = resample(tone, old, new)
    assert made.shape == (1, math.ceil(tone.shape[1] * new / old))
    wanted = torch.sin(2 * math.pi * pitch_hz * torch.arange(made.shape[1], dtype=torch.float64) / new)[
        None
    ].float()
    assert (made - wanted)[:, 500:-500].abs().max() < 5e-3


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_projected_embedding_is_taken_from_either_version(wrapped: bool) -> None:
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    right, wrong = torch.ones(2, 512), torch.zeros(2, 7, 64)
    output = BaseModelOutputWithPooling(last_hidden_state=wrong, pooler_output=right) if wrapped else right
    assert torch.equal(embedding(output), right)


def _change_clap(root: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
    from .conftest import reseal

    path = root / "clap" / "model.safetensors"
    state = {key: value.clone() for key, value in load_file(path).items()}
    changed = change(state.pop(name))
    if changed is not None:
        state[name] = changed
    save_file(state, path, metadata={"format": "pt"})
    reseal(root)


NAME = "text_model.encoder.layer.1.output.dense.weight"


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value + torch.eye(*value.shape) * 1e-6,
        lambda value: value.half(),
        lambda value: value.T.contiguous(),
        lambda value: None,
    ],
    ids=["one bit", "precision", "shape", "missing"],
)
def test_another_clap_than_audioldms_own_is_refused(
    copy_bundle: Callable[[str], Path], change: Callable[[torch.Tensor], torch.Tensor | None]
) -> None:
    root = copy_bundle("one")
    _change_clap(root, NAME, change)
    with pytest.raises(ModelRefused, match="another CLAP") as caught:
        ClapEncoder.load(open_bundle(root), CPU, torch.float32)
    assert NAME in caught.value.detail
    assert "convert_laion_clap" in caught.value.sentence


def test_the_audio_tower_may_be_another(copy_bundle: Callable[[str], Path]) -> None:
    root = copy_bundle("one")
    _change_clap(root, "audio_projection.linear1.weight", lambda value: value * 2)
    ClapEncoder.load(open_bundle(root), CPU, torch.float32)


def test_the_towers_are_compared_once(
    copy_bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(copy_bundle("one"))
    clap_module.check_text_tower(bundle)
    monkeypatch.setattr(clap_module, "read_header", None)  # a second comparison would fail
    clap_module.check_text_tower(open_bundle(bundle.root))


def test_a_fusion_model_is_refused(copy_bundle: Callable[[str], Path]) -> None:
    from .conftest import reseal

    root = copy_bundle("one")
    path = root / "clap" / "config.json"
    path.write_text(path.read_text().replace('"enable_fusion": false', '"enable_fusion": true'))
    reseal(root)
    with pytest.raises(ModelRefused, match="cannot use"):
        ClapEncoder.load(open_bundle(root), CPU, torch.float32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"hidden_size": 64', '"hidden_size": "wide"'),
        ('"num_attention_heads": 4', '"num_attention_heads": 7'),
    ],
)
def test_a_damaged_configuration_is_refused(copy_bundle: Callable[[str], Path], old: str, new: str) -> None:
    from .conftest import reseal

    root = copy_bundle("one")
    path = root / "clap" / "config.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    reseal(root)
    with pytest.raises(ModelRefused, match="damaged configuration"):
        ClapEncoder.load(open_bundle(root), CPU, torch.float32)
