# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter bundle out of its trained parts: what ``footfall train starter`` writes at the end.

Everything in it was learnt from pictures and sounds that ``server/train/synth`` makes, so nobody else has a
right in it.
"""

from __future__ import annotations

from pathlib import Path

from ..models import manifest
from ..models.bundle import Bundle
from . import sealing
from .audioldm import SAMPLING
from .starter_layout import VIEWS

NAME = "starter"
TITLE = "Starter"
LICENCE = "CC0-1.0"
NOTE = (
    "A small model that ships with Footfall, trained only on pictures and sounds that Footfall makes itself. "
    "It knows about 46 kinds of sound; its README.md says what it cannot do."
)
MOST_BYTES = 55_000_000


def assemble(work: Path, target: Path) -> Bundle:
    """Writes the bundle into ``target``, which is replaced; its card comes later, from ``card.py``.

    Raises ModelMissing for a part that is not trained, ModelError when it does not fit or cannot be written.
    """
    sources = sealing.sound_parts(work) | sealing.mappers(work) | sealing.picture_parts(work)
    return sealing.seal(sources, manifest_of(), target, MOST_BYTES)


def manifest_of() -> manifest.Manifest:
    """What its ``bundle.toml`` says, but for the files."""
    return manifest.Manifest(
        name=NAME,
        title=TITLE,
        licence=LICENCE,
        commercial=True,
        sampling_rate=16_000,
        clip="Footfall starter CLIP",
        clap="Footfall starter CLAP",
        note=NOTE,
        sampling=SAMPLING,
        views=VIEWS,
    )
