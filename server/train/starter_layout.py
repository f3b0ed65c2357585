# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of every part of the starter bundle as plain data, and a tiny variant for tests.

Sizes are chosen for two processor cores: all parts together weigh less than 40 MB in float16, and ten seconds
of sound take less than four. Nothing is built here; ``server/models/random_bundle.builders`` turns a layout
into modules.
"""

from __future__ import annotations

from ..models.layouts import EMBEDDING, Config, Layout
from ..models.spectral_vocoder import KIND

LATENT_CHANNELS = 8
MELS = 64
VOCABULARY = 2048  # tokens of either tokenizer, at most
TINY_VOCABULARY = 384
CLIP_TOKENS = 48  # context length; the captions have about 15 tokens
# The mean and deviation of a colour in [0, 1] that is anywhere; the towers learn the rest.
PIXEL_MEAN = [0.45, 0.45, 0.45]
PIXEL_STD = [0.25, 0.25, 0.25]
# How CLIP looks at each picture (models/manifest.py). It learns from crops, in which things are larger than
# where a picture is seen whole (Touvron et al. 2019, arXiv:1906.06423), so it looks at the middle as well.
VIEWS = (1.0, 0.8, 0.6)


def starter_layout(*, tiny: bool = False) -> Layout:
    """The starter's layout. ``tiny``: the same kinds of parts, as small as they go, to try every command."""
    if tiny:
        return Layout(
            unet=_unet((8, 8, 16, 16), groups=4, heads=2),
            vae=_vae((8, 8, 16), groups=4, layers=1),
            vocoder=_vocoder(16, kernels=[3], dilations=[1]),
            scheduler=SCHEDULER,
            clip=_clip(image=32, width=8, head_width=32, text=(16, 1), heads=2, vocabulary=TINY_VOCABULARY),
            clap=_clap(text=(16, 1, 2), audio=(8, (1, 1, 1, 1), (1, 1, 2, 2)), vocabulary=TINY_VOCABULARY),
            vocabulary=TINY_VOCABULARY,
            clip_vocabulary=TINY_VOCABULARY,
        )
    return Layout(
        unet=_unet((32, 64, 96, 128), groups=8, heads=4),
        vae=_vae((16, 32, 64), groups=8, layers=1),
        vocoder=_vocoder(192, kernels=[3, 7], dilations=[1, 3, 5]),
        scheduler=SCHEDULER,
        clip=_clip(image=96, width=24, head_width=64, text=(128, 2), heads=4, vocabulary=VOCABULARY),
        clap=_clap(text=(128, 2, 4), audio=(32, (1, 1, 2, 1), (1, 2, 4, 8)), vocabulary=VOCABULARY),
        vocabulary=VOCABULARY,
        clip_vocabulary=VOCABULARY,
    )


# The starter's own vocoder; ``Layout.vocoder`` is the public kind, for whoever has the time to train it.
SPECTRAL: Config = {
    "model_type": KIND,
    "sampling_rate": 16000,
    "network": {"channels": 224, "blocks": 6, "kernel": 7},
    "rounds": 16,
}
TINY_SPECTRAL: Config = {**SPECTRAL, "network": {"channels": 16, "blocks": 1, "kernel": 3}, "rounds": 4}

# Zero terminal signal-to-noise ratio, so that level and noise floor are learnt (Lin et al., WACV 2024,
# arXiv:2305.08891: rescaled betas, v-prediction, trailing spacing).
SCHEDULER: Config = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "steps_offset": 0,
    "clip_sample": False,
    "set_alpha_to_one": True,
}


def _unet(widths: tuple[int, ...], *, groups: int, heads: int) -> Config:
    """Latents (B, 8, T, 16); attention in the two inner blocks. ``groups`` below the width of the first
    block, because a norm of single channels would take the level away.
    """
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": [64, 16],
        "in_channels": LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "layers_per_block": 1,
        "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "block_out_channels": list(widths),
        "cross_attention_dim": list(widths),
        "attention_head_dim": heads,  # diffusers' name for the number of heads
        "norm_num_groups": groups,
        "class_embed_type": "simple_projection",
        "projection_class_embeddings_input_dim": EMBEDDING,
        "class_embeddings_concat": True,
        "resnet_time_scale_shift": "scale_shift",  # a condition may turn a channel up, not only add to it
    }


def _vae(widths: tuple[int, ...], *, groups: int, layers: int) -> Config:
    """log-mel (B, 1, 4T, 64) to latents (B, 8, T, 16) and back; whitened, so the scaling factor is 1."""
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": 256,
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "block_out_channels": list(widths),
        "layers_per_block": layers,
        "norm_num_groups": groups,
        "latent_channels": LATENT_CHANNELS,
        "scaling_factor": 1.0,
    }


def _vocoder(channels: int, *, kernels: list[int], dilations: list[int]) -> Config:
    """16 kHz, 160 samples a frame. Each upsampling is exact: its kernel and rate differ by an even number."""
    return {
        "architectures": ["SpeechT5HifiGan"],
        "model_type": "hifigan",
        "model_in_dim": MELS,
        "sampling_rate": 16000,
        "upsample_initial_channel": channels,
        "upsample_rates": [10, 4, 4],
        "upsample_kernel_sizes": [20, 8, 8],
        "resblock_kernel_sizes": kernels,
        "resblock_dilation_sizes": [dilations] * len(kernels),
        "normalize_before": True,
    }


def _clip(
    *, image: int, width: int, head_width: int, text: tuple[int, int], heads: int, vocabulary: int
) -> Config:
    """A residual network (one block a stage) over ``image`` pixels and a small text tower, open_clip's."""
    return {
        "model_cfg": {
            "embed_dim": EMBEDDING,
            "quick_gelu": False,
            "vision_cfg": {
                "image_size": image,
                "layers": [1, 1, 1, 1],
                "width": width,
                "head_width": head_width,
            },
            "text_cfg": {
                "context_length": CLIP_TOKENS,
                "vocab_size": vocabulary,
                "width": text[0],
                "heads": heads,
                "layers": text[1],
            },
        },
        "preprocess_cfg": {
            "mean": PIXEL_MEAN,
            "std": PIXEL_STD,
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
    """transformers' ClapModel with patches of 8 x 8, a quarter of the public one's."""
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
            "patch_size": 8,
            "patch_stride": [8, 8],
            "patch_embeds_hidden_size": audio[0],
            "hidden_size": 8 * audio[0],
            "depths": list(audio[1]),
            "num_attention_heads": list(audio[2]),
            "num_hidden_layers": len(audio[1]),
            "spec_size": 256,
            "window_size": 4,  # as large as the last stage, which has 4 x 4 places
            "num_mel_bins": MELS,
            "enable_fusion": False,
        },
    }
