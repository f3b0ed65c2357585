# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished mapper into a bundle that is already there, listed and hashed in its ``bundle.toml``."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...addon.wire.errors import ModelRefused
from ..models import manifest
from ..models.bundle import SpaceId, open_bundle
from .checkpoints import full_disk


def check_fits(root: Path, clip: SpaceId, clap: SpaceId) -> None:
    """Raises ModelRefused if a mapper between these spaces is not one for the bundle at ``root``."""
    bundle = open_bundle(root)
    if (bundle.clip_space.sha256, bundle.clap_space.sha256) != (clip.sha256, clap.sha256):
        raise ModelRefused(
            f"The pairs were made with another CLIP or CLAP than those of {bundle.title}; "
            "embed the videos with that model, or leave out --into."
        )


def put_into(root: Path, part: Path, kind: str) -> None:
    """Copies ``part`` to ``mappers/KIND`` of the bundle at ``root``; an older one is replaced. Raises
    SaveError.
    """
    final = root / "mappers" / kind
    fresh = final.with_name(f".{kind}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(part, fresh)
        shutil.rmtree(final, ignore_errors=True)
        fresh.rename(final)
        manifest.add_folder(root, f"mappers/{kind}")
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise full_disk(final, error, "The training's state is whole.") from error
