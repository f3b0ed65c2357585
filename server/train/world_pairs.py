# SPDX-License-Identifier: GPL-3.0-or-later
"""The synthetic world as pairs for the mapper: from the cached features of the shots that have pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...addon.wire.errors import BadInput, ModelMissing
from ..models.bundle import SpaceId
from ..models.manifest import sha256_file
from . import features
from .pairs import HELD_OUT, Pairs, Row, pairs_of
from .parts import part_folder

TRAIN = "train"


def world_pairs(work: Path, split: str, *, made: bool = False) -> Pairs:
    """The shots of a split that can be seen. ``made``: the features are there and are not made anew.

    Raises BadInput when the world has none, ModelMissing when CLIP or CLAP is not trained yet.
    """
    clip_space, clap_space = space_of(work, "clip"), space_of(work, "clap")
    if not made:
        features.make(work, (split,), ("clap", "clip"))
    found = features.load(work, split, ("clap", "clip"))
    seen, numbers = grouped(found.pictures, found.start)
    if not len(numbers):
        raise BadInput(
            f"The world in {work} has no shots with pictures; make some with: footfall train world"
        )
    side = TRAIN if split == TRAIN else HELD_OUT
    rows = [Row(file=found.keys[number], label=found.families[number], split=side) for number in numbers]
    return pairs_of(seen, found.sounds[torch.from_numpy(numbers)], rows, clip_space, clap_space)


def grouped(pictures: Tensor, start: Tensor) -> tuple[Tensor, np.ndarray]:
    """(M, F, C) frames of the shots that have any, and (M,) which shots those are.

    pictures: (all frames, C); start: (N + 1,) first frame of each shot. Where a shot has fewer frames than
    the others, they stand for as long as they would on a screen.
    """
    first = start.numpy().astype(np.int64)
    counts = np.diff(first)
    numbers = np.flatnonzero(counts)
    most = int(counts.max(initial=0))
    places = first[numbers, None] + np.arange(most) * counts[numbers, None] // max(most, 1)
    return pictures[torch.from_numpy(places)], numbers


def space_of(work: Path, part: str) -> SpaceId:
    """The space that a finished part spans, as the sealed bundle will name it. Raises ModelMissing."""
    weights = sorted(part_folder(work, part).glob("*.safetensors"))
    if len(weights) != 1:
        raise ModelMissing(
            f"There is no finished {part} in {work}; train it first with: footfall train {part}"
        )
    return SpaceId(name=f"Footfall starter {part.upper()}", sha256=sha256_file(weights[0]))
