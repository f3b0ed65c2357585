# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter bundle out of its trained parts: what ``footfall train starter`` writes at the end.

Everything in it was learnt from pictures and sounds that ``server/train/synth`` makes, so nobody else has a
right in it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ...addon.wire.errors import ModelError
from ..models import manifest
from ..models.bundle import CONFIGS, Bundle, open_bundle
from . import parts
from .audioldm import SAMPLING
from .loop import PART

NAME = "starter"
TITLE = "Starter"
LICENCE = "CC0-1.0"
NOTE = (
    "A small model that ships with Footfall, trained only on pictures and sounds that Footfall makes itself. "
    "It knows about 46 kinds of sound; its README.md says what it cannot do."
)
MAPPERS = ("regression", "generative")
MOST_BYTES = 40_000_000


def assemble(work: Path, target: Path) -> Bundle:
    """Writes the bundle into ``target``, which is replaced; its card comes later, from ``card.py``.

    Raises ModelMissing for a part that is not trained, ModelError when it does not fit or cannot be written.
    """
    fresh = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        _copy_parts(work, fresh)
        manifest.seal(fresh, _manifest())
        bundle = open_bundle(fresh)
        if bundle.size_bytes > MOST_BYTES:
            raise ModelError(f"The starter has {bundle.size_bytes:,} bytes; at most {MOST_BYTES:,} may ship.")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise ModelError(
            f"The starter could not be written to {target}; is the disk full?", str(error)
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return open_bundle(target)


def _copy_parts(work: Path, root: Path) -> None:
    for part in CONFIGS:
        if part == "text_encoder":
            continue
        source = parts.part_folder(work, part)
        parts.fingerprint(work, part)  # raises where it is missing
        (root / part).mkdir(parents=True)
        for path in manifest.files_below(source):
            if (path == CONFIGS["scheduler"]) == (part == "scheduler"):  # UNet and schedule share a training
                shutil.copy2(source / path, root / part / path)
    for kind in MAPPERS:
        source = work / f"mapper-{kind}" / PART
        if (source / "config.json").is_file():
            shutil.copytree(source, root / "mappers" / kind)


def _manifest() -> manifest.Manifest:
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
    )
