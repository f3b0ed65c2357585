# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIPSonic's bundle (Dong et al. 2023, arXiv:2306.09635): sound from words, by a generator that has learnt
from frames and their sounds alone.

It is the starter but for the UNet, which ``footfall train audioldm --condition clip`` has trained, and it
holds the prior from words to pictures where one was trained. The one that has learnt from labels instead
(``--condition clip_text``) is sealed alike: what the first is compared with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...addon.wire.errors import ModelRefused
from ..models import manifest
from ..models.bundle import Bundle
from ..models.bundle_parts import PARTS
from . import autoencoder, parts, sealing, starter
from .audioldm import FOLDERS

NAMES = {condition: name for condition, name in FOLDERS.items() if condition != "clap"}
TITLES = {"clip": "CLIPSonic", "clip_text": "CLIPSonic's twin that learnt from labels"}
NOTES = {
    "clip": "Trained on pictures and sounds that Footfall makes itself, and on no words: CLIP reads them.",
    "clip_text": "Trained on the words of sounds that Footfall makes itself, to be compared with CLIPSonic.",
}


def folder(work: Path, condition: str) -> Path:
    """Where the bundle is written."""
    return work / "bundles" / NAMES[condition]


def assemble(work: Path, target: Path, condition: str = "clip", base: Bundle | None = None) -> Bundle:
    """Writes the bundle into ``target``, which is replaced. ``condition``: what its UNet has learnt from;
    ``base``: whose other parts are taken in place of those in ``work``.

    Raises ModelMissing for a part that is not trained, ModelRefused for a base that does not fit, ModelError
    when it cannot be written.
    """
    sources = sealing.sound_parts(work, NAMES[condition])
    if base is not None:
        _check_fits(work, base)
        sources |= {part: base.part(part) for part in PARTS if part not in ("unet", "scheduler")}
    said = replace(
        starter.manifest_of(),
        name=NAMES[condition],
        title=TITLES[condition],
        note=NOTES[condition],
        condition="clip",
    )
    return sealing.seal(sources, said, target)


def _check_fits(work: Path, base: Bundle) -> None:
    """The UNet knows the CLIP and the latents that it has learnt with, and no others; how latents are decoded
    is no concern of its.
    """
    for part, mark in (("clip", manifest.sha256_file), ("vae", autoencoder.encoder_mark)):
        (weights,) = parts.part_folder(work, part).glob("*.safetensors")
        if mark(weights) != mark(base.weights(part)):
            raise ModelRefused(
                f"The UNet has learnt with another {part.upper()} than that of {base.title}; "
                "leave --base out, or train with its parts."
            )
