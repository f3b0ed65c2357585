# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the painter the words of our own CLIP: its text tower as transformers' CLIPTextModel, and its tokens.

No number changes: the two libraries name the same weights differently, and open_clip keeps queries, keys and
values in one tensor.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from ..models.weights import open_weights, save_weights
from . import picture_layout

START, END = "<|startoftext|>", "<|endoftext|>"
PROMPT_TOKENS = 32  # a caption has about 15; behind these a prompt is cut
NAME = "footfall-clip-text"
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def write_text(clip: Path, folder: Path) -> None:
    """``folder``/text_encoder and ``folder``/tokenizer from a finished CLIP part. Raises ModelRefused."""
    said = json.loads((clip / "open_clip_config.json").read_bytes())["model_cfg"]
    target = folder / "tokenizer"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(clip / "tokenizer.json", target / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    length = min(PROMPT_TOKENS, said["text_cfg"]["context_length"])
    names = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    # Its words begin with their space, where those of CLIPTokenizer end with a mark.
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length}
    _write_json(target / "tokenizer_config.json", kind | names)
    target = folder / "text_encoder"
    target.mkdir(exist_ok=True)
    ids = tokenizer.get_vocab()
    start, end = ids[START], ids[END]
    config = {"_name_or_path": NAME, **picture_layout.text_encoder(said, start, end)}
    _write_json(target / "config.json", config)
    save_weights(renamed(open_weights(clip / "open_clip_model.safetensors")), target / "model.safetensors")


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The text tower among open_clip's tensors, by the names that Stable Diffusion's files have."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for new, value in _renamed(name, tensor).items():
            found[f"text_model.{new}"] = value.contiguous().clone()
    return found


def _renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    first, _, rest = name.partition(".")
    if name == "token_embedding.weight":
        return {"embeddings.token_embedding.weight": tensor}
    if name == "positional_embedding":
        return {"embeddings.position_embedding.weight": tensor}
    if first == "ln_final":
        return {f"final_layer_norm.{rest}": tensor}
    if first != "transformer":
        return {}
    _, number, rest = rest.split(".", 2)
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")
        pieces = zip("qkv", tensor.chunk(3), strict=True)
        return {f"encoder.layers.{number}.self_attn.{q}_proj.{kind}": piece for q, piece in pieces}
    part, _, kind = rest.rpartition(".")
    return {f"encoder.layers.{number}.{_BLOCK[part]}.{kind}": tensor}


def _write_json(path: Path, plain: Mapping[str, object]) -> None:
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
