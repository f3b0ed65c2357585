# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished mapper or prior into a bundle that is there already, listed and hashed in its bundle.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...addon.wire.errors import ModelRefused
from ..models import manifest
from ..models.bundle import STARTER_ROOT, Bundle, SpaceId, open_bundle
from ..models.bundle_parts import TEXT_PRIOR
from .checkpoints import full_disk


def check_fits(root: Path, clip: SpaceId, clap: SpaceId) -> None:
    """Raises ModelRefused if a mapper between these spaces is not one for the bundle at ``root``."""
    bundle = open_bundle(root)
    if (bundle.clip_space.sha256, bundle.clap_space.sha256) != (clip.sha256, clap.sha256):
        raise ModelRefused(
            f"The pairs were made with another CLIP or CLAP than those of {bundle.title}; "
            "embed the videos with that model, or leave out --into."
        )


def check_clip(root: Path, clip: SpaceId) -> None:
    """Raises ModelRefused if a prior for ``clip`` is not one for the bundle at ``root``."""
    bundle = open_bundle(root)
    if bundle.clip_space.sha256 != clip.sha256:
        raise ModelRefused(
            f"This prior is for another CLIP ({clip.name[:60]}) than the one in {bundle.title} "
            f"({bundle.clip_space.name}); choose a model with that CLIP."
        )


def add_prior(source: Bundle, root: Path) -> None:
    """The prior from words to pictures of one bundle into the one at ``root``, if it has the same CLIP.

    Raises ModelMissing, ModelRefused, SaveError.
    """
    part = source.part(TEXT_PRIOR)
    if root.resolve() == STARTER_ROOT:
        raise ModelRefused(
            "The starter is a part of the program and stays as it is; copy its folder, and add to the copy."
        )
    said = source.json(f"{TEXT_PRIOR}/config.json").get("clip")
    plain = said if isinstance(said, dict) else {}
    check_clip(root, SpaceId(name=str(plain.get("name", "unnamed")), sha256=str(plain.get("sha256", ""))))
    source.check(*(path for path in source.files if path.startswith(f"{TEXT_PRIOR}/")))
    put_into(root, part, TEXT_PRIOR)


def put_into(root: Path, part: Path, where: str) -> None:
    """Copies ``part`` to the folder ``where`` (as ``mappers/regression``) of the bundle at ``root``; an older
    one is replaced. Raises SaveError.
    """
    final = root / where
    fresh = final.with_name(f".{final.name}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(part, fresh, copy_function=shutil.copyfile)  # who may read it: the umask
        shutil.rmtree(final, ignore_errors=True)
        fresh.rename(final)
        manifest.add_folder(root, where)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise full_disk(final, error, "What was to be put there is whole.") from error
