# SPDX-License-Identifier: GPL-3.0-or-later
"""diffusers' own AudioLDMPipeline with a bundle's weights, as anyone would run it: what the engine is
compared with.

The class is deprecated there and only warns. It is given ready embeddings, so its text tower is a stub.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import torch
from torch import Tensor, nn

from .models.bundle import Bundle
from .models.weights import load_weights, modern_attention


class _NoText(nn.Module):
    """Stands where the text tower would; only its dtype and device are read."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.device = device
        self.dtype = dtype


class Reference:
    """The pipeline, timed part by part."""

    def __init__(self, pipeline: Any, steps: int, guidance: float) -> None:
        self._pipeline = pipeline
        self._steps = steps
        self._guidance = guidance

    def columns(self, seconds: float) -> int:
        """Latent columns that the pipeline makes for this length."""
        config = self._pipeline.vocoder.config
        hop = functools.reduce(lambda product, rate: product * rate, config.upsample_rates, 1)
        factor = self._pipeline.vae_scale_factor
        return -(-int(seconds / (hop / config.sampling_rate)) // factor)

    def run(self, start: Tensor, vectors: Tensor, seconds: float) -> tuple[Tensor, Tensor, dict[str, float]]:
        """log-mel, waveform and seconds by part. start: (1, C, columns, bins); vectors: (2, 512) without
        and with.
        """
        spent = dict.fromkeys(("vae", "vocoder"), 0.0)
        seen: dict[str, Tensor] = {}

        def decode_latents(latents: Tensor) -> Tensor:
            began = time.perf_counter()
            seen["mel"] = type(self._pipeline).decode_latents(self._pipeline, latents)
            spent["vae"] = time.perf_counter() - began
            return seen["mel"]

        def to_waveform(mel: Tensor) -> Tensor:
            began = time.perf_counter()
            sound = type(self._pipeline).mel_spectrogram_to_waveform(self._pipeline, mel)
            spent["vocoder"] = time.perf_counter() - began
            return sound

        self._pipeline.decode_latents = decode_latents
        self._pipeline.mel_spectrogram_to_waveform = to_waveform
        began = time.perf_counter()
        sound = self._pipeline(
            prompt_embeds=vectors[1:],
            negative_prompt_embeds=vectors[:1],
            latents=start.clone(),
            audio_length_in_s=seconds,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            output_type="pt",
        ).audios
        spent["all"] = time.perf_counter() - began
        spent["unet"] = spent["all"] - spent["vae"] - spent["vocoder"]
        return seen["mel"].squeeze(1).float().cpu(), sound.float().cpu(), spent


def reference_pipeline(
    bundle: Bundle, device: torch.device, dtype: torch.dtype, steps: int, guidance: float
) -> Reference:
    """Loads the parts anew, untouched by the engine's changes. Raises ModelMissing, ModelRefused."""
    from diffusers import AudioLDMPipeline, AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from diffusers.utils import logging
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    logging.set_verbosity_error()

    def part(name: str, build: Any) -> Any:
        return load_weights(build, bundle.weights(name), device=device, dtype=dtype, rename=modern_attention)

    plain = {key: value for key, value in bundle.config("vocoder").items() if key != "architectures"}
    pipeline = AudioLDMPipeline(
        vae=part("vae", lambda: AutoencoderKL.from_config(bundle.config("vae"))),
        text_encoder=_NoText(device, dtype),
        tokenizer=None,
        unet=part("unet", lambda: UNet2DConditionModel.from_config(bundle.config("unet"))),
        scheduler=DDIMScheduler.from_config(bundle.config("scheduler")),
        vocoder=part("vocoder", lambda: SpeechT5HifiGan(SpeechT5HifiGanConfig(**plain))),
    )
    pipeline.set_progress_bar_config(disable=True)
    return Reference(pipeline, steps, guidance)
