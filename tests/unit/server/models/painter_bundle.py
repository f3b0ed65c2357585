# SPDX-License-Identifier: GPL-3.0-or-later
"""Painters with random weights on disk, as a bundle holds them and as diffusers opens them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from footfall.server.models.random_bundle import write_random
from footfall.server.models.sd_layout import sd_layout
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel

WORDS = ("a", "photo", "of", "drum", "bell", "rain", "the")
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
CLASSES = {
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
}


def write_stable_diffusion(root: Path, name: str = "stable-diffusion-1-5", *, seed: int = 0) -> None:
    """``root``/pictures of a tiny model of that kind, in the files that the public ones have."""
    layout = sd_layout(name, tiny=True)
    for path, config in layout.items():
        write_json(root / path, config)
    folder = root / "pictures"
    said = {part: layout[f"pictures/{part}/config.json"] for part in ("unet", "vae", "text_encoder")}
    write_random(lambda: UNet2DConditionModel.from_config(said["unet"]), _weights(folder, "unet"), seed)
    write_random(lambda: AutoencoderKL.from_config(said["vae"]), _weights(folder, "vae"), seed + 1)
    plain = {key: said["text_encoder"][key] for key in said["text_encoder"] if key[0] != "_"}
    text = folder / "text_encoder" / "model.safetensors"
    write_random(lambda: CLIPTextModel(CLIPTextConfig(**plain)), text, seed + 2)
    tensors = load_file(text)
    save_file({f"text_model.{key}": value for key, value in tensors.items()}, text, {"format": "pt"})
    _write_vocabulary(folder / "tokenizer")
    write_index(folder, "CLIPTokenizer")


def write_index(folder: Path, tokenizer: str) -> None:
    """What diffusers wants to find beside the parts."""
    said: dict[str, Any] = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False}
    write_json(folder / "model_index.json", said | CLASSES | {"tokenizer": ["transformers", tokenizer]})


def write_json(path: Path, plain: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain), encoding="utf-8")


def _weights(folder: Path, part: str) -> Path:
    return folder / part / "diffusion_pytorch_model.safetensors"


def _write_vocabulary(folder: Path) -> None:
    """CLIP's alphabet, plain and at a word's end, and the merges that make some words whole."""
    alphabet = sorted(ByteLevel.alphabet())
    known = [*alphabet, *(f"{sign}</w>" for sign in alphabet)]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            pair = (pieces[-2], pieces[-1])
            merges.append(pair)
            pieces[-2:] = ["".join(pair)]
            known.append(pieces[-1])
    known = [*dict.fromkeys(known), "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(known)})
    lines = ["#version: 0.2", *dict.fromkeys(" ".join(pair) for pair in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
