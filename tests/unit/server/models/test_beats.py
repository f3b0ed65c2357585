# SPDX-License-Identifier: GPL-3.0-or-later
"""BEATs piece by piece against what others made of the same formulas, and its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models.beats import Beats, BeatsConfig, BeatsEar, buckets, filter_bank
from footfall.server.models.bundle import SpaceId
from torch import nn

TINY = BeatsConfig(
    embed_dim=12,
    encoder_layers=3,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=24,
    encoder_attention_heads=2,
    conv_pos=8,
    conv_pos_groups=4,
)


@pytest.fixture(scope="module")
def network() -> Beats:
    torch.manual_seed(0)
    made = Beats(TINY).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return made


@pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning")
def test_the_filter_bank_is_kaldis() -> None:
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    wave = np.random.default_rng(0).uniform(-0.4, 0.4, 8_000)
    window = window_function(400, "povey", periodic=False)
    bands = mel_filter_bank(257, 128, 20, 8_000, 16_000, mel_scale="kaldi", triangularize_in_mel_space=True)
    wanted = spectrogram(
        wave * 2**15, window, 400, 160, 512, power=2.0, center=False, preemphasis=0.97, mel_filters=bands,
        log_mel="log", mel_floor=1.192092955078125e-07, remove_dc_offset=True,
    ).T  # fmt: skip
    found = filter_bank(torch.from_numpy(wave)[None])[0] * 2 * 6.55582 + 15.41663
    np.testing.assert_allclose(found.numpy(), wanted, atol=2e-3)


def test_distances_fall_into_buckets_as_in_wavlm() -> None:
    from transformers.models.wavlm.modeling_wavlm import WavLMAttention

    theirs = WavLMAttention(16, 2, num_buckets=320, max_distance=800)
    distance = torch.arange(-2_000, 2_000)
    wanted = theirs._relative_positions_bucket(distance)
    assert torch.equal(buckets(distance, 320, 800), wanted)


def test_attention_is_wavlms_with_the_gate_on_the_query(network: Beats) -> None:
    """WavLM's gate looks at the rows themselves; with queries that are the rows, both are the same."""
    from transformers.models.wavlm.modeling_wavlm import WavLMAttention

    ours: Any = network.encoder.layers[0].self_attn
    theirs = WavLMAttention(16, 2)
    with torch.no_grad():
        ours.q_proj.weight.copy_(torch.eye(16))
        ours.q_proj.bias.zero_()
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            getattr(theirs, name).load_state_dict(getattr(ours, name).state_dict())
        theirs.gru_rel_pos_linear.load_state_dict(ours.grep_linear.state_dict())
        theirs.gru_rel_pos_const.copy_(ours.grep_a)
        theirs.rel_attn_embed.load_state_dict(ours.relative_attention_bias.state_dict())
        rows = torch.randn(2, 9, 16)
        wanted = theirs.eval()(rows)[0]
        torch.testing.assert_close(ours(rows, network._positions(9)), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_position_convolution_has_taps_of_one_length(network: Beats) -> None:
    ours: Any = network.encoder.pos_conv[0]
    plain = nn.utils.weight_norm(nn.Conv1d(16, 16, 8, padding=4, groups=4), dim=2)
    plain.load_state_dict(ours.state_dict())
    rows = torch.randn(2, 11, 16)
    with torch.no_grad():
        wanted = nn.functional.gelu(plain(rows.mT)[..., :-1]).mT
        torch.testing.assert_close(ours(rows), wanted)


def test_three_layers_are_joined(network: Beats) -> None:
    wave = torch.randn(2, 16_000) * 0.1
    with torch.no_grad():
        found = network(wave)
    assert found.shape == (2, 6 * 8, 48)  # 98 frames make six patches of 16, 128 bands eight
    last = found[..., 32:]
    assert torch.allclose(last.std(-1).mean(), torch.tensor(1.0), atol=0.4)  # a norm is the last thing
    assert replace(TINY, encoder_layers=12).depths == (3, 7, 11)  # 4, 8 and 12, as published


def test_the_ear_repeats_what_is_short(network: Beats) -> None:
    ear = BeatsEar(network, SpaceId(name="BEATs", sha256="b" * 64))
    assert ear.width == 48
    places = ear.places(torch.randn(1, 3_000) * 0.1)
    assert places.shape == (1, 62 * 8, 48)
    assert places.isfinite().all()
    wave = torch.randn(1, 160_000) * 0.1
    with torch.no_grad():
        torch.testing.assert_close(ear.places(wave), network(wave))


def test_names_are_those_of_the_public_checkpoints(network: Beats) -> None:
    attention = {f"{name}.{kind}" for name in ("k_proj", "v_proj", "q_proj", "out_proj", "grep_linear")
                 for kind in ("weight", "bias")} | {"grep_a"}  # fmt: skip
    norms = ("self_attn_layer_norm", "fc1", "fc2", "final_layer_norm")
    layer = {f"self_attn.{name}" for name in attention}
    layer |= {f"{name}.{kind}" for name in norms for kind in ("weight", "bias")}
    wanted = {f"encoder.layers.{number}.{name}" for number in range(3) for name in layer}
    wanted |= {f"encoder.pos_conv.0.{name}" for name in ("weight_g", "weight_v", "bias")}
    wanted |= {"encoder.layers.0.self_attn.relative_attention_bias.weight", "patch_embedding.weight"}
    for name in ("encoder.layer_norm", "layer_norm", "post_extract_proj"):
        wanted |= {f"{name}.weight", f"{name}.bias"}
    assert set(network.state_dict()) == wanted
    assert all(Beats.wants(name) for name in wanted)
    assert not Beats.wants("predictor.weight")
    assert not Beats.wants("encoder.layers.2.self_attn.relative_attention_bias.weight")


def test_the_public_size_has_ninety_million_numbers() -> None:
    with torch.device("meta"):
        public = Beats(BeatsConfig())
    assert round(sum(p.numel() for p in public.parameters()) / 1e6, 1) == 90.3


def test_a_configuration_survives_the_way_to_disk() -> None:
    assert BeatsConfig.parse(TINY.plain()) == TINY
    extra = {"dropout": 0.1, "finetuned_model": True, "predictor_class": 527}
    assert BeatsConfig.parse(TINY.plain() | extra) == TINY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer_norm_first": True}, "layer_norm_first is True"),
        ({"activation_fn": "relu"}, "activation_fn is 'relu'"),
        ({"deep_norm": False}, "deep_norm"),
        ({"encoder_layers": 2}, "do not go together"),
        ({"encoder_attention_heads": 3}, "do not go together"),
        ({"input_patch_size": 24}, "do not go together"),
        ({"encoder_layers": True}, "sizes that are missing"),
        ({"embed_dim": 10**9}, "sizes that are missing"),
        ({"num_buckets": None}, "sizes that are missing"),
    ],
)
def test_another_kind_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        BeatsConfig.parse(TINY.plain() | change)


def test_no_configuration_is_refused() -> None:
    with pytest.raises(ModelRefused, match="no configuration"):
        BeatsConfig.parse([1])
