# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts a bundle may have: their folders, the files that each needs, and what all of them together make.

::

    bundle.toml                         what it is, licence, spaces, size and sha256 of every file
    unet/          config.json, diffusion_pytorch_model.safetensors     diffusers UNet2DConditionModel
    vae/           config.json, diffusion_pytorch_model.safetensors     diffusers AutoencoderKL
    vocoder/       config.json, model.safetensors                       transformers SpeechT5HifiGan
    scheduler/     scheduler_config.json                                diffusers DDIMScheduler
    clip/          open_clip_config.json, open_clip_model.safetensors   open_clip
    clap/          config.json, model.safetensors, tokenizer files      transformers ClapModel
    text_encoder/  config.json, model.safetensors                       optional: AudioLDM's own text tower
    mappers/KIND/                                                       optional: regression, generative
    text_prior/                                                         optional: CLIP's words to its pictures
    pictures/{unet,vae,text_encoder,tokenizer,scheduler}/               optional: diffusers StableDiffusion
    pictures/embedder/                                                  optional: sounds to words for these

A bundle makes sound, or pictures, or both; what it lacks of either is not needed for the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...addon.wire.errors import ModelRefused
from .manifest import Manifest

PARTS = ("unet", "vae", "vocoder", "scheduler", "clip", "clap")  # what makes sound has these
TEXT_PRIOR = "text_prior"
EMBEDDER = "pictures/embedder"
CONFIGS = {
    "unet": "config.json",
    "vae": "config.json",
    "vocoder": "config.json",
    "scheduler": "scheduler_config.json",
    "clip": "open_clip_config.json",
    "clap": "config.json",
    "text_encoder": "config.json",
}
PICTURE_CONFIGS = {  # of what makes pictures; all of them are needed
    "pictures/unet": "config.json",
    "pictures/vae": "config.json",
    "pictures/text_encoder": "config.json",
    "pictures/tokenizer": "tokenizer_config.json",
    "pictures/scheduler": "scheduler_config.json",
}
_NO_WEIGHTS = ("scheduler", "pictures/tokenizer", "pictures/scheduler")
_SOUND_ONLY = ("unet", "vae", "vocoder", "scheduler")  # clip and clap may serve pictures alone


def below(folder: str, files: Iterable[str]) -> list[str]:
    """Those of a bundle's files that lie in a folder of it, as ``unet`` or ``mappers/KIND``."""
    return [path for path in files if path.startswith(f"{folder}/")]


def makes_of(files: Iterable[str]) -> tuple[str, ...]:
    """Of messages.MAKES, what a bundle of these files makes; neither for a text prior on its own."""
    sound, pictures = (
        any(path.startswith(f"{part}/") for path in files for part in parts)
        for parts in (_SOUND_ONLY, PICTURE_CONFIGS)
    )
    return (("sound",) if sound else ()) + (("pictures",) if pictures else ())


def weights_path(part: str, files: Iterable[str]) -> str:
    """The one safetensors file of a part. Raises ModelRefused when there is none, or another beside it."""
    found = [path for path in below(part, files) if path.endswith(".safetensors")]
    if len(found) != 1:
        raise ModelRefused(
            f"The {part} of a model must be one safetensors file, not {len(found)}; pull the model again."
        )
    return found[0]


def check_parts(said: Manifest) -> None:
    """Whatever a bundle makes, it has all that this needs. Raises ModelRefused."""
    made = makes_of(said.files)
    if not made and f"{TEXT_PRIOR}/config.json" not in said.files:
        made = ("sound",)
    needed = {part: CONFIGS[part] for part in PARTS} if "sound" in made else {}
    needed |= PICTURE_CONFIGS if "pictures" in made else {}
    for part, file in needed.items():
        if f"{part}/{file}" not in said.files:
            raise ModelRefused(f"The model {said.title} lists no {part}/{file}; pull it again.")
        if part not in _NO_WEIGHTS:
            weights_path(part, said.files)
