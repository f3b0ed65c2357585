# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of one sound by itself: the judge's verdict, CLAP's row, plain statistics, onsets.

One pair of ears hears every system of a run, so that their figures can be compared: the judge, and CLIP and
CLAP of one bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..models.captions import HEARD_TEMPERATURE
from ..models.loaded import Models
from ..sound import finishing
from ..train import mel
from ..train.judge import Judge, Verdicts
from . import statistics, timing
from .metrics import unit
from .shots import Item

SOUNDS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What the ears make of N sounds. clap: (N, 512) unit rows, or (N, 0) without a bundle to hear with;
    described: statistics at the common level; loudness: (N,) LUFS as made; silent: (N,) bool; onsets_s: N
    arrays of seconds.
    """

    verdicts: Verdicts
    clap: np.ndarray
    described: tuple[dict[str, float], ...]
    loudness: np.ndarray
    silent: np.ndarray
    onsets_s: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.silent)

    def take(self, numbers: Sequence[int] | np.ndarray) -> Hearing:
        """Some of them, in that order."""
        index = np.asarray(numbers, np.int64)
        return Hearing(
            verdicts=Verdicts(self.verdicts.probabilities[index], self.verdicts.embeddings[index]),
            clap=self.clap[index],
            described=tuple(self.described[i] for i in index),
            loudness=self.loudness[index],
            silent=self.silent[index],
            onsets_s=tuple(self.onsets_s[i] for i in index),
        )


@dataclass(slots=True)
class Ears:
    """``models``: the bundle whose CLIP and CLAP are asked; None: the judge alone."""

    judge: Judge
    models: Models | None
    _words: dict[tuple[str, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def listen(self, sounds: Sequence[np.ndarray], tick: Callable[[], None] = lambda: None) -> Hearing:
        """Sounds (samples,) float32 at 16 kHz; each is brought to the common level. ``tick`` for each."""
        levelled = [mel.level(sound) for sound in sounds]
        described, found = [], []
        for sound in levelled:
            described.append(statistics.describe(sound, mel.RATE_HZ))
            found.append(timing.onsets(sound, mel.RATE_HZ))
        rows = []
        for start in range(0, len(levelled), SOUNDS_AT_ONCE):
            group = levelled[start : start + SOUNDS_AT_ONCE]
            rows.append(self._clap(group))
            for _ in group:
                tick()
        return Hearing(
            verdicts=self.judge.hear(levelled),
            clap=np.concatenate(rows) if rows else np.zeros((0, 0)),
            described=tuple(described),
            loudness=np.array([finishing.loudness(sound[:, None], mel.RATE_HZ) for sound in sounds]),
            silent=np.array([statistics.is_silent(sound) for sound in sounds], bool),
            onsets_s=tuple(found),
        )

    def _clap(self, sounds: Sequence[np.ndarray]) -> np.ndarray:
        """One by one where lengths differ."""
        if self.models is None:
            return np.zeros((len(sounds), 0))
        groups = [np.stack(sounds)] if len({len(s) for s in sounds}) == 1 else [s[None] for s in sounds]
        rows = [self.models.clap.encode_audio(group, mel.RATE_HZ) for group in groups]
        return torch.cat(rows).double().numpy()

    def texts(self, items: Sequence[Item]) -> np.ndarray:
        """(N, 512) unit: the mean CLAP row of each shot's captions."""
        models = self._bundle()
        texts = sorted({caption for item in items for caption in item.shot.captions})
        rows = dict(zip(texts, models.clap.encode_text(texts).double().numpy(), strict=True))
        return unit(
            np.stack([np.mean([rows[text] for text in item.shot.captions], axis=0) for item in items])
        )

    def pictures(self, items: Sequence[Item]) -> np.ndarray:
        """(N, 512): the mean CLIP row of each shot's frames, as V2A-Mapper averages them."""
        models = self._bundle()
        return np.stack([models.clip.encode_images(item.frames).mean(0).double().numpy() for item in items])

    def seen_in(self, clap: np.ndarray, items: Sequence[Item]) -> np.ndarray:
        """(N, 512) unit CLIP rows of what sounds (N, 512) call to mind, through all words of the shots.

        The bridge mapper backwards: softmax over captions in CLAP's space, their mean in CLIP's. So one
        can be asked how well a sound fits a picture (CLIP score) without any network that was trained for it.
        """
        return called_to_mind(clap, *self._bank(items))

    def _bank(self, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
        models = self._bundle()
        texts = tuple(sorted({item.shot.captions[0] for item in items}))
        if texts not in self._words:
            seen, heard = models.clip.encode_text(texts), models.clap.encode_text(texts)
            self._words[texts] = (torch.nn.functional.normalize(seen.double(), dim=-1), heard.double())
        return self._words[texts]

    def _bundle(self) -> Models:
        if self.models is None:
            raise ValueError("these ears have no CLAP")
        return self.models


def called_to_mind(clap: np.ndarray, seen: Tensor, heard: Tensor) -> np.ndarray:
    """(N, D) CLAP rows of sounds to (N, C) unit CLIP rows, through words: (U, C) in CLIP, (U, D) in CLAP."""
    weights = torch.softmax(HEARD_TEMPERATURE * torch.from_numpy(clap) @ heard.T, -1)
    return unit((weights @ seen).numpy())
