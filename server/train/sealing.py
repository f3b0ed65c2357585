# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished parts of a training's folder put together as a bundle that anybody can choose."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ...addon.wire.errors import ModelError, ModelMissing
from ..models import manifest
from ..models.bundle import Bundle, open_bundle
from ..models.bundle_parts import CONFIGS, EMBEDDER, PARTS, PICTURE_CONFIGS, TEXT_PRIOR
from . import decoder, parts
from .loop import PART

MAPPERS = ("regression", "generative")
SCHEDULE = CONFIGS["scheduler"]


def seal(
    sources: Mapping[str, Path], said: manifest.Manifest, target: Path, most_bytes: int | None = None
) -> Bundle:
    """Writes the bundle into ``target``, which is replaced. ``sources``: part -> the folder it lies in.

    Raises ModelError when it has more than ``most_bytes`` or cannot be written.
    """
    fresh = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for part, source in sources.items():
            _copy(source, fresh / part, schedule=part.endswith("scheduler"))
        manifest.seal(fresh, said)
        size = open_bundle(fresh).size_bytes
        if most_bytes is not None and size > most_bytes:
            raise ModelError(f"The {said.name} has {size:,} bytes; at most {most_bytes:,} may ship.")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise ModelError(
            f"The {said.name} could not be written to {target}; is the disk full?", str(error)
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return open_bundle(target)


def _copy(source: Path, target: Path, *, schedule: bool) -> None:
    """A UNet and its schedule come out of one training, and are two parts of a bundle."""
    for path in manifest.files_below(source):
        if (path == SCHEDULE) == schedule:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, target / path)  # who may read it is for the umask


def sound_parts(work: Path, unet: str = "audioldm") -> dict[str, Path]:
    """What makes sound, with the UNet of the training ``unet``, and the prior from words to pictures if there
    is one. Raises ModelMissing.
    """
    names = {part: parts.TRAINING.get(part, part) for part in PARTS} | dict.fromkeys(
        ("unet", "scheduler"), unet
    )
    found = {part: work / name / PART for part, name in names.items()}
    if decoder.fits(work):
        found["vae"] = work / decoder.NAME / PART
    for part, folder in found.items():
        if not (folder / CONFIGS[part]).is_file():
            raise ModelMissing(
                f"There is no finished {part} in {folder}; train it first with: footfall train {names[part]}"
            )
    prior = work / "prior" / PART
    return found | ({TEXT_PRIOR: prior} if (prior / "config.json").is_file() else {})


def picture_parts(work: Path) -> dict[str, Path]:
    """What makes pictures, and of sounds, as far as it was trained."""
    found = {part: parts.part_folder(work, part) for part in PICTURE_CONFIGS}
    if not all((folder / PICTURE_CONFIGS[part]).is_file() for part, folder in found.items()):
        return {}
    embedder = parts.part_folder(work, EMBEDDER)
    return found | ({EMBEDDER: embedder} if (embedder / "config.json").is_file() else {})


def mappers(work: Path) -> dict[str, Path]:
    """Those that were trained."""
    found = {f"mappers/{kind}": work / f"mapper-{kind}" / PART for kind in MAPPERS}
    return {part: folder for part, folder in found.items() if (folder / "config.json").is_file()}
