# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared where pictures are made of sounds: AudioToken, and simpler ways to tell the painter.

All but the reference points are pictures of one painter. ``text label`` knows the shot's family, ``its own
words`` a caption of the shot: they are upper lines, which no sound can reach by itself. ``nearest caption``
says what CLAP thinks is heard, ``direct mapping`` leads from CLAP's row of the sound straight to what CLIP's
text tower would have made of words.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from ..models.audiotoken import PROMPT, AudioToken
from ..models.painter import STEPS
from ..sampling.noise import seed_of
from ..train import mel
from ..train.features import Features
from .linear import ridge
from .shots import Item

if TYPE_CHECKING:
    from ..models.painter import Painter

AUDIOTOKEN = "AudioToken"
LABEL = "text label"
OWN = "its own words"
CAPTION = "nearest caption"
DIRECT = "direct mapping (ridge)"
SYSTEMS = (AUDIOTOKEN, LABEL, OWN, CAPTION, DIRECT)
AT_ONCE = 8  # pictures in one pass
FIT = 2000  # pairs that the direct mapping is fitted on
FIT_NUMBERS = 40_000_000  # in their states at most, for the memory's sake
READ = 64  # prompts in one pass

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """How the painter is used. 0: as it wants."""

    seed: int = 0
    steps: int = 0
    guidance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What can be said to the painter about shots. rows: (N, D) CLAP's of their sounds; known: what there is
    of the training split.
    """

    items: Sequence[Item]
    painter: Painter
    embedder: AudioToken
    rows: np.ndarray
    known: Features

    def conditions(self, system: str) -> Tensor:
        """(N, L, W) for the painter."""
        if system == AUDIOTOKEN:
            return self._heard()
        if system == DIRECT:
            return self._straight()
        return read(self.painter, self.prompts(system))

    def prompts(self, system: str) -> list[str]:
        """What a system that uses words says of each shot."""
        if system == OWN:
            return [item.shot.captions[0] for item in self.items]
        if system == LABEL:
            labels = family_words(self.known)
            return [labels[item.shot.family] for item in self.items]
        near = normalize(torch.from_numpy(self.rows).float(), dim=-1) @ self.known.texts.float().T
        return [self.known.words[index] for index in near.argmax(1).tolist()]

    def _heard(self) -> Tensor:
        found = []
        for start in range(0, len(self.items), READ):
            some = self.items[start : start + READ]
            tokens = self.embedder.tokens([item.sound for item in some], mel.RATE_HZ)
            with torch.inference_mode():
                found.append(self.painter.read([PROMPT] * len(some), tokens))
        return torch.cat(found)

    def _straight(self) -> Tensor:
        data = self.known
        most = min(FIT, FIT_NUMBERS // read(self.painter, [""]).numel())
        shots = [shot for shot, (a, b) in enumerate(_frames(data)) if b > a and data.captions[shot]][:most]
        states = read(self.painter, [data.words[data.captions[shot][0]] for shot in shots])
        line = ridge(data.sounds[shots].double().numpy(), states.flatten(1).double().cpu().numpy())
        found = torch.from_numpy(line(self.rows)).to(states)
        return found.unflatten(1, states.shape[1:])


def _frames(data: Features) -> list[tuple[int, int]]:
    start = data.start.tolist()
    return list(itertools.pairwise(start))


def family_words(data: Features) -> dict[str, str]:
    """Family -> the caption that most of its shots have; of those the shortest."""
    counts: dict[str, Counter[str]] = {}
    for family, captions in zip(data.families, data.captions, strict=True):
        counts.setdefault(family, Counter()).update(data.words[index] for index in captions)
    return {
        family: min(words, key=lambda text: (-words[text], len(text), text))
        for family, words in counts.items()
    }


def read(painter: Painter, prompts: Sequence[str]) -> Tensor:
    """(N, L, W), every different prompt read once."""
    different = sorted(set(prompts))
    with torch.inference_mode():
        found = [painter.read(different[i : i + READ]) for i in range(0, len(different), READ)]
    rows = torch.cat(found)
    return rows[[different.index(prompt) for prompt in prompts]]


def paint(painter: Painter, conditions: Tensor, how: Painting, tick: Tick) -> np.ndarray:
    """(N, L, W) -> (N, H, W, 3) uint8. ``tick`` after each picture; it may raise to stop.

    Each group of pictures has noise of its own, the same for all systems. Neighbours, which are of a family,
    are never in one group, so that noise alone makes their pictures no more alike.
    """
    steps, guidance = how.steps or STEPS, how.guidance or None
    groups = -(-len(conditions) // AT_ONCE)
    made = np.zeros((len(conditions), painter.size, painter.size, 3), np.uint8)
    for first in range(groups):
        seed = seed_of(how.seed, "picture", first) % 2**31
        group = painter.paint(conditions[first::groups], seed=seed, steps=steps, guidance=guidance)
        made[first::groups] = group[:, 0]
        for _ in range(len(conditions[first::groups])):
            tick()
    return made


def at_size(frames: np.ndarray, size: int) -> np.ndarray:
    """(T, H, W, 3) uint8 -> as a painter of ``size`` pixels would show them; never enlarged."""
    height, width = frames.shape[1:3]
    if not len(frames) or min(height, width) <= size:
        return frames
    target = (size * height // min(height, width), size * width // min(height, width))
    rows = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    small = interpolate(rows, target, mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
