# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished parts of a training's folder: written, and opened the way the worker opens a bundle.

A part lies in ``WORK/NAME/part``, a bundle wants them side by side; so they are copied, small as they are,
into one folder and described there. Nothing is sealed: what stands here is no bundle that anybody could
choose.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...addon.wire.errors import ModelMissing
from ..models import bundle_parts, manifest
from ..models.bundle import Bundle, SpaceId
from ..models.weights import save_weights
from .starter_layout import VIEWS

CONFIGS = bundle_parts.CONFIGS | bundle_parts.PICTURE_CONFIGS | {bundle_parts.EMBEDDER: "config.json"}
TRAINING = {  # part -> training, where the names differ
    "unet": "audioldm",
    "scheduler": "audioldm",
    "pictures/vae": "picture-vae",
    "pictures/unet": "painter",
    "pictures/scheduler": "painter",
    "pictures/text_encoder": "painter",
    "pictures/tokenizer": "painter",
    "pictures/embedder": "audiotoken",
}
_WITHIN = "painter"  # its training makes several parts, each in a folder of its own
WEIGHTS, DIFFUSERS_WEIGHTS = "model.safetensors", "diffusion_pytorch_model.safetensors"
_SHOWN = 12  # hex digits of a hash that tells two parts apart in a file's name


def part_folder(work: Path, part: str) -> Path:
    """Where a training leaves the finished ``part`` of a bundle."""
    training = TRAINING.get(part, part)
    folder = work / training / "part"
    return folder / part.rpartition("/")[2] if training == _WITHIN else folder


def finished(work: Path, part: str) -> bool:
    """Whether ``part`` was trained and written."""
    return (part_folder(work, part) / CONFIGS[part]).is_file()


def fingerprint(work: Path, part: str) -> str:
    """A short hash over every file of a finished part: another one means other weights.

    Raises ModelMissing.
    """
    folder = part_folder(work, part)
    if not finished(work, part):
        raise ModelMissing(
            f"There is no finished {part} in {folder}; "
            f"train it first with: footfall train {TRAINING.get(part, part)}"
        )
    digest = hashlib.sha256()
    for path in manifest.files_below(folder):
        digest.update(f"{path}\0{manifest.sha256_file(folder / path)}\0".encode())
    return digest.hexdigest()[:_SHOWN]


def assemble(work: Path, parts: Mapping[str, Path] | tuple[str, ...], root: Path) -> Bundle:
    """The finished ``parts`` copied side by side into the new folder ``root``, opened as a bundle of those.

    ``parts``: names, or name -> the folder to take instead of ``part_folder``. Raises ModelMissing.
    """
    sources = dict(parts) if isinstance(parts, Mapping) else {part: part_folder(work, part) for part in parts}
    for part, source in sources.items():
        if not (source / CONFIGS[part]).is_file():
            raise ModelMissing(
                f"There is no finished {part} in {source}; "
                f"train it first with: footfall train {TRAINING.get(part, part)}"
            )
        shutil.copytree(source, root / part, ignore=shutil.ignore_patterns(".*", "_*"), dirs_exist_ok=True)
    return opened(root)


def write(
    folder: Path,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    weights: str = WEIGHTS,
    dtype: torch.dtype = torch.float16,
) -> None:
    """A finished part as a bundle lays it out, in a folder that may be new: ``config.json`` and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    plain = {name: value.detach().to("cpu", dtype).contiguous() for name, value in state.items()}
    save_weights(plain, folder / weights, {"format": "pt"})


def opened(root: Path) -> Bundle:
    """What stands in ``root``, as a bundle."""
    return Bundle(
        name="training",
        title="in training",
        root=root,
        licence="",
        commercial=True,
        random=False,
        note="",
        sha256="",
        sampling_rate=16_000,
        clip_space=SpaceId(name="", sha256=""),
        clap_space=SpaceId(name="", sha256=""),
        files=manifest.describe(root, manifest.files_below(root)),
        views=VIEWS,
    )
