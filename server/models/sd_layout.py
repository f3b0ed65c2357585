# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of the public painters, Stable Diffusion 1.x and 2.x, as plain data; and a tiny one of
the same architecture for each.

Sources: the configuration files of the public repositories, as diffusers' conversion script writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .layouts import Config

NAMES = ("stable-diffusion-1-4", "stable-diffusion-1-5", "stable-diffusion-2-1-base")
TOKENS = 77  # of a prompt
VOCABULARY = 49_408
TINY_VOCABULARY = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A text encoder: OpenAI's ViT-L/14, or OpenCLIP's ViT-H/14 without its last layer."""

    name: str
    width: int
    layers: int
    heads: int
    projection: int
    act: str
    pad: str


_ONE = _Text(
    name="openai/clip-vit-large-patch14",
    width=768,
    layers=12,
    heads=12,
    projection=768,
    act="quick_gelu",
    pad="<|endoftext|>",
)
_TWO = _Text(
    name="hf-models/stable-diffusion-v2-768x768/text_encoder",
    width=1024,
    layers=23,
    heads=16,
    projection=512,
    act="gelu",
    pad="!",
)


def sd_layout(name: str, *, tiny: bool = False) -> dict[str, Config]:
    """Path in a bundle -> what the JSON there says. ``tiny``: the same kinds of parts, as small as they go.

    Raises KeyError.
    """
    if name not in NAMES:
        raise KeyError(name)
    second = name.startswith("stable-diffusion-2")
    text = _TWO if second else _ONE
    return {
        "pictures/unet/config.json": _unet(text, second, tiny),
        "pictures/vae/config.json": _vae(tiny),
        "pictures/text_encoder/config.json": _text_encoder(text, tiny),
        "pictures/tokenizer/tokenizer_config.json": _tokenizer(text),
        "pictures/scheduler/scheduler_config.json": _SCHEDULER,
    }


_SCHEDULER: Config = {
    "_class_name": "PNDMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}


def _unet(text: _Text, second: bool, tiny: bool) -> Config:
    wide: Config = {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 8 if tiny else 64,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1 if tiny else 2,
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
        "block_out_channels": [8, 16, 16, 16] if tiny else [320, 640, 1280, 1280],
        "cross_attention_dim": _width(text, tiny),
        "attention_head_dim": 2 if tiny else 8,  # diffusers' name for the number of heads
        "norm_num_groups": 4 if tiny else 32,
    }
    heads = [1, 2, 2, 2] if tiny else [5, 10, 20, 20]
    return wide | ({"attention_head_dim": heads, "use_linear_projection": True} if second else {})


def _vae(tiny: bool) -> Config:
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": 64 if tiny else 512,
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [4, 8, 8, 8] if tiny else [128, 256, 512, 512],
        "layers_per_block": 1 if tiny else 2,
        "norm_num_groups": 4 if tiny else 32,
        "latent_channels": 4,
        "scaling_factor": 0.18215,
    }


def _width(text: _Text, tiny: bool) -> int:
    return text.width // 32 if tiny else text.width


def _text_encoder(text: _Text, tiny: bool) -> Config:
    width = _width(text, tiny)
    return {
        "_name_or_path": text.name,
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": TINY_VOCABULARY if tiny else VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 2 if tiny else text.layers,
        "num_attention_heads": 2 if tiny else text.heads,
        "max_position_embeddings": TOKENS,
        "projection_dim": text.projection,
        "hidden_act": text.act,
        "layer_norm_eps": 1e-05,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def _tokenizer(text: _Text) -> Config:
    return {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TOKENS,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": text.pad,
    }
