# SPDX-License-Identifier: GPL-3.0-or-later
"""What both towers share: words of shots as batches, who is whose kin, and the loss that draws kin together.

Symmetric InfoNCE (Radford et al., ICML 2021) with soft targets: in a batch many pairs are of one family, and
a caption of one is often true of another, so such pairs share the target instead of being pushed apart.
Beside it, small heads that are not kept with the part name family, object, material and ground from an
embedding and tell its numbers, so that embeddings keep what the captions leave out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, smooth_l1_loss

from ..models import captions
from . import vocabulary
from .synth.families import FAMILIES

if TYPE_CHECKING:
    from ..models.tokens import Tokens
    from .kept import Described

# What is named, and the names; 0 stands for: has none.
KINDS: dict[str, tuple[str, ...]] = {
    "family": vocabulary.names(),
    "object": tuple(sorted({thing for family in FAMILIES for thing in family.objects})),
    "material": tuple(sorted({stuff for family in FAMILIES for stuff in family.materials})),
    "ground": tuple(sorted({ground for family in FAMILIES for ground in family.grounds})),
}
NUMBERS = ("size", "speed", "intensity", "distance", "count", "every")
_SCALE = {"count": 0.1}  # brings all to about 0..1
SAME_FAMILY, SAME_THING, SAME_WORDS = 0.15, 0.35, 0.5  # a pair's share of the target, added up; itself: 1
BANK_SHARE = 0.15  # of the texts are lines of the caption bank, where the family has some
LEFT_OUT = 0.08  # of the tokens, in a third of the texts
LARGEST_SCALE = math.log(100.0)
_ROUND = 4  # texts of a batch are padded to a multiple of this


class Words:
    """The captions of shots, and of the bank, as token ids.

    A text that is drawn for shot ``i`` is one of its captions, or now and then a line of the bank that tells
    of its family. Lines of the bank that tell of no family, and the empty text, answer to nothing
    (``others``).
    """

    def __init__(self, shots: Sequence[Described], tokens: Tokens) -> None:
        bank = vocabulary.bank_families()
        lines = list(captions.captions())
        strangers = ["", *(line for line in lines if line not in bank)]
        texts: dict[str, int] = {}
        for text in (*strangers, *lines, *(caption for shot in shots for caption in shot.captions)):
            texts.setdefault(text, len(texts))
        ids, mask = tokens(list(texts))
        self._ids, self._lengths = ids, mask.sum(1)
        self._own = [[texts[caption] for caption in shot.captions] for shot in shots]
        of_family: dict[str, list[int]] = {}
        for line, family in bank.items():
            of_family.setdefault(family, []).append(texts[line])
        self._bank = [of_family.get(shot.family, []) for shot in shots]
        self._strangers = np.array([texts[text] for text in strangers])

    def draw(self, chosen: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of texts for the shots ``chosen`` (B,), and whether each is the shot's own (B,) bool."""
        numbers, own = [], []
        for shot in chosen:
            bank = self._bank[shot]
            own.append(not bank or draw.random() >= BANK_SHARE)
            source = self._own[shot] if own[-1] else bank
            numbers.append(source[draw.integers(len(source))])
        return np.array(numbers), np.array(own)

    def others(self, count: int, draw: np.random.Generator) -> np.ndarray:
        """Numbers of ``count`` texts that answer to nothing, the empty one first."""
        return np.concatenate([self._strangers[:1], draw.choice(self._strangers[1:], count - 1)])

    def first(self, chosen: np.ndarray) -> np.ndarray:
        """Numbers of the plainest captions of the shots ``chosen``."""
        return np.array([self._own[shot][0] for shot in chosen])

    def rows(
        self, numbers: np.ndarray, draw: np.random.Generator | None = None, width: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Token ids (N, L) and lengths (N,) of texts. ``draw``: some tokens inside are left out.

        L is ``width`` at least, so that rows of two draws can be laid together.
        """
        lengths = self._lengths[numbers].copy()
        ids = np.zeros((len(numbers), max(width, _padded(int(lengths.max())))), np.int64)
        for row, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
            text = self._ids[number, :length]
            if draw is not None and length > 4 and draw.random() < 1 / 3:
                stays = draw.random(length) >= LEFT_OUT
                stays[[0, -1]] = True
                text = text[stays]
            ids[row, : len(text)] = text
            lengths[row] = len(text)
        return torch.from_numpy(ids), torch.from_numpy(lengths)


def _padded(length: int) -> int:
    return -(-length // _ROUND) * _ROUND


def codes_of(shots: Sequence[Described]) -> np.ndarray:
    """(N, len(KINDS)) int64: what each shot is called, by kind; 0 where it has no such name."""
    found = np.zeros((len(shots), len(KINDS)), np.int64)
    places = [{name: place for place, name in enumerate(names, 1)} for names in KINDS.values()]
    for row, shot in enumerate(shots):
        said: Mapping[str, Any] = {**shot.parameters, "family": shot.family}
        found[row] = [place.get(str(said.get(kind)), 0) for kind, place in zip(KINDS, places, strict=True)]
    return found


def numbers_of(shots: Sequence[Described]) -> np.ndarray:
    """(N, len(NUMBERS)) float32: the shots' numbers, of about 0..1; NaN where a shot has none."""
    return np.array(
        [
            [float(shot.parameters.get(name, math.nan)) * _SCALE.get(name, 1.0) for name in NUMBERS]
            for shot in shots
        ],
        np.float32,
    )


def targets(codes: Tensor, own: Tensor, ids: Tensor, others: int) -> Tensor:
    """(B, B + others): how far text ``j`` is true of shot ``i``, 0 to 1.

    codes: (B, K); own: (B,) bool, whether text ``j`` is a caption of shot ``j`` itself; ids: (B, L).
    """
    family = codes[:, None, 0] == codes[None, :, 0]
    things = (codes[:, None, 1:] == codes[None, :, 1:]).all(-1) & own[None, :]
    words = (ids[:, None] == ids[None, :]).all(-1)
    share = SAME_FAMILY * family + SAME_THING * (family & things) + SAME_WORDS * (family & words)
    share = torch.where(family & ~own[None, :], 0.5, share)  # a line of the bank is as true of all of them
    diagonal = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    share = torch.where(diagonal, torch.where(own, 1.0, 0.5)[None, :], share)
    return torch.nn.functional.pad(share, (0, others))


def contrast(shots: Tensor, texts: Tensor, wanted: Tensor, scale: Tensor) -> Tensor:
    """Mean of both directions. shots: (B, D), texts: (B + E, D), unit rows; wanted: (B, B + E); scale: ()."""
    logits = scale * shots @ texts.T
    count = len(shots)
    to_texts = cross_entropy(logits, wanted / wanted.sum(-1, keepdim=True))
    back = wanted[:, :count].T
    to_shots = cross_entropy(logits[:, :count].T, back / back.sum(-1, keepdim=True))
    return (to_texts + to_shots) / 2


class Heads(nn.Module):
    """Names and numbers from embeddings; trained beside a tower and not kept with it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.names = nn.ModuleDict({kind: nn.Linear(size, 1 + len(names)) for kind, names in KINDS.items()})
        self.numbers = nn.Linear(size, len(NUMBERS))

    def forward(self, rows: Tensor, codes: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of unit rows (N, D), and which families were named right, (N,) bool."""
        scaled = rows * rows.shape[-1] ** 0.5
        loss = torch.zeros((), device=rows.device)
        right = codes[:, 0] < 0
        for column, (kind, head) in enumerate(self.names.items()):
            logits = head(scaled).float()
            loss = loss + cross_entropy(logits, codes[:, column], label_smoothing=0.05) / len(KINDS)
            if kind == "family":
                right = logits.argmax(-1) == codes[:, column]
        known = numbers.isfinite()
        guess = self.numbers(scaled).float()
        far = smooth_l1_loss(guess, numbers.nan_to_num(0.0), reduction="none", beta=0.1)
        return loss + (far * known).sum() / known.sum().clamp_min(1), right


@torch.no_grad()
def held_out_right(shots: Tensor, texts: Tensor, families: Tensor) -> dict[str, Tensor]:
    """How well the texts of held-out shots are found: unit rows (N, D) twice, families (N,).

    ``family``: how often the nearest family, as the mean of its texts, is the right one. ``at10``: how often
    the shot's own text is among the ten nearest.
    """
    known = torch.unique(families)
    means = torch.stack([texts[families == one].mean(0) for one in known])
    named = known[(shots @ normalize(means, dim=-1).T).argmax(-1)]
    cosines = shots @ texts.T
    rank = (cosines > cosines.diagonal()[:, None]).sum(-1)
    return {"family": (named == families).float().mean(), "at10": (rank < 10).float().mean()}


def shuffled(count: int, size: int, step: int, seed: int) -> np.ndarray:
    """The shots of batch ``step``: ``size`` of ``count``, each once before any comes again."""
    place = step * size
    found: list[int] = []
    while len(found) < size:
        order = np.random.default_rng([seed, place // count]).permutation(count)
        piece = order[place % count :][: size - len(found)]
        found.extend(piece)
        place += len(piece)
    return np.array(found)
