# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of the public parts, by size, as plain data; and a tiny one of the same architecture.

Sources: diffusers' AudioLDM conversion script, the cvssp and laion models' configurations, open_clip's
ViT-B-32. Sizes ``s``, ``m`` and ``l`` are AudioLDM's; the VAE's scaling factor is learnt and differs for
each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
EMBEDDING = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The configuration of every part of one bundle; ``text_encoder`` is AudioLDM's own CLAP text tower."""

    unet: Config
    vae: Config
    vocoder: Config
    scheduler: Config
    clip: Config
    clap: Config
    vocabulary: int  # tokens of the CLAP tokenizer
    clip_vocabulary: int = 0  # tokens of a CLIP tokenizer of the bundle's own; 0: open_clip's

    @property
    def text_encoder(self) -> Config:
        return {**self.clap["text_config"], "projection_dim": EMBEDDING, "architectures": [TEXT_ENCODER]}


TEXT_ENCODER = "ClapTextModelWithProjection"
_CHANNELS = {"s": 128, "m": 192, "l": 256}
_SCALING = {
    "audioldm-s-full": 0.9227914214134216,
    "audioldm-s-full-v2": 0.9392935633659363,
    "audioldm-m-full": 0.9138255715370178,
    "audioldm-l-full": 0.9654927849769592,
}
NAMES = tuple(_SCALING)


def layout(name: str, *, tiny: bool = False) -> Layout:
    """The layout of a public bundle, or the tiny one with that bundle's VAE scaling. Raises KeyError."""
    scaling = _SCALING[name]
    if tiny:
        return Layout(
            unet={**_unet(8), "norm_num_groups": 8, "layers_per_block": 1, "attention_head_dim": 2},
            vae={**_vae((8, 16, 32), scaling), "norm_num_groups": 8, "layers_per_block": 1},
            vocoder={**_vocoder(32), "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]]},
            scheduler=_SCHEDULER,
            clip=_clip(vision=(64, 2), text=(64, 2), heads=4, vocabulary=1024, head_width=16),
            clap=_clap(text=(64, 2, 4), audio=(16, (1, 1, 1, 1), (1, 2, 4, 8)), vocabulary=1024),
            vocabulary=1024,
            clip_vocabulary=1024,
        )
    size = name.removeprefix("audioldm-")[0]
    # AudioLDM-M was trained with LAION's HTSAT-base, the others with HTSAT-tiny.
    audio = (128, (2, 2, 12, 2), (4, 8, 16, 32)) if size == "m" else (96, (2, 2, 6, 2), (4, 8, 16, 32))
    return Layout(
        unet=_unet(_CHANNELS[size]),
        vae=_vae((128, 256, 512), scaling),
        vocoder=_vocoder(1024),
        scheduler=_SCHEDULER,
        clip=_clip(vision=(768, 12), text=(512, 12), heads=8, vocabulary=49408),
        clap=_clap(text=(768, 12, 12), audio=audio, vocabulary=50265),
        vocabulary=2048,
    )


_SCHEDULER: Config = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}


def _unet(channels: int) -> Config:
    widths = [channels * factor for factor in (1, 2, 3, 5)]
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 128,
        "in_channels": 8,
        "out_channels": 8,
        "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
        "up_block_types": [*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"],
        "block_out_channels": widths,
        "cross_attention_dim": widths,
        "class_embed_type": "simple_projection",
        "projection_class_embeddings_input_dim": EMBEDDING,
        "class_embeddings_concat": True,
    }


def _vae(widths: tuple[int, ...], scaling: float) -> Config:
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": 512,
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": list(widths),
        "layers_per_block": 2,
        "latent_channels": 8,
        "scaling_factor": scaling,
    }


def _vocoder(channels: int) -> Config:
    return {
        "architectures": ["SpeechT5HifiGan"],
        "model_type": "hifigan",
        "model_in_dim": 64,
        "sampling_rate": 16000,
        "upsample_initial_channel": channels,
        "upsample_rates": [5, 4, 2, 2, 2],
        "upsample_kernel_sizes": [16, 16, 8, 4, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "normalize_before": False,
    }


def _clip(
    *, vision: tuple[int, int], text: tuple[int, int], heads: int, vocabulary: int, head_width: int = 64
) -> Config:
    return {
        "model_cfg": {
            "embed_dim": EMBEDDING,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": 224,
                "width": vision[0],
                "layers": vision[1],
                "patch_size": 32,
                "head_width": head_width,
            },
            "text_cfg": {
                "context_length": 77,
                "vocab_size": vocabulary,
                "width": text[0],
                "heads": heads,
                "layers": text[1],
            },
        },
        "preprocess_cfg": {
            "mean": CLIP_MEAN,
            "std": CLIP_STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def _clap(
    *,
    text: tuple[int, int, int],
    audio: tuple[int, tuple[int, ...], tuple[int, ...]],
    vocabulary: int,
) -> Config:
    return {
        "architectures": ["ClapModel"],
        "model_type": "clap",
        "projection_dim": EMBEDDING,
        "text_config": {
            "model_type": "clap_text_model",
            "vocab_size": vocabulary,
            "hidden_size": text[0],
            "num_hidden_layers": text[1],
            "num_attention_heads": text[2],
            "intermediate_size": 4 * text[0],
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
        "audio_config": {
            "model_type": "clap_audio_model",
            "patch_embeds_hidden_size": audio[0],
            "hidden_size": 8 * audio[0],
            "depths": list(audio[1]),
            "num_attention_heads": list(audio[2]),
            "num_hidden_layers": len(audio[1]),
            "spec_size": 256,
            "num_mel_bins": 64,
            "enable_fusion": False,
        },
    }
