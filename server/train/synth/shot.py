# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot of the synthetic world as plain data. Its sound, pictures and words are all made from this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SECONDS = 2.56  # of every shot: 64 latent columns
RATE_HZ = 48_000
SAMPLES = 122_880
SPLITS = ("train", "scene", "combo", "judge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A contact: when it is heard, in seconds from the start of the shot, and how hard (0 to 1)."""

    time_s: float
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One clip. ``seed`` decides everything that ``parameters`` leave open, in sound and picture alike.

    ``split``: ``train``; ``scene`` (held out: other seeds, and parameters from ranges never trained on);
    ``combo`` (held out: pairs of object and material never trained on together); ``judge`` (sounds alone,
    for the classifier that judges). ``captions``: plain words, the plainest first.
    """

    key: str
    split: str
    number: int
    family: str
    seed: int
    parameters: Mapping[str, float | str]
    hits: tuple[Hit, ...]
    captions: tuple[str, ...]
