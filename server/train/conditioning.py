# SPDX-License-Identifier: GPL-3.0-or-later
"""What AudioLDM's UNet is told about a sound while it learns: three sources of conditions.

``clap``: the CLAP row of the sound or of its words (AudioLDM, Liu et al. 2023). ``clip``: the CLIP row of one
frame of its shot, drawn anew each time, and no words at all (CLIPSonic, Dong et al. 2023, arXiv:2306.09635).
``clip_text``: the CLIP row of the words of its shot, the labelled training that CLIPSonic is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from . import features
from .features import Features
from .synth.families import FAMILIES

CONDITIONS = ("clap", "clip", "clip_text")
KINDS = {  # of features that a source reads; no captions are in those of "clip"
    "clap": ("latents", "clap"),
    "clip": ("latents", "clip"),
    "clip_text": ("latents", "clip", "clap"),
}
KIN = 8  # shots that are most alike: what a longer sound goes on with


class Source(Protocol):
    """``shots``: which can be learnt from. ``kin``: shot -> shots that may follow it in a longer sound.
    ``steady``: which sound the same all through. ``empty``: (D,) the condition that says nothing.
    """

    name: str
    shots: list[int]
    kin: dict[int, list[int]]
    steady: frozenset[int]
    empty: Tensor

    def known(self) -> Tensor:
        """(N, D) rows as they come in training, for the scale of the network's projection."""

    def row(self, shots: Sequence[int], draw: np.random.Generator) -> Tensor:
        """(D,) what a sound made of ``shots`` is told to be; any length."""


class Heard:
    """Half of the time the mean row of the sounds, half of the time one caption of the first."""

    name = "clap"

    def __init__(self, data: Features) -> None:
        self._data = data
        self.shots = list(range(len(data)))
        self.kin = alike(data.sounds, data.families, KIN)
        self.steady = steady(data.families)
        self.empty = data.empty.float()

    def known(self) -> Tensor:
        return torch.cat([self._data.sounds, self._data.texts])

    def row(self, shots: Sequence[int], draw: np.random.Generator) -> Tensor:
        if draw.random() < 0.5:
            return self._data.sounds[list(shots)].float().mean(0)
        return self._data.texts[int(draw.choice(self._data.captions[shots[0]]))].float()


class Seen:
    """One frame of each shot. Nothing that is read here was ever said: shots that may follow each other are
    those that look alike, and none is known to be steady.
    """

    name = "clip"

    def __init__(self, pictures: Tensor, start: Tensor) -> None:
        """``pictures``: (F, D) CLIP rows; shot ``i`` has those from ``start[i]`` to ``start[i + 1]``."""
        self._start = start.tolist()
        self._pictures = normalize(pictures.float(), dim=-1)
        pairs = zip(self._start, self._start[1:], strict=False)
        self.shots = [shot for shot, (first, stop) in enumerate(pairs) if stop > first]
        means = [self._pictures[self._start[shot] : self._start[shot + 1]].mean(0) for shot in self.shots]
        self.kin = neighbours(normalize(torch.stack(means), dim=-1), self.shots, KIN)
        self.steady: frozenset[int] = frozenset()
        self.empty = torch.zeros(pictures.shape[1])

    def known(self) -> Tensor:
        return self._pictures

    def row(self, shots: Sequence[int], draw: np.random.Generator) -> Tensor:
        frames = [int(draw.integers(self._start[shot], self._start[shot + 1])) for shot in shots]
        return self._pictures[frames].mean(0)


class Told(Seen):
    """One caption of the shot; everything else as where a frame is seen, so that the two can be compared."""

    name = "clip_text"

    def __init__(self, data: Features, texts: Tensor) -> None:
        """``texts``: (U, D) CLIP rows of ``data.words``."""
        super().__init__(data.pictures, data.start)
        self._texts, self._captions = normalize(texts.float(), dim=-1), data.captions

    def known(self) -> Tensor:
        return self._texts

    def row(self, shots: Sequence[int], draw: np.random.Generator) -> Tensor:
        return self._texts[int(draw.choice(self._captions[shots[0]]))]


def load_source(work: Path, condition: str) -> tuple[Features, Source]:
    """The latents to learn, and what is told of them. Makes the features first, if missing or stale.

    Raises ModelMissing, BadInput.
    """
    kinds = KINDS[condition]
    features.make(work, ("train",), kinds)
    data = features.load(work, "train", kinds)
    if condition == "clap":
        return data, Heard(data)
    if condition == "clip":
        return data, Seen(data.pictures, data.start)
    return data, Told(data, features.clip_texts(work, data.words))


def steady(families: Sequence[str]) -> frozenset[int]:
    """Which shots sound the same all the way through."""
    kinds = {family.name: family.kind for family in FAMILIES}
    return frozenset(shot for shot, name in enumerate(families) if kinds.get(name) == "steady")


def alike(rows: Tensor, families: Sequence[str], count: int) -> dict[int, list[int]]:
    """For each shot the ``count`` shots of its family whose rows are the nearest, itself among them."""
    members: dict[str, list[int]] = {}
    for shot, family in enumerate(families):
        members.setdefault(family, []).append(shot)
    found: dict[int, list[int]] = {}
    for shots in members.values():
        found |= neighbours(rows.float()[shots], shots, count)
    return found


def neighbours(rows: Tensor, shots: Sequence[int], count: int) -> dict[int, list[int]]:
    """For each of ``shots``, whose rows are ``rows``, the ``count`` nearest of them."""
    nearest = (rows @ rows.T).topk(min(count, len(shots)), dim=1).indices
    return {
        shot: [shots[other] for other in others] for shot, others in zip(shots, nearest.tolist(), strict=True)
    }
