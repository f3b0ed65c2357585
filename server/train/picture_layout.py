# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of the starter's painter as plain data, and a tiny variant for tests.

The parts and their names are those of diffusers' StableDiffusionPipeline: a VAE that makes a picture a
quarter as large each way, a UNet over its latents, and the starter's own CLIP text tower as transformers
knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models.layouts import Config

CHANNELS = 4  # of the latents


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLayout:
    """``size``: pixels of a picture, each way. The UNet's latents have ``size / 4`` each way."""

    size: int
    vae: Config
    unet: Config
    scheduler: Config


def picture_layout(*, tiny: bool = False) -> PictureLayout:
    """The starter's painter. ``tiny``: the same kinds of parts, as small as they go, to try every command."""
    if tiny:
        return PictureLayout(
            size=32,
            vae=_vae(32, (8, 8, 16), groups=4),
            unet=_unet(8, (8, 16, 16), heads=2, groups=4, words=16),
            scheduler=SCHEDULER,
        )
    return PictureLayout(
        size=64,
        vae=_vae(64, (16, 32, 64), groups=8),
        unet=_unet(16, (48, 80, 96), heads=4, groups=8, words=128),
        scheduler=SCHEDULER,
    )


# As for sounds: the last step is pure noise (Lin et al., WACV 2024, arXiv:2305.08891), so that a picture may
# be dark or bright as a whole.
SCHEDULER: Config = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "steps_offset": 0,
    "clip_sample": False,
    "set_alpha_to_one": True,
}


def _vae(size: int, widths: tuple[int, ...], *, groups: int) -> Config:
    """Pictures (B, 3, 4H, 4W) in [-1, 1] to latents (B, 4, H, W) and back; whitened, so the factor is 1."""
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": size,
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "block_out_channels": list(widths),
        "layers_per_block": 1,
        "norm_num_groups": groups,
        "latent_channels": CHANNELS,
        "mid_block_add_attention": False,
        "scaling_factor": 1.0,
    }


def _unet(side: int, widths: tuple[int, int, int], *, heads: int, groups: int, words: int) -> Config:
    """Latents (B, 4, side, side) under words (B, L, words); attention in the two inner blocks."""
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": side,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": list(widths),
        "cross_attention_dim": words,
        "attention_head_dim": heads,  # diffusers' name for the number of heads
        "norm_num_groups": groups,
        "resnet_time_scale_shift": "scale_shift",
    }


def text_encoder(clip: Mapping[str, Any], start: int, end: int) -> Config:
    """transformers' CLIPTextModel for the text tower of an open_clip configuration (``model_cfg``).

    ``start``, ``end``: ids of the tokens around a text.
    """
    text = clip["text_cfg"]
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": text["vocab_size"],
        "hidden_size": text["width"],
        "intermediate_size": 4 * text["width"],
        "num_hidden_layers": text["layers"],
        "num_attention_heads": text["heads"],
        "max_position_embeddings": text["context_length"],
        "projection_dim": clip["embed_dim"],
        "hidden_act": "quick_gelu" if clip.get("quick_gelu") else "gelu",
        "layer_norm_eps": 1e-5,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
    }
