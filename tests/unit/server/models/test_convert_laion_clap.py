# SPDX-License-Identifier: GPL-3.0-or-later
"""LAION's checkpoints become ClapModel's, tensor for tensor; and give the same embeddings as laion_clap's
code.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import clap
from footfall.server.models.bundle import open_bundle
from footfall.server.models.weights import load_weights, read_header
from safetensors.torch import load_file

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "convert_laion_clap.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_laion_clap", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("logit_scale_a", ["logit_scale_a"]),
        ("audio_branch.bn0.running_mean", ["audio_model.audio_encoder.batch_norm.running_mean"]),
        ("audio_branch.patch_embed.norm.bias", ["audio_model.audio_encoder.patch_embed.norm.bias"]),
        (
            "audio_branch.layers.2.blocks.5.norm2.weight",
            ["audio_model.audio_encoder.layers.2.blocks.5.layernorm_after.weight"],
        ),
        (
            "audio_branch.layers.0.blocks.1.attn.qkv.bias",
            [
                f"audio_model.audio_encoder.layers.0.blocks.1.attention.self.{p}.bias"
                for p in ("query", "key", "value")
            ],
        ),
        (
            "audio_branch.layers.0.blocks.1.attn.proj.weight",
            ["audio_model.audio_encoder.layers.0.blocks.1.attention.output.dense.weight"],
        ),
        (
            "audio_branch.layers.0.blocks.1.attn.relative_position_bias_table",
            ["audio_model.audio_encoder.layers.0.blocks.1.attention.self.relative_position_bias_table"],
        ),
        (
            "audio_branch.layers.3.blocks.0.mlp.fc1.weight",
            ["audio_model.audio_encoder.layers.3.blocks.0.intermediate.dense.weight"],
        ),
        (
            "audio_branch.layers.1.downsample.norm.weight",
            ["audio_model.audio_encoder.layers.1.downsample.norm.weight"],
        ),
        ("audio_branch.norm.weight", ["audio_model.audio_encoder.norm.weight"]),
        (
            "text_branch.encoder.layer.3.attention.output.LayerNorm.bias",
            ["text_model.encoder.layer.3.attention.output.LayerNorm.bias"],
        ),
        ("text_projection.2.weight", ["text_projection.linear2.weight"]),
        ("audio_projection.0.bias", ["audio_projection.linear1.bias"]),
        ("audio_branch.spectrogram_extractor.stft.conv_real.weight", []),
        ("audio_branch.logmel_extractor.melW", []),
        ("audio_branch.tscam_conv.weight", []),
        ("audio_branch.head.bias", []),
        ("text_transform.sequential.3.weight", []),
        ("audio_branch.layers.0.blocks.1.attn_mask", []),
        ("audio_branch.bn0.num_batches_tracked", []),
        ("text_branch.embeddings.position_ids", []),
    ],
)
def test_names(script: ModuleType, old: str, new: list[str]) -> None:
    assert list(script.new_names(old)) == new


def laion_state(root: Path) -> dict[str, torch.Tensor]:
    """A tiny CLAP under LAION's names: the way back, written down independently of the script."""
    swaps = [
        ("audio_model.audio_encoder.batch_norm.", "audio_branch.bn0."),
        ("audio_model.audio_encoder.", "audio_branch."),
        ("text_model.", "text_branch."),
        ("_projection.linear1.", "_projection.0."),
        ("_projection.linear2.", "_projection.2."),
    ]
    inside = [
        (".layernorm_before.", ".norm1."),
        (".layernorm_after.", ".norm2."),
        (".attention.output.dense.", ".attn.proj."),
        (".attention.self.", ".attn."),
        (".intermediate.dense.", ".mlp.fc1."),
        (".output.dense.", ".mlp.fc2."),
    ]
    state: dict[str, torch.Tensor] = {}
    for name, value in load_file(root / "clap" / "model.safetensors").items():
        for old, new in [*swaps, *(inside if ".blocks." in name else [])]:
            name = name.replace(old, new)
        state[name] = value
    for name in [name for name in state if ".attn.query." in name]:
        parts = [state.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        state[name.replace("query", "qkv")] = torch.cat(parts)
    state["audio_branch.head.weight"] = torch.zeros(3, 3)
    state["audio_branch.logmel_extractor.melW"] = torch.zeros(513, 64)
    return state


@pytest.mark.parametrize("prefix", ["", "module.", "cond_stage_model.model."])
def test_a_checkpoint_there_and_back_is_the_same(
    script: ModuleType, tiny_root: Path, tmp_path: Path, prefix: str
) -> None:
    state = {prefix + name: value for name, value in laion_state(tiny_root).items()}
    if prefix.startswith("cond"):
        state["model.diffusion_model.out.2.bias"] = torch.zeros(8)  # the rest of an AudioLDM checkpoint
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "c.pt")
    script.write(script.load(tmp_path / "c.pt"), tmp_path / "clap")
    wanted = load_file(tiny_root / "clap" / "model.safetensors")
    made = load_file(tmp_path / "clap" / "model.safetensors")
    assert {name for name, value in wanted.items() if value.is_floating_point()} == set(made)
    assert all(torch.equal(value, wanted[name]) for name, value in made.items())
    old, new = (
        json.loads((folder / "config.json").read_text()) for folder in (tiny_root / "clap", tmp_path / "clap")
    )
    for tower in ("text_config", "audio_config"):
        for key in old[tower].keys() & new[tower].keys() - {"num_attention_heads"}:
            assert old[tower][key] == new[tower][key], key
    assert new["audio_config"]["num_attention_heads"] == old["audio_config"]["num_attention_heads"]
    assert new["text_config"]["layer_norm_eps"] == 1e-5


def test_it_mends_a_bundle_with_the_wrong_clap(
    script: ModuleType, tiny_root: Path, copy_bundle: Callable[[str], Path], tmp_path: Path
) -> None:
    from .conftest import flip_byte, reseal

    root = copy_bundle("one")
    position = 8 + _header_length(root / "clap" / "model.safetensors")
    start = read_header(root / "clap" / "model.safetensors")["text_projection.linear1.weight"].start
    flip_byte(root / "clap" / "model.safetensors", position + start)
    reseal(root)
    with pytest.raises(ModelRefused, match="another CLAP"):
        clap.check_text_tower(open_bundle(root))
    torch.save(laion_state(tiny_root), tmp_path / "c.ckpt")
    assert script.main([str(tmp_path / "c.ckpt"), str(tmp_path / "out"), "--bundle", str(root)]) == 0
    mended = open_bundle(root)
    mended.verify()
    clap.check_text_tower(mended)


def _header_length(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


class Evil:
    """What a poisoned checkpoint holds: something that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_poisoned_checkpoint_runs_nothing(script: ModuleType, tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": Evil(tmp_path / "opened")}}, tmp_path / "c.pt")
    with pytest.raises(ModelRefused, match="read safely"):
        script.load(tmp_path / "c.pt")
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_what_is_no_checkpoint_is_refused(
    script: ModuleType, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    assert script.main([str(tmp_path / "c.pt"), str(tmp_path / "out")]) == 4
    assert "read safely" in capsys.readouterr().err
    assert script.main([str(tmp_path / "none.pt"), str(tmp_path / "out")]) == 4


def test_other_models_are_refused(script: ModuleType, tiny_root: Path) -> None:
    state = laion_state(tiny_root)
    with pytest.raises(ModelRefused, match="fusion"):
        script.convert({**state, "audio_branch.patch_embed.fusion_model.local_att.0.weight": torch.zeros(1)})
    del state["audio_branch.patch_embed.proj.weight"]
    with pytest.raises(ModelRefused, match="not a CLAP with HTSAT"):
        script.config_for(state)


def _laion_model(size: str) -> Any:
    """laion_clap's model with random weights. Its import wants tokenizers from a hub; none is used here."""
    import transformers

    def roberta(*arguments: Any, **options: Any) -> Any:
        return transformers.RobertaModel(
            transformers.RobertaConfig(
                vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
            )
        )

    patch = pytest.MonkeyPatch()
    for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
        patch.setattr(getattr(transformers, name), "from_pretrained", lambda *arguments, **options: None)
    patch.setattr(transformers.RobertaModel, "from_pretrained", roberta)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            laion_clap = pytest.importorskip(
                "laion_clap",
                reason="laion_clap is not installed: its embeddings are not compared (extra: laion)",
            )
            model = laion_clap.CLAP_Module(
                enable_fusion=False, amodel=size, tmodel="roberta", device="cpu"
            ).model
    finally:
        patch.undo()
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "extractor" not in name and parameter.ndim:
            noise = torch.randn_like(parameter)
            scale = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.data = noise * scale + (parameter.data if parameter.ndim == 1 else 0)
    model.audio_branch.bn0.running_mean.normal_(-20, 5)
    model.audio_branch.bn0.running_var.uniform_(50, 200)
    return model.eval()


@pytest.mark.parametrize("size", ["HTSAT-tiny", "HTSAT-base"])
def test_laion_clap_and_the_converted_model_agree(script: ModuleType, tmp_path: Path, size: str) -> None:
    """The same weights, texts and sounds through laion_clap's own code and through ours."""
    import transformers

    laion = _laion_model(size)
    torch.save({"state_dict": {f"module.{k}": v for k, v in laion.state_dict().items()}}, tmp_path / "c.pt")
    state = script.load(tmp_path / "c.pt")
    script.write(state, tmp_path)
    config = transformers.ClapConfig.from_dict(script.config_for(state))
    ours = load_weights(lambda: transformers.ClapModel(config), tmp_path / "model.safetensors")
    ids = torch.randint(5, 50_000, (2, 12))
    ids[:, 0], ids[:, -1] = 0, 2
    mask = torch.ones_like(ids)
    waves = clap.fit(torch.randn(2, 120_000) * 0.1)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = laion.get_text_embedding({"input_ids": ids, "attention_mask": mask})
        sound = laion.get_audio_embedding([{"waveform": wave} for wave in waves])
        our_text = clap.embedding(ours.get_text_features(input_ids=ids, attention_mask=mask))
        our_sound = clap.embedding(ours.get_audio_features(input_features=clap.log_mel(waves)))
    assert (text - our_text).abs().max() < 1e-5
    assert (sound - our_sound).abs().max() < 1e-5
