#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the CLAP of an original LAION checkpoint (.pt), or the one inside an original AudioLDM checkpoint
(.ckpt), into the layout of transformers' ClapModel: config.json and model.safetensors.

    python scripts/convert_laion_clap.py 630k-audioset-best.pt OUT_DIR
    python scripts/convert_laion_clap.py audioldm-s-full-v2.ckpt OUT_DIR --bundle MODELS/audioldm-s-full-v2

With ``--bundle`` the result also replaces the ``clap`` part of that bundle. This script is not part of the
program and is the one place that reads pickles; ``weights_only`` keeps torch from running anything in them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError  # only the name of the error
from typing import Any

import numpy as np
import torch
from footfall.addon.wire.errors import FootfallError, ModelRefused
from footfall.server.models import manifest
from footfall.server.models.bundle import open_bundle
from footfall.server.models.weights import save_weights
from torch import Tensor

# Fixed spectrogram layers, heads of other tasks, and tables that the class computes itself.
_UNUSED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|spec_augmenter|tscam_conv|head)\."
    r"|(audio|text)_transform\.|.*\.(relative_position_index|attn_mask|position_ids|token_type_ids|num_batches_tracked)$"
)
_PREFIXES = ("cond_stage_model.model.", "module.")
_RENAMES = (
    (r"^audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^text_branch\.", "text_model."),
    (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(\.blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.", r"\1.attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)


def new_names(name: str) -> tuple[str, ...]:
    """Names in ClapModel of one tensor of LAION's: none if it is not used, three for a joint query, key and
    value.
    """
    if _UNUSED.match(name):
        return ()
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    if ".qkv." in name:
        return tuple(name.replace(".qkv.", f".{part}.") for part in ("query", "key", "value"))
    return (name,)


def strip_prefix(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of CLAP under LAION's own names, whatever they were wrapped in."""
    for prefix in _PREFIXES:
        found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if found:
            return found
    return dict(state)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LAION's tensors as ClapModel's. Raises ModelRefused for a fusion model, which AudioLDM does not use."""
    if any("fusion" in name or "mel_conv2d" in name for name in state):
        raise ModelRefused("This is a CLAP with fusion, which AudioLDM does not use; convert an unfused one.")
    return dict(_converted(state))


def _converted(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        names = new_names(name)
        for new, piece in zip(names, value.chunk(len(names)) if len(names) > 1 else (value,), strict=False):
            yield new, piece.float().clone().contiguous()


def config_for(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """ClapModel's configuration, read off LAION's tensors. ``state``: LAION's names. Raises ModelRefused."""
    try:
        width = state["audio_branch.patch_embed.proj.weight"].shape[0]
        words, hidden = state["text_branch.embeddings.word_embeddings.weight"].shape
        positions = state["text_branch.embeddings.position_embeddings.weight"].shape[0]
        tables = "audio_branch.layers.{}.blocks.0.attn.relative_position_bias_table"
        heads = [state[tables.format(stage)].shape[1] for stage in range(4)]
    except KeyError as error:
        raise ModelRefused(f"This is not a CLAP with HTSAT and RoBERTa: it lacks {error}.") from error
    depths = [_count(state, rf"audio_branch\.layers\.{stage}\.blocks\.(\d+)\.") for stage in range(4)]
    text = {
        "model_type": "clap_text_model",
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": state["text_branch.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": _count(state, r"text_branch\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": hidden // 64,  # the width of a head of RoBERTa
        "max_position_embeddings": positions,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,  # RoBERTa's; transformers' own default for CLAP is another
    }
    audio = {
        "model_type": "clap_audio_model",
        "patch_embeds_hidden_size": width,
        "hidden_size": 8 * width,
        "depths": depths,
        "num_attention_heads": heads,
        "num_hidden_layers": 4,
        "spec_size": 256,
        "num_mel_bins": 64,
        "enable_fusion": False,
    }
    head = {"architectures": ["ClapModel"], "model_type": "clap", "projection_dim": 512}
    return {**head, "text_config": text, "audio_config": audio}


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in state if (found := re.match(pattern, name)))


def load(path: Path) -> dict[str, Tensor]:
    """LAION's tensors from a checkpoint on disk. Nothing in the file is run. Raises ModelRefused."""
    scalars = [np.core.multiarray.scalar, np.dtype, type(np.dtype("float64")), type(np.dtype("float32"))]
    try:
        with torch.serialization.safe_globals(scalars):
            plain = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, UnpicklingError) as error:
        raise ModelRefused(f"{path} is not a checkpoint that can be read safely.", str(error)) from error
    while isinstance(plain, dict) and isinstance(plain.get("state_dict"), dict):
        plain = plain["state_dict"]
    if not isinstance(plain, dict):
        raise ModelRefused(f"{path} holds no tensors by name.")
    return {name: value for name, value in strip_prefix(plain).items() if isinstance(value, Tensor)}


def write(state: Mapping[str, Tensor], folder: Path) -> None:
    """config.json and model.safetensors of LAION's tensors, in a new or existing folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_for(state), indent=2) + "\n", encoding="utf-8")
    save_weights(convert(state), folder / "model.safetensors", {"format": "pt"})


def put_into_bundle(folder: Path, root: Path) -> None:
    """Replaces configuration and weights of a bundle's CLAP and lists the new hashes in its bundle.toml."""
    open_bundle(root)
    for name in ("config.json", "model.safetensors"):
        new = root / "clap" / f".{name}.new"
        shutil.copyfile(folder / name, new)
        os.replace(new, root / "clap" / name)
    manifest.add_folder(root, "clap")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Convert LAION's CLAP to transformers' layout.")
    parser.add_argument("checkpoint", type=Path, help="LAION's .pt, or an original AudioLDM .ckpt")
    parser.add_argument("folder", type=Path, help="where config.json and model.safetensors go")
    parser.add_argument("--bundle", type=Path, help="put the result into this bundle, too")
    options = parser.parse_args(arguments)
    try:
        write(load(options.checkpoint), options.folder)
        if options.bundle:
            put_into_bundle(options.folder, options.bundle)
    except FootfallError as error:
        print(f"{error.sentence} {error.detail}".strip(), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
