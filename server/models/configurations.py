# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of each public bundle, which are this project's own and are never pulled."""

from __future__ import annotations

from collections.abc import Mapping

from . import layouts, prior_layout, sd_layout
from .bundle_parts import CONFIGS, TEXT_PRIOR
from .layouts import Config
from .manifest import FileEntry
from .registry import Row

_CLIP_WEIGHTS = "clip/open_clip_model.safetensors"


def of_row(row: Row, entries: Mapping[str, FileEntry]) -> dict[str, Config]:
    """Path in the bundle -> JSON. ``entries``: the pulled files, by which a prior names its CLIP.

    Raises KeyError for a row that has no layout.
    """
    if row.name in prior_layout.NAMES:
        plan = prior_layout.prior_layout(row.name)
        space = {"name": row.clip, "sha256": entries[_CLIP_WEIGHTS].sha256}
        return {
            f"clip/{CONFIGS['clip']}": plan.clip,
            f"{TEXT_PRIOR}/config.json": {**plan.prior, "clip": space},
        }
    if row.name in sd_layout.NAMES:
        return sd_layout.sd_layout(row.name)
    sound = layouts.layout(row.name)
    return {f"{part}/{file}": getattr(sound, part) for part, file in CONFIGS.items()}
